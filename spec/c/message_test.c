/* layers: base proto */
#include "proto/message.h"
#include "support/alloc_failure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mw_text text;

static int close_text(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_text_free(&text);
    return 0;
}

static struct mw_value read_text(void) {
    struct mw_value value;
    assert_false(text.failed);
    assert_true(mw_message_read(&value, text.bytes, text.size));
    return value;
}

static void integers_come_back(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        size_t size;
    } cases[] = {{0, 2},   {-1, 2},         {63, 2},         {64, 3},        {-64, 2},       {-65, 3},       {8191, 3},
                 {8192, 4}, {INT64_MAX, 11}, {INT64_MIN, 11}, {INT32_MAX, 6}, {-(1LL << 62), 10}, {1LL << 62, 11}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mw_text_free(&text);
        mw_message_integer(&text, cases[i].value);
        struct mw_value value = read_text();
        assert_int_equal(value.type, MW_VALUE_INTEGER);
        assert_int_equal(value.integer, cases[i].value);
        assert_true(value.number == (double)cases[i].value);
        assert_int_equal(text.size, cases[i].size);
    }
}

static void numbers_come_back_bit_by_bit(void **state) {
    (void)state;
    static const double cases[] = {0, -0.0, 1.5, 1e308, 5e-324, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mw_text_free(&text);
        mw_message_number(&text, cases[i]);
        struct mw_value value = read_text();
        assert_int_equal(value.type, MW_VALUE_NUMBER);
        assert_memory_equal(&value.number, &cases[i], sizeof cases[i]);
    }
    mw_text_free(&text);
    mw_message_number(&text, 1.5);
    assert_int_equal(text.size, 9);
    assert_memory_equal(text.bytes, "\x04\0\0\0\0\0\0\xf8\x3f", 9);
}

static void the_other_kinds_come_back(void **state) {
    (void)state;
    mw_message_nil(&text);
    assert_int_equal(read_text().type, MW_VALUE_NIL);
    mw_text_free(&text);
    mw_message_boolean(&text, true);
    assert_true(read_text().boolean);
    mw_text_free(&text);
    mw_message_boolean(&text, false);
    assert_int_equal(read_text().type, MW_VALUE_BOOLEAN);
    assert_false(read_text().boolean);
    mw_text_free(&text);
    mw_message_string(&text, "a\0b", 3);
    struct mw_value value = read_text();
    assert_int_equal(value.type, MW_VALUE_STRING);
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.bytes, "a\0b", 3);
    mw_text_free(&text);
    mw_message_string(&text, "", 0);
    assert_int_equal(read_text().size, 0);
}

/* { answer = 42, share = 0.5, whole = 2.0, open = true, name = "echo", list = { [1] = "x" }, [-3] = nil } */
static void write_table(void) {
    size_t outer = mw_message_open(&text);
    mw_message_put_integer(&text, "answer", 42);
    mw_message_put_number(&text, "share", 0.5);
    mw_message_put_boolean(&text, "open", true);
    mw_message_put_string(&text, "name", "echo");
    mw_message_put_string(&text, "absent", NULL);
    mw_message_string(&text, "list", 4);
    size_t inner = mw_message_open(&text);
    mw_message_integer(&text, 1);
    mw_message_string(&text, "x", 1);
    mw_message_close(&text, inner);
    mw_message_integer(&text, -3);
    mw_message_nil(&text);
    mw_message_close(&text, outer);
}

static void fields_of_a_table_are_found(void **state) {
    (void)state;
    write_table();
    struct mw_value table = read_text();
    char name[16];
    assert_int_equal(table.type, MW_VALUE_TABLE);
    assert_int_equal(mw_value_integer(&table, "answer", 7), 42);
    assert_int_equal(mw_value_integer(&table, "absent", 7), 7);
    assert_int_equal(mw_value_integer(&table, "share", 7), 7);
    assert_true(mw_value_number(&table, "share", 7) == 0.5);
    assert_true(mw_value_number(&table, "answer", 7) == 42);
    assert_true(mw_value_number(&table, "name", 7) == 7);
    assert_true(mw_value_boolean(&table, "open", false));
    assert_true(mw_value_boolean(&table, "answer", true));
    assert_string_equal(mw_value_string(&table, "name", name, sizeof name), "echo");
    assert_string_equal(mw_value_string(&table, "name", name, 3), "ec");
    assert_string_equal(mw_value_string(&table, "name", name, 1), "");
    assert_string_equal(mw_value_string(&table, "answer", name, sizeof name), "");
    struct mw_value list = mw_value_field(&table, "list");
    assert_int_equal(list.type, MW_VALUE_TABLE);
    assert_int_equal(mw_value_field(&list, "x").type, MW_VALUE_NIL);
    assert_int_equal(mw_value_field(&table, "lis").type, MW_VALUE_NIL);
    struct mw_value no_table = mw_value_field(&table, "answer");
    assert_int_equal(mw_value_field(&no_table, "answer").type, MW_VALUE_NIL);
}

static void pairs_come_in_the_order_they_were_written(void **state) {
    (void)state;
    write_table();
    struct mw_value table = read_text(), key, value;
    static const char *const names[] = {"answer", "share", "open", "name", "list"};
    size_t at = 0;
    for (size_t i = 0; i < 5; i++) {
        assert_true(mw_value_next(&table, &at, &key, &value));
        assert_int_equal(key.size, strlen(names[i]));
        assert_memory_equal(key.bytes, names[i], key.size);
    }
    size_t inner = 0;
    struct mw_value list = value;
    assert_true(mw_value_next(&list, &inner, &key, &value));
    assert_int_equal(key.integer, 1);
    assert_memory_equal(value.bytes, "x", 1);
    assert_false(mw_value_next(&list, &inner, &key, &value));
    assert_true(mw_value_next(&table, &at, &key, &value));
    assert_int_equal(key.integer, -3);
    assert_int_equal(value.type, MW_VALUE_NIL);
    assert_false(mw_value_next(&table, &at, &key, &value));
    assert_false(mw_value_next(&table, &at, &key, &value));
}

static void a_table_may_be_marked_as_a_list(void **state) {
    (void)state;
    size_t outer = mw_message_open_list(&text);
    mw_message_integer(&text, 1);
    mw_message_close(&text, mw_message_open(&text));
    mw_message_close(&text, outer);
    struct mw_value list = read_text(), key, value;
    size_t at = 0;
    assert_int_equal(list.type, MW_VALUE_TABLE);
    assert_true(list.boolean);
    assert_true(mw_value_next(&list, &at, &key, &value));
    assert_int_equal(value.type, MW_VALUE_TABLE);
    assert_false(value.boolean);
}

static void nest(int depth) {
    size_t *opened = malloc((size_t)depth * sizeof *opened);
    mw_text_free(&text);
    for (int i = 0; i < depth; i++) {
        opened[i] = mw_message_open(&text);
        if (i + 1 < depth) {
            mw_message_boolean(&text, true);
        }
    }
    for (int i = depth; i-- > 0;) {
        mw_message_close(&text, opened[i]);
    }
    free(opened);
}

static void tables_nest_to_a_limit(void **state) {
    (void)state;
    struct mw_value value;
    nest(MW_MESSAGE_DEPTH_MOST);
    assert_true(mw_message_read(&value, text.bytes, text.size));
    nest(MW_MESSAGE_DEPTH_MOST + 1);
    assert_false(mw_message_read(&value, text.bytes, text.size));
}

static void a_message_is_of_limited_size(void **state) {
    (void)state;
    struct mw_value value;
    enum { HEAD = 5 }; /* a tag, and a length of four bytes */
    char *bytes = calloc(1, MW_MESSAGE_SIZE_MOST);
    mw_message_string(&text, bytes, MW_MESSAGE_SIZE_MOST - HEAD);
    assert_int_equal(text.size, MW_MESSAGE_SIZE_MOST);
    assert_true(mw_message_read(&value, text.bytes, text.size));
    mw_text_free(&text);
    mw_message_string(&text, bytes, MW_MESSAGE_SIZE_MOST - HEAD + 1);
    assert_false(mw_message_read(&value, text.bytes, text.size));
    free(bytes);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static void what_is_no_message_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {BYTES("")},
        {BYTES("\x08")},                                     /* of no kind */
        {BYTES("\xff")},
        {BYTES("\0\0")},                                     /* more behind it */
        {BYTES("\x03")},                                     /* cut short */
        {BYTES("\x03\x80")},
        {BYTES("\x03\x80\0")},                               /* longer than it must be */
        {BYTES("\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")}, /* more than 64 bits */
        {BYTES("\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\0")},
        {BYTES("\x04\0\0\0\0\0\0\0")},
        {BYTES("\x05")},
        {BYTES("\x05\x01")},
        {BYTES("\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {BYTES("\x06\0\0\0")},
        {BYTES("\x06\x01\0\0\0")},
        {BYTES("\x06\xff\xff\xff\xff")},
        {BYTES("\x06\x01\0\0\0\x01")},                       /* a key without a value */
        {BYTES("\x06\x02\0\0\0\0\x01")},                     /* the key nil */
        {BYTES("\x06\x06\0\0\0\x06\0\0\0\0\x01")},           /* a table as key */
        {BYTES("\x06\x0a\0\0\0\x04\0\0\0\0\0\0\xf8\x7f\x01")}, /* the key is not a number */
        {BYTES("\x06\x03\0\0\0\x01\x05\x01x")},              /* a string beyond its table */
        {BYTES("\x06\x07\0\0\0\x01\x06\x02\0\0\0\0")},       /* a table beyond its table */
        {BYTES("\x06\x02\0\0\0\x01\x01\x01")},
    };
    struct mw_value value;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *copy = malloc(cases[i].size);
        memcpy(copy, cases[i].bytes, cases[i].size);
        if (mw_message_read(&value, copy, cases[i].size)) {
            fail_msg("case %zu is no message", i);
        }
        free(copy);
    }
}

static void every_cut_of_a_message_is_refused(void **state) {
    (void)state;
    struct mw_value value;
    write_table();
    for (size_t size = 0; size < text.size; size++) {
        assert_false(mw_message_read(&value, text.bytes, size));
    }
    assert_true(mw_message_read(&value, text.bytes, text.size));
}

static void memory_that_is_out_shows_at_the_end(void **state) {
    (void)state;
    for (int nth = 1;; nth++) {
        alloc_failure_arm(nth);
        size_t outer = mw_message_open(&text);
        for (int i = 0; i < 1000; i++) {
            size_t inner = mw_message_open(&text);
            mw_message_put_number(&text, "key", i);
            mw_message_put_boolean(&text, "key", true);
            mw_message_close(&text, inner);
            mw_message_integer(&text, i);
        }
        mw_message_close(&text, outer);
        bool failed = alloc_failure_disarm();
        assert_int_equal(text.failed, failed);
        mw_text_free(&text);
        if (!failed) {
            assert_true(nth > 3);
            return;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(integers_come_back, close_text),
        cmocka_unit_test_teardown(numbers_come_back_bit_by_bit, close_text),
        cmocka_unit_test_teardown(the_other_kinds_come_back, close_text),
        cmocka_unit_test_teardown(fields_of_a_table_are_found, close_text),
        cmocka_unit_test_teardown(pairs_come_in_the_order_they_were_written, close_text),
        cmocka_unit_test_teardown(a_table_may_be_marked_as_a_list, close_text),
        cmocka_unit_test_teardown(tables_nest_to_a_limit, close_text),
        cmocka_unit_test_teardown(a_message_is_of_limited_size, close_text),
        cmocka_unit_test_teardown(what_is_no_message_is_refused, close_text),
        cmocka_unit_test_teardown(every_cut_of_a_message_is_refused, close_text),
        cmocka_unit_test_teardown(memory_that_is_out_shows_at_the_end, close_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
