/* layers: base */
#include "base/text.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct mw_text text;

static int close_text(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_text_free(&text);
    return 0;
}

static void a_text_is_made_of_pieces(void **state) {
    (void)state;
    assert_string_equal(mw_text_string(&text), "");
    mw_text_puts(&text, "one");
    mw_text_add(&text, " two", 4);
    mw_text_add(&text, NULL, 0);
    mw_text_format(&text, " %d%s", 3, "");
    assert_int_equal(text.size, 9);
    assert_string_equal(mw_text_string(&text), "one two 3");
    assert_int_equal(text.size, 9);
    mw_text_free(&text);
    assert_null(text.bytes);
    mw_text_puts(&text, "again");
    assert_string_equal(mw_text_string(&text), "again");
}

static void a_text_grows_in_few_steps(void **state) {
    (void)state;
    alloc_failure_arm(0);
    for (int i = 0; i < 100000; i++) {
        mw_text_add(&text, (char[]){(char)i}, 1);
    }
    assert_true(alloc_failure_seen() < 12);
    assert_int_equal(text.size, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(text.bytes[i], (char)i);
    }
}

static void what_is_reserved_is_there(void **state) {
    (void)state;
    char *place = mw_text_reserve(&text, 5000);
    memset(place, 'x', 5000);
    text.size += 4999;
    mw_text_puts(&text, "y");
    assert_int_equal(text.size, 5000);
    assert_memory_equal(text.bytes + 4998, "xy", 2);
}

static void assert_json(const char *bytes, size_t size, const char *expected) {
    mw_text_free(&text);
    mw_text_json(&text, bytes, size);
    assert_string_equal(mw_text_string(&text), expected);
}

static void bytes_become_json(void **state) {
    (void)state;
    assert_json("", 0, "\"\"");
    assert_json("plain", 5, "\"plain\"");
    assert_json("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    assert_json("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"");
    assert_json("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
    assert_json("\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82", 9, "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82\"");
    assert_json("a\xff\xfe" "b", 4, "\"a\xef\xbf\xbd\xef\xbf\xbd" "b\"");
    assert_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json("cut \xe2\x82", 6, "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
}

static void a_text_that_failed_stays_as_it_was(void **state) {
    (void)state;
    mw_text_puts(&text, "before");
    alloc_failure_arm(1);
    mw_text_format(&text, "%1000d", 1);
    assert_true(alloc_failure_disarm());
    assert_true(text.failed);
    mw_text_puts(&text, "after");
    mw_text_json(&text, "after", 5);
    assert_int_equal(text.size, 6);
    assert_memory_equal(text.bytes, "before", 6);
    assert_string_equal(mw_text_string(&text), "");
    mw_text_free(&text);
    assert_false(text.failed);
}

static void a_size_that_no_memory_has_is_a_failure(void **state) {
    (void)state;
    mw_text_puts(&text, "before");
    assert_null(mw_text_reserve(&text, SIZE_MAX - 3));
    assert_true(text.failed);
    assert_int_equal(text.size, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_text_is_made_of_pieces, close_text),
        cmocka_unit_test_teardown(a_text_grows_in_few_steps, close_text),
        cmocka_unit_test_teardown(what_is_reserved_is_there, close_text),
        cmocka_unit_test_teardown(bytes_become_json, close_text),
        cmocka_unit_test_teardown(a_text_that_failed_stays_as_it_was, close_text),
        cmocka_unit_test_teardown(a_size_that_no_memory_has_is_a_failure, close_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
