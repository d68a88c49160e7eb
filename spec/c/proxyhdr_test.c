/* layers: base proto */
/* PROXY headers: what is taken, what is refused, and what is written. */
#include "proto/proxyhdr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\2\1\xc0\0\2\2\4\xd2\0\x50" /* 192.0.2.1:1234 to 192.0.2.2:80 */
#define ZEROS_36 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static struct mw_proxyhdr header;

static enum mw_proxyhdr_result parse(const char *bytes, size_t size) {
    char *copy = malloc(size + 1);
    memcpy(copy + 1, bytes, size);
    enum mw_proxyhdr_result result = mw_proxyhdr_parse(&header, copy + 1, size);
    free(copy);
    return result;
}

/* Any part of a header that is taken asks for more; one that is refused is refused however it comes. */
static void assert_parse(const char *bytes, size_t size, enum mw_proxyhdr_result expected) {
    enum mw_proxyhdr_result result = MW_PROXYHDR_MORE;
    for (size_t there = 0; there < size && result == MW_PROXYHDR_MORE; there++) {
        result = parse(bytes, there);
        assert_true(result != MW_PROXYHDR_DONE);
    }
    result = result == MW_PROXYHDR_MORE ? parse(bytes, size) : result;
    if (result != expected || parse(bytes, size) != expected) {
        fail_msg("%d, not %d (%s): %s", result, expected, header.why ? header.why : "", bytes);
    }
    assert_true(expected != MW_PROXYHDR_BAD || strlen(header.why) > 0);
}

static void assert_addresses(const char *from, const char *to) {
    char text[MW_ADDR_TEXT];
    assert_string_equal(header.source.length ? mw_addr_format(&header.source, text) : "", from);
    assert_string_equal(header.destination.length ? mw_addr_format(&header.destination, text) : "", to);
}

static const struct {
    const char *bytes;
    size_t size;
    const char *from, *to;
    bool is_local;
} valid[] = {
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"), "192.0.2.1:1234", "192.0.2.2:80", false},
    {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0:0", "255.255.255.255:65535", false},
    {BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1", "[::1]:2", false},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false},
    {BYTES("PROXY UNKNOWN\r\n"), "", "", false},
    {BYTES("PROXY UNKNOWN ffff::1 whatever 1\r\n"), "", "", false},
    {BYTES(SIGNATURE "\x21\x11\0\x0c" V4), "192.0.2.1:1234", "192.0.2.2:80", false},
    {BYTES(SIGNATURE "\x21\x12\0\x0c" V4), "192.0.2.1:1234", "192.0.2.2:80", false},
    {BYTES(SIGNATURE "\x21\x21\0\x24" ZEROS_36), "[::]:0", "[::]:0", false},
    {BYTES(SIGNATURE "\x20\0\0\0"), "", "", true},
    {BYTES(SIGNATURE "\x20\x11\0\x0c" V4), "", "", true},
    {BYTES(SIGNATURE "\x20\x21\0\x03" "abc"), "", "", true},
    {BYTES(SIGNATURE "\x21\0\0\0"), "", "", false},
    {BYTES(SIGNATURE "\x21\0\0\5\4\0\2ab"), "", "", false},
    {BYTES(SIGNATURE "\x21\x11\0\x14" V4 "\1\0\5http/"), "192.0.2.1:1234", "192.0.2.2:80", false},
    {BYTES(SIGNATURE "\x21\x11\0\x18" V4 "\4\0\0\4\0\0\xee\0\3abc"), "192.0.2.1:1234", "192.0.2.2:80", false},
    {BYTES(SIGNATURE "\x20\x11\0\x0c" V4), "", "", true},
};

static void what_is_right_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        assert_parse(valid[i].bytes, valid[i].size, MW_PROXYHDR_DONE);
        assert_int_equal(header.size, valid[i].size);
        assert_int_equal(header.version, valid[i].bytes[0] == 'P' ? 1 : 2);
        assert_int_equal(header.is_local, valid[i].is_local);
        assert_addresses(valid[i].from, valid[i].to);
    }
}

static void what_comes_behind_is_not_of_it(void **state) {
    (void)state;
    assert_int_equal(parse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n")), MW_PROXYHDR_DONE);
    assert_int_equal(header.size, 32);
    assert_int_equal(parse(BYTES(SIGNATURE "\x21\x11\0\x0c" V4 "\1\0")), MW_PROXYHDR_DONE);
    assert_int_equal(header.size, 28);
}

static const struct {
    const char *bytes;
    size_t size;
} invalid[] = {
    {BYTES("GET / HTTP/1.1\r\n")},
    {BYTES("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES(" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY\r\n")},
    {BYTES("PROXY \r\n")},
    {BYTES("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4\r\n")},
    {BYTES("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY UNKNOWNX\r\n")},
    {BYTES("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n")},
    {BYTES("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n")},
    {BYTES("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP6 ::1%lo ::1 1 2\r\n")},
    {BYTES("PROXY TCP6 [::1] [::1] 1 2\r\n")},
    {BYTES("PROXY TCP6 :::1 ::1 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 0x1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rGET")},
    {BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n")},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\0\r\n")},
    {BYTES("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")},
    {BYTES("\r\n\r\nGET")},
    {BYTES("\r\n\r\n\0\r\nQUIT\r")},
    {BYTES(SIGNATURE "\x11\x11\0\x0c" V4)},
    {BYTES(SIGNATURE "\x31\x11\0\x0c" V4)},
    {BYTES(SIGNATURE "\x22\x11\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x10\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x13\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x01\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x41\0\x0c" V4)},
    {BYTES(SIGNATURE "\x20\xff\0\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x0b" V4)},
    {BYTES(SIGNATURE "\x21\x21\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x31\0\x0c" V4)},
    {BYTES(SIGNATURE "\x21\x11\x20\0" V4)},
    {BYTES(SIGNATURE "\x21\x11\0\x0d" V4 "\4")},
    {BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\4\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x0f" V4 "\4\0\1")},
    {BYTES(SIGNATURE "\x21\x11\0\x0f" V4 "\4\xff\xff")},
    {BYTES(SIGNATURE "\x21\x11\0\x0f" V4 "\1\0\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x12" V4 "\2\0\3a\0b")},
    {BYTES(SIGNATURE "\x21\x11\0\x14" V4 "\1\0\1a\1\0\1b")},
    {BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\3\0\4\0\0\0\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x12" V4 "\3\0\3\0\0\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\x20\0\4\0\0\0\0")},
    {BYTES(SIGNATURE "\x21\x11\0\x16" V4 "\x20\0\7\1\0\0\0\0\x21\0")},
};

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        assert_parse(invalid[i].bytes, invalid[i].size, MW_PROXYHDR_BAD);
    }
}

static void a_line_that_does_not_end_is_refused_at_its_limit(void **state) {
    (void)state;
    char bytes[108] = "PROXY UNKNOWN ";
    memset(bytes + 14, 'a', sizeof bytes - 14);
    assert_int_equal(parse(bytes, 106), MW_PROXYHDR_MORE);
    assert_int_equal(parse(bytes, 107), MW_PROXYHDR_BAD);
    memcpy(bytes + 105, "\r\n", 2);
    assert_int_equal(parse(bytes, 107), MW_PROXYHDR_DONE);
}

/* The sum was counted by another program over the header with zeros in its place. */
static void checksums_are_held(void **state) {
    (void)state;
    char bytes[] = SIGNATURE "\x21\x11\0\x18" V4 "\3\0\4SSSS\1\0\2h2";
    uint32_t sum = UINT32_MAX;
    const size_t size = sizeof bytes - 1, at = 31;
    memset(bytes + at, 0, 4);
    for (size_t i = 0; i < size; i++) {
        sum ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = sum & 1 ? sum >> 1 ^ 0x82f63b78U : sum >> 1;
        }
    }
    sum = ~sum;
    for (size_t i = 0; i < 4; i++) {
        bytes[at + i] = (char)(sum >> (24 - 8 * i));
    }
    assert_parse(bytes, size, MW_PROXYHDR_DONE);
    bytes[size - 1] = '3';
    assert_parse(bytes, size, MW_PROXYHDR_BAD);
}

static void tlvs_are_walked(void **state) {
    (void)state;
    static const char right[] = SIGNATURE "\x21\x11\0\x24" V4 "\2\0\3a.b\x20\0\x0f\7\0\0\0\0\x21\0\7TLSv1.3";
    struct mw_proxyhdr_tlv tlv, inner;
    struct mw_proxyhdr_ssl ssl;
    uint16_t at = 5;
    assert_int_equal(parse(BYTES(right)), MW_PROXYHDR_DONE);
    uint16_t place = header.tlvs;
    assert_true(mw_proxyhdr_next_tlv(right, header.tlvs_end, &place, &tlv));
    assert_int_equal(tlv.type, MW_PROXYHDR_AUTHORITY);
    assert_memory_equal(tlv.value, "a.b", tlv.size);
    assert_true(mw_proxyhdr_next_tlv(right, header.tlvs_end, &place, &tlv));
    assert_int_equal(tlv.type, MW_PROXYHDR_SSL);
    mw_proxyhdr_read_ssl(&ssl, &tlv);
    assert_true(ssl.is_tls && ssl.has_certificate && ssl.is_verified);
    assert_true(mw_proxyhdr_next_tlv(tlv.value, tlv.size, &at, &inner));
    assert_int_equal(inner.type, MW_PROXYHDR_SSL_VERSION);
    assert_memory_equal(inner.value, "TLSv1.3", inner.size);
    assert_false(mw_proxyhdr_next_tlv(tlv.value, tlv.size, &at, &inner));
    assert_false(mw_proxyhdr_next_tlv(right, header.tlvs_end, &place, &tlv));
}

static void unix_paths_come_through(void **state) {
    (void)state;
    char bytes[16 + 216] = SIGNATURE "\x21\x31\0\xd8";
    memcpy(bytes + 16, "/run/a", 6);
    memcpy(bytes + 16 + 108, "\0name", 5);
    assert_parse(bytes, sizeof bytes, MW_PROXYHDR_DONE);
    assert_addresses("unix:///run/a", "unix://@name");
    memset(bytes + 16, 'p', 108);
    memset(bytes + 16 + 108, 0, 108);
    assert_parse(bytes, sizeof bytes, MW_PROXYHDR_DONE);
    assert_int_equal(header.source.length, offsetof(struct sockaddr_un, sun_path) + 108);
    assert_int_equal(header.destination.length, offsetof(struct sockaddr_un, sun_path));
}

/* --- writing --- */

static struct mw_addr addr_of(const char *text) {
    struct mw_address address;
    struct mw_addr addr;
    const char *why;
    assert_true(mw_address_parse(&address, text, strlen(text), &why));
    assert_true(mw_addr_resolve(&addr, &address));
    return addr;
}

static void assert_written(int version, const char *from, const char *to, const char *from_again,
                           const char *to_again) {
    char bytes[MW_PROXYHDR_WRITE];
    struct mw_addr source = addr_of(from), destination = addr_of(to);
    size_t size = mw_proxyhdr_write(bytes, version, &source, &destination);
    assert_true(size <= sizeof bytes);
    assert_parse(bytes, size, MW_PROXYHDR_DONE);
    assert_int_equal(header.version, version);
    assert_int_equal(header.size, size);
    assert_addresses(from_again, to_again);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        assert_written(version, "1.2.3.4:5", "6.7.8.9:65535", "1.2.3.4:5", "6.7.8.9:65535");
        assert_written(version, "[2001:db8::1]:5", "[::1]:6", "[2001:db8::1]:5", "[::1]:6");
        assert_written(version, "[::ffff:1.2.3.4]:5", "6.7.8.9:1", "1.2.3.4:5", "6.7.8.9:1");
        assert_written(version, "1.2.3.4:5", "[::1]:6", "1.2.3.4:5", "[::1]:6");
        assert_written(version, "unix:///a", "1.2.3.4:5", "", "");
    }
    assert_written(2, "unix:///run/a", "unix://@b", "unix:///run/a", "unix://@b");
    assert_written(1, "unix:///run/a", "unix://@b", "", "");
}

static void without_addresses_nothing_is_said(void **state) {
    (void)state;
    char bytes[MW_PROXYHDR_WRITE];
    assert_int_equal(mw_proxyhdr_write(bytes, 1, NULL, NULL), 15);
    assert_memory_equal(bytes, "PROXY UNKNOWN\r\n", 15);
    assert_int_equal(mw_proxyhdr_write(bytes, 2, NULL, NULL), 16);
    assert_memory_equal(bytes, SIGNATURE "\x20\0\0\0", 16);
}

static void version_1_is_one_line(void **state) {
    (void)state;
    char bytes[MW_PROXYHDR_WRITE];
    struct mw_addr source = addr_of("192.0.2.1:1234"), destination = addr_of("192.0.2.2:80");
    size_t size = mw_proxyhdr_write(bytes, 1, &source, &destination);
    assert_int_equal(size, 40);
    assert_memory_equal(bytes, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", size);
    size = mw_proxyhdr_write(bytes, 2, &source, &destination);
    assert_int_equal(size, 28);
    assert_memory_equal(bytes, SIGNATURE "\x21\x11\0\x0c" V4, size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(what_comes_behind_is_not_of_it),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_line_that_does_not_end_is_refused_at_its_limit),
        cmocka_unit_test(checksums_are_held),
        cmocka_unit_test(tlvs_are_walked),
        cmocka_unit_test(unix_paths_come_through),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(without_addresses_nothing_is_said),
        cmocka_unit_test(version_1_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
