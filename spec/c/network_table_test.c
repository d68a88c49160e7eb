/* layers: base net */
#include "net/network_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOTHING = UINT32_MAX };

static struct mw_network parsed(const char *text) {
    struct mw_network network;
    const char *why = "";
    if (!mw_network_parse(&network, text, strlen(text), &why)) {
        fail_msg("%s: %s", text, why);
    }
    return network;
}

static struct mw_network_table *empty(size_t room) {
    void *memory = malloc(mw_network_table_size(room));
    assert_non_null(memory);
    return mw_network_table_init(memory);
}

/* Their numbers count from 1. */
static struct mw_network_table *table_of(const char *const *texts) {
    struct mw_network_table *table = empty(16);
    for (uint32_t i = 0; texts[i]; i++) {
        struct mw_network network = parsed(texts[i]);
        mw_network_table_add(table, &network, i + 1);
    }
    mw_network_table_sort(table);
    return table;
}

static uint32_t find(const struct mw_network_table *table, const char *address) {
    uint32_t number = NOTHING;
    struct mw_network alone = parsed(address);
    bool found = mw_network_table_find(table, alone.bytes, &number);
    assert_int_equal(found, number != NOTHING);
    return number;
}

static void the_most_specific_network_is_found(void **state) {
    (void)state;
    struct mw_network_table *table = table_of(
        (const char *const[]){"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "2001:db8:1::/48", NULL});
    assert_int_equal(find(table, "10.2.0.0"), 1);
    assert_int_equal(find(table, "10.1.2.4"), 2);
    assert_int_equal(find(table, "10.1.2.3"), 3);
    assert_int_equal(find(table, "2001:db8::7"), 4);
    assert_int_equal(find(table, "2001:db8:1::7"), 5);
    assert_int_equal(find(table, "11.0.0.0"), NOTHING);
    assert_int_equal(find(table, "::"), NOTHING);
    free(table);
}

static void of_the_same_network_the_greater_number_stays(void **state) {
    (void)state;
    struct mw_network_table *table =
        table_of((const char *const[]){"::1", "192.0.2.0/24", "::1", "192.0.2.0/24", "0:0::1/128", NULL});
    assert_int_equal(mw_network_table_count(table), 2);
    assert_int_equal(find(table, "::1"), 5);
    assert_int_equal(find(table, "192.0.2.9"), 4);
    free(table);
}

static void all_of_a_family_is_not_the_other(void **state) {
    (void)state;
    struct mw_network_table *table = table_of((const char *const[]){"::/0", "0.0.0.0/0", NULL});
    assert_int_equal(find(table, "fe80::1"), 1);
    assert_int_equal(find(table, "10.0.0.1"), 2);
    free(table);
    table = table_of((const char *const[]){"::/0", NULL});
    assert_int_equal(find(table, "10.0.0.1"), NOTHING);
    free(table);
}

static void nothing_is_in_an_empty_one(void **state) {
    (void)state;
    struct mw_network_table *table = table_of((const char *const[]){NULL});
    assert_int_equal(find(table, "::1"), NOTHING);
    assert_int_equal(mw_network_table_count(table), 0);
    free(table);
}

static void address_number(char text[32], uint32_t i) {
    snprintf(text, 32, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
}

static void a_hundred_thousand_are_all_found(void **state) {
    (void)state;
    enum { COUNT = 100000, STEP = 7919 };
    struct mw_network_table *table = empty(COUNT);
    char text[32];
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t number = i * STEP % COUNT;
        address_number(text, number * 2);
        struct mw_network network = parsed(text);
        mw_network_table_add(table, &network, number);
    }
    mw_network_table_sort(table);
    assert_int_equal(mw_network_table_count(table), COUNT);
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        address_number(text, i);
        assert_int_equal(find(table, text), i % 2 ? NOTHING : i / 2);
    }
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_network_is_found),
        cmocka_unit_test(of_the_same_network_the_greater_number_stays),
        cmocka_unit_test(all_of_a_family_is_not_the_other),
        cmocka_unit_test(nothing_is_in_an_empty_one),
        cmocka_unit_test(a_hundred_thousand_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
