/* layers: base net */
#include "net/network_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct mw_network_text reader(const char *bytes) {
    struct mw_network_text text;
    mw_network_text_init(&text, bytes, strlen(bytes));
    return text;
}

static void expect_one(struct mw_network_text *text, size_t line, int bits, const char *value) {
    assert_int_equal(mw_network_text_next(text), MW_NETWORK_TEXT_ONE);
    assert_int_equal(text->line, line);
    assert_int_equal(text->network.bits, bits);
    assert_int_equal(text->value_size, strlen(value));
    assert_memory_equal(text->value, value, text->value_size);
}

static void reads_networks_and_their_values(void **state) {
    (void)state;
    struct mw_network_text text = reader("# a list\n\n10.0.0.0/8\r\n  ::1 \t here, and  there \t ; remark\n"
                                         "192.0.2.1 #7\n192.0.2.2 a#b;c\n;\n \t\r\nfe80::/10 last");
    expect_one(&text, 3, 96 + 8, "");
    expect_one(&text, 4, 128, "here, and  there");
    expect_one(&text, 5, 128, "");
    expect_one(&text, 6, 128, "a#b;c");
    expect_one(&text, 9, 10, "last");
    assert_int_equal(mw_network_text_next(&text), MW_NETWORK_TEXT_END);
    assert_int_equal(mw_network_text_next(&text), MW_NETWORK_TEXT_END);
}

static void expect_bad(const char *bytes, size_t line, const char *reason) {
    struct mw_network_text text = reader(bytes);
    enum mw_network_text_result result;
    do {
        result = mw_network_text_next(&text);
    } while (result == MW_NETWORK_TEXT_ONE);
    assert_int_equal(result, MW_NETWORK_TEXT_BAD);
    assert_int_equal(text.line, line);
    assert_non_null(strstr(text.why, reason));
}

static void says_what_is_wrong_and_where(void **state) {
    (void)state;
    expect_bad("10.0.0.0/8\n\n10.0.0.1/8 x\n", 3, "behind the prefix");
    expect_bad("10.0.0.0/8,::1", 1, "behind the slash");
    expect_bad("::1#x", 1, "no network");
    expect_bad("10.0.0.0/33", 1, "bits");
}

static void an_empty_text_has_none(void **state) {
    (void)state;
    struct mw_network_text text;
    mw_network_text_init(&text, "10.0.0.1", 0);
    assert_int_equal(mw_network_text_next(&text), MW_NETWORK_TEXT_END);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_networks_and_their_values),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(an_empty_text_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
