/* layers: base net */
#include "net/network.h"
#include "support/alloc_failure.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 };

static struct mw_network parsed(const char *text) {
    struct mw_network network;
    const char *why = "";
    if (!mw_network_parse(&network, text, strlen(text), &why)) {
        fail_msg("%s: %s", text, why);
    }
    return network;
}

static void assert_refused(const char *text, size_t length, const char *reason) {
    struct mw_network network;
    const char *why = NULL;
    if (mw_network_parse(&network, text, length, &why)) {
        fail_msg("accepted: %s", text);
    }
    if (!strstr(why, reason)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, why, reason);
    }
}

static void assert_same(const char *one, const char *other) {
    struct mw_network a = parsed(one), b = parsed(other);
    assert_int_equal(a.bits, b.bits);
    assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
}

static void parses_networks(void **state) {
    (void)state;
    assert_int_equal(parsed("10.0.0.0/8").bits, 96 + 8);
    assert_int_equal(parsed("0.0.0.0/0").bits, 96);
    assert_int_equal(parsed("::/0").bits, 0);
    assert_int_equal(parsed("fe80::/10").bits, 10);
    assert_same("192.0.2.1", "192.0.2.1/32");
    assert_same("::1", "::1/128");
    assert_same("::ffff:10.0.0.0/104", "10.0.0.0/8");
    assert_same("2001:0db8:0000:0000:0000:0000:0000:0000/32", "2001:db8::/32");
    assert_same("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void refuses_with_a_reason(void **state) {
    (void)state;
    static const char *const no_networks[] = {"", "/8", "10.0.0", "10.0.0.256", "host.example", "10.0.0.1:80", "[::1]",
                                              "fe80::1%lo", " 10.0.0.1", "::1 ", "1.2.3.4.5/8"};
    static const char *const no_bits[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/+8",
                                          "10.0.0.0/8/8", "::/129", "::/1000", "10.0.0.0/255.0.0.0", "::/0x8"};
    for (size_t i = 0; i < sizeof no_networks / sizeof *no_networks; i++) {
        assert_refused(no_networks[i], strlen(no_networks[i]), "no network");
    }
    for (size_t i = 0; i < sizeof no_bits / sizeof *no_bits; i++) {
        assert_refused(no_bits[i], strlen(no_bits[i]), "number of bits");
    }
    assert_refused("10.0.0.1/8", 10, "bits behind the prefix");
    assert_refused("2001:db8::1/64", 14, "bits behind the prefix");
    assert_refused("10.0.0.0\0/8", 11, "no network");
    char endless[200];
    memset(endless, '1', sizeof endless);
    assert_refused(endless, sizeof endless, "no network");
}

static void reads_no_further_than_the_length(void **state) {
    (void)state;
    struct mw_network network;
    const char *why;
    assert_true(mw_network_parse(&network, "10.0.0.0/88", 10, &why));
    assert_int_equal(network.bits, 96 + 8);
}

static size_t parse_list(struct mw_network list[MOST], const char *const *texts) {
    size_t count = 0;
    for (; texts && texts[count]; count++) {
        list[count] = parsed(texts[count]);
    }
    return count;
}

static struct mw_networks *made(const char *const *allow, const char *const *deny) {
    struct mw_network allowed[MOST], denied[MOST];
    size_t allows = parse_list(allowed, allow), denies = parse_list(denied, deny);
    struct mw_networks *networks = mw_networks_new(allowed, allows, denied, denies);
    assert_non_null(networks);
    return networks;
}

static bool is_allowed(const struct mw_networks *networks, const char *text) {
    struct mw_network alone = parsed(text);
    return mw_networks_allow(networks, alone.bytes);
}

static void the_most_specific_network_decides(void **state) {
    (void)state;
    struct mw_networks *networks = made((const char *const[]){"10.0.0.0/8", "10.1.2.0/24", "2001:db8:1::/48", NULL},
                                        (const char *const[]){"10.1.0.0/16", "10.1.2.3", "2001:db8::/32", NULL});
    assert_true(is_allowed(networks, "10.2.0.1"));
    assert_false(is_allowed(networks, "10.1.0.1"));
    assert_true(is_allowed(networks, "10.1.2.4"));
    assert_false(is_allowed(networks, "10.1.2.3"));
    assert_true(is_allowed(networks, "2001:db8:1::7"));
    assert_false(is_allowed(networks, "2001:db8:2::7"));
    mw_networks_free(networks);
}

static void strangers_may_come_unless_some_are_allowed(void **state) {
    (void)state;
    struct mw_networks *open = made(NULL, (const char *const[]){"10.0.0.0/8", NULL});
    assert_true(is_allowed(open, "192.0.2.1"));
    assert_true(is_allowed(open, "::1"));
    assert_false(is_allowed(open, "10.255.255.255"));
    mw_networks_free(open);
    struct mw_networks *closed = made((const char *const[]){"10.0.0.0/8", NULL}, NULL);
    assert_false(is_allowed(closed, "192.0.2.1"));
    assert_false(is_allowed(closed, "::1"));
    assert_true(is_allowed(closed, "10.255.255.255"));
    mw_networks_free(closed);
}

static void what_is_in_both_lists_is_denied(void **state) {
    (void)state;
    static const char *const same[] = {"192.0.2.0/24", "192.0.2.0/24", "2001:db8::/64", NULL};
    struct mw_networks *networks = made(same, same);
    assert_false(is_allowed(networks, "192.0.2.7"));
    assert_false(is_allowed(networks, "2001:db8::7"));
    mw_networks_free(networks);
}

static void all_of_one_family_is_not_the_other(void **state) {
    (void)state;
    struct mw_networks *networks = made(NULL, (const char *const[]){"::/0", NULL});
    assert_true(is_allowed(networks, "192.0.2.7"));
    assert_false(is_allowed(networks, "2001:db8::7"));
    mw_networks_free(networks);
    networks = made((const char *const[]){"0.0.0.0/0", NULL}, NULL);
    assert_true(is_allowed(networks, "192.0.2.7"));
    assert_false(is_allowed(networks, "2001:db8::7"));
    mw_networks_free(networks);
}

static void mapped_addresses_are_those_they_map(void **state) {
    (void)state;
    struct mw_addr v4 = {.length = sizeof v4.v4, .v4 = {.sin_family = AF_INET}};
    struct mw_addr v6 = {.length = sizeof v6.v6, .v6 = {.sin6_family = AF_INET6}};
    struct mw_addr local = {.length = sizeof local.local, .local = {.sun_family = AF_UNIX}};
    struct mw_endpoint endpoint;
    uint8_t one[16], other[16];
    inet_pton(AF_INET, "192.0.2.7", &v4.v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.v6.sin6_addr);
    mw_endpoint_pack(&endpoint, &v4);
    assert_true(mw_network_address(one, &endpoint));
    mw_endpoint_pack(&endpoint, &v6);
    assert_true(mw_network_address(other, &endpoint));
    assert_memory_equal(one, other, sizeof one);
    mw_endpoint_pack(&endpoint, &local);
    assert_false(mw_network_address(one, &endpoint));
}

static void says_when_memory_is_out(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_null(mw_networks_new(NULL, 0, NULL, 0));
    assert_true(alloc_failure_disarm());
    mw_networks_free(NULL);
}

static bool holds(const char *network, const char *address) {
    struct mw_network all, one;
    const char *why;
    assert_true(mw_network_parse(&all, network, strlen(network), &why));
    assert_true(mw_network_parse(&one, address, strlen(address), &why));
    return mw_network_holds(&all, one.bytes);
}

static void a_network_holds_its_addresses(void **state) {
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.0.1"));
    assert_false(holds("10.0.0.0/8", "11.0.0.1"));
    assert_true(holds("10.0.0.7", "10.0.0.7"));
    assert_false(holds("10.0.0.7", "10.0.0.70"));
    assert_true(holds("0.0.0.0/0", "192.0.2.1"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_true(holds("::/0", "fe80::1"));
    assert_false(holds("::/0", "10.0.0.7"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_holds_its_addresses),
        cmocka_unit_test(parses_networks),
        cmocka_unit_test(refuses_with_a_reason),
        cmocka_unit_test(reads_no_further_than_the_length),
        cmocka_unit_test(the_most_specific_network_decides),
        cmocka_unit_test(strangers_may_come_unless_some_are_allowed),
        cmocka_unit_test(what_is_in_both_lists_is_denied),
        cmocka_unit_test(all_of_one_family_is_not_the_other),
        cmocka_unit_test(mapped_addresses_are_those_they_map),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
