/* layers: base */
#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATH_AT = offsetof(struct sockaddr_un, sun_path) };

static struct mw_address parsed(const char *text) {
    struct mw_address address;
    const char *why = "";
    if (!mw_address_parse(&address, text, strlen(text), &why)) {
        fail_msg("%s: %s", text, why);
    }
    return address;
}

static void assert_parses(const char *text, enum mw_scheme scheme, const char *host, unsigned port) {
    struct mw_address address = parsed(text);
    assert_int_equal(address.scheme, scheme);
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
}

static void assert_refused(const char *text, size_t length, const char *reason) {
    struct mw_address address;
    const char *why = NULL;
    if (mw_address_parse(&address, text, length, &why)) {
        fail_msg("accepted: %s", text);
    }
    if (!strstr(why, reason)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, why, reason);
    }
}

static void accepts_internet_addresses(void **state) {
    (void)state;
    assert_parses("tcp://127.0.0.1:80", MW_SCHEME_TCP, "127.0.0.1", 80);
    assert_parses("tls://host.example:443", MW_SCHEME_TLS, "host.example", 443);
    assert_parses("udp://[::1]:53", MW_SCHEME_UDP, "::1", 53);
    assert_parses("127.0.0.1:80", MW_SCHEME_TCP, "127.0.0.1", 80);
    assert_parses("local_host-1:0", MW_SCHEME_TCP, "local_host-1", 0);
    assert_parses("[fe80::1%lo]:65535", MW_SCHEME_TCP, "fe80::1%lo", 65535);
    assert_parses("[::ffff:10.0.0.1]:1", MW_SCHEME_TCP, "::ffff:10.0.0.1", 1);
    assert_parses(":8080", MW_SCHEME_TCP, "", 8080);
    assert_parses("*:8080", MW_SCHEME_TCP, "*", 8080);
    assert_parses("udp://:53", MW_SCHEME_UDP, "", 53);
}

static void accepts_unix_addresses(void **state) {
    (void)state;
    assert_parses("unix:///run/x.sock", MW_SCHEME_UNIX, "/run/x.sock", 0);
    assert_parses("unix://@abstract", MW_SCHEME_UNIX, "@abstract", 0);
    assert_parses("unix:///run/a@b:c", MW_SCHEME_UNIX, "/run/a@b:c", 0);
    assert_parses("unix:///run/gr\xc3\xbcn", MW_SCHEME_UNIX, "/run/gr\xc3\xbcn", 0);
}

static void accepts_descriptors(void **state) {
    (void)state;
    struct mw_address address = parsed("fd://3");
    assert_int_equal(address.scheme, MW_SCHEME_FD);
    assert_int_equal(address.fd, 3);
    assert_int_equal(parsed("fd://2147483647").fd, 2147483647);
}

static void reads_no_further_than_the_length(void **state) {
    (void)state;
    struct mw_address address;
    const char *why;
    assert_true(mw_address_parse(&address, "host:80999", 7, &why));
    assert_string_equal(address.host, "host");
    assert_int_equal(address.port, 80);
}

static void refuses_with_a_reason(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "empty"},
        {"host", "port is missing"},
        {"tcp://127.0.0.1", "port is missing"},
        {"[::1]", "port is missing"},
        {"tcp://", "port is missing"},
        {"host:", "a port is a number"},
        {"host:http", "a port is a number"},
        {"host:65536", "a port is a number"},
        {"host:99999999999999999999", "a port is a number"},
        {"host:-1", "a port is a number"},
        {"host:+1", "a port is a number"},
        {"[::1]80", "a port is a number"},
        {"host:80/", "nothing may follow the port"},
        {"tcp://host:80/path", "nothing may follow the port"},
        {"tcp:///run/x.sock", "nothing may follow the port"},
        {"user@host:80", "no user part"},
        {"tcp://user:word@host:80", "no user part"},
        {"::1:80", "needs brackets"},
        {"fe80::1%lo:80", "needs brackets"},
        {"[::1:80", "']' is missing"},
        {"[localhost]:80", "no IPv6 address"},
        {"[127.0.0.1]:80", "no IPv6 address"},
        {"[]:80", "no IPv6 address"},
        {"[::1%]:80", "no IPv6 address"},
        {"[::1%interface-too-long]:80", "no IPv6 address"},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80", "no IPv6 address"},
        {"ho?st:80", "a host is"},
        {"h\xc3\xb6st:80", "a host is"},
        {"**:80", "a host is"},
        {"http://host:80", "unknown scheme"},
        {"TCP://host:80", "unknown scheme"},
        {"://host:80", "unknown scheme"},
        {"ho st:80", "no spaces"},
        {"host:80\n", "no spaces"},
        {"host\x7f:80", "no spaces"},
        {"unix:///run/x sock", "no spaces"},
        {"unix://", "a Unix socket is"},
        {"unix://@", "a Unix socket is"},
        {"unix://run/x.sock", "a Unix socket is"},
        {"fd://", "a descriptor is a number"},
        {"fd://-1", "a descriptor is a number"},
        {"fd://x", "a descriptor is a number"},
        {"fd://2147483648", "a descriptor is a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].reason);
    }
    assert_refused("host:80\0", 8, "no spaces");
    assert_refused("unix:///run\0/x", 14, "no spaces");
}

/* "PREFIXxxxx…SUFFIX" with `count` times x. */
static const char *stretched(const char *prefix, int count, const char *suffix) {
    static char text[600];
    char filling[400];
    memset(filling, 'x', sizeof filling);
    snprintf(text, sizeof text, "%s%.*s%s", prefix, count, filling, suffix);
    return text;
}

static void lengths_end_where_they_say(void **state) {
    (void)state;
    const char *text = stretched("", MW_HOST_MAX, ":80");
    assert_int_equal(strlen(parsed(text).host), MW_HOST_MAX);
    text = stretched("", MW_HOST_MAX + 1, ":80");
    assert_refused(text, strlen(text), "longer than 253");
    text = stretched("unix:///", 106, "");
    assert_int_equal(strlen(parsed(text).host), 107);
    text = stretched("unix:///", 107, "");
    assert_refused(text, strlen(text), "at most 107");
    text = stretched("unix://@", 107, "");
    assert_int_equal(strlen(parsed(text).host), 108);
    text = stretched("unix://@", 108, "");
    assert_refused(text, strlen(text), "at most 107");
}

static struct mw_addr resolved(const char *text) {
    struct mw_address address = parsed(text);
    struct mw_addr addr;
    assert_true(mw_addr_resolve(&addr, &address));
    return addr;
}

static void assert_formats(const struct mw_addr *addr, const char *expected) {
    char text[MW_ADDR_TEXT];
    assert_ptr_equal(mw_addr_format(addr, text), text);
    assert_string_equal(text, expected);
}

static void assert_round_trip(const char *text, const char *expected) {
    struct mw_addr addr = resolved(text);
    assert_formats(&addr, expected);
}

static void resolves_and_formats(void **state) {
    (void)state;
    assert_round_trip("tcp://127.0.0.1:80", "127.0.0.1:80");
    assert_round_trip("[::1]:65535", "[::1]:65535");
    assert_round_trip("[2001:db8:0:0::1]:1", "[2001:db8::1]:1");
    assert_round_trip("[::ffff:10.1.2.3]:25", "10.1.2.3:25");
    assert_round_trip("*:80", "[::]:80");
    assert_round_trip(":80", "[::]:80");
    assert_round_trip("[fe80::1%lo]:80", "[fe80::1%lo]:80");
    assert_round_trip("[fe80::1%1]:80", "[fe80::1%lo]:80");
    assert_round_trip("[fe80::1%999999]:80", "[fe80::1%999999]:80");
    assert_round_trip("unix:///run/x.sock", "unix:///run/x.sock");
    assert_round_trip("unix://@name", "unix://@name");
}

static void resolves_to_what_the_kernel_wants(void **state) {
    (void)state;
    struct mw_addr addr = resolved("127.0.0.1:80");
    assert_int_equal(addr.length, sizeof(struct sockaddr_in));
    assert_int_equal(addr.v4.sin_family, AF_INET);
    assert_int_equal(ntohs(addr.v4.sin_port), 80);
    assert_int_equal(ntohl(addr.v4.sin_addr.s_addr), 0x7f000001);
    addr = resolved("[fe80::1%lo]:80");
    assert_int_equal(addr.length, sizeof(struct sockaddr_in6));
    assert_int_equal(addr.v6.sin6_family, AF_INET6);
    assert_int_equal(addr.v6.sin6_scope_id, if_nametoindex("lo"));
    addr = resolved("unix:///x");
    assert_int_equal(addr.length, PATH_AT + 3);
    addr = resolved("unix://@x");
    assert_int_equal(addr.length, PATH_AT + 2);
    assert_memory_equal(addr.local.sun_path, "\0x", 2);
}

static void names_and_descriptors_do_not_resolve(void **state) {
    (void)state;
    static const char *const cases[] = {
        "localhost:80", "1.2.3:80", "[fe80::1%nowhere]:80", "[fe80::1%0]:80", "fd://3",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_address address = parsed(cases[i]);
        struct mw_addr addr;
        assert_false(mw_addr_resolve(&addr, &address));
    }
}

static struct mw_addr local(const char *path, size_t length) {
    struct mw_addr addr;
    memset(&addr, 'z', sizeof addr);
    addr.local.sun_family = AF_UNIX;
    memcpy(addr.local.sun_path, path, length);
    addr.length = (socklen_t)(PATH_AT + length);
    return addr;
}

/* The kernel gives back lengths of its own, and paths without a NUL. */
static void formats_what_the_kernel_gives(void **state) {
    (void)state;
    struct mw_addr addr = local("", 0);
    assert_formats(&addr, "unix://");
    addr = local("/a", 2);
    assert_formats(&addr, "unix:///a");
    addr = local("/a\0/b", 5);
    assert_formats(&addr, "unix:///a");
    addr = local("\0a\0b\n", 5);
    assert_formats(&addr, "unix://@a?b?");
    addr = local("/\x1b[31m\x7f", 7);
    assert_formats(&addr, "unix:///?[31m?");
    char path[sizeof addr.local.sun_path];
    memset(path, 'p', sizeof path);
    addr = local(path, sizeof path);
    addr.length++;
    char text[MW_ADDR_TEXT];
    assert_int_equal(strlen(mw_addr_format(&addr, text)), strlen("unix://") + sizeof path);
    addr.any.sa_family = AF_UNSPEC;
    assert_formats(&addr, "unknown");
}

static void assert_packs(const char *text, const char *expected) {
    struct mw_addr addr = resolved(text), again;
    struct mw_endpoint endpoint;
    mw_endpoint_pack(&endpoint, &addr);
    mw_endpoint_unpack(&again, &endpoint);
    assert_formats(&again, expected);
    if (addr.any.sa_family != AF_UNIX) {
        assert_int_equal(again.length, addr.length);
        assert_memory_equal(&again.any, &addr.any, addr.length);
    }
}

static void endpoints_keep_internet_addresses(void **state) {
    (void)state;
    assert_packs("192.0.2.7:4711", "192.0.2.7:4711");
    assert_packs("[2001:db8::7]:4711", "[2001:db8::7]:4711");
    assert_packs("[fe80::1%lo]:1", "[fe80::1%lo]:1");
    assert_packs("unix:///run/x.sock", "unix://");
    struct mw_addr addr = resolved("192.0.2.7:4711");
    struct mw_endpoint endpoint;
    mw_endpoint_pack(&endpoint, &addr);
    assert_int_equal(endpoint.port, 4711);
    endpoint = (struct mw_endpoint){0};
    mw_endpoint_unpack(&addr, &endpoint);
    assert_formats(&addr, "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_internet_addresses),
        cmocka_unit_test(accepts_unix_addresses),
        cmocka_unit_test(accepts_descriptors),
        cmocka_unit_test(reads_no_further_than_the_length),
        cmocka_unit_test(refuses_with_a_reason),
        cmocka_unit_test(lengths_end_where_they_say),
        cmocka_unit_test(resolves_and_formats),
        cmocka_unit_test(resolves_to_what_the_kernel_wants),
        cmocka_unit_test(names_and_descriptors_do_not_resolve),
        cmocka_unit_test(formats_what_the_kernel_gives),
        cmocka_unit_test(endpoints_keep_internet_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
