/* layers: base */
#include "base/json.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BAD "\xEF\xBF\xBD"

static struct mw_json reading(const char *text, size_t length) {
    return (struct mw_json){.text = text, .length = length, .depth_limit = 20};
}

/* What the tokens of a text are, a character each; "!" for a fault. */
static const char *tokens_of(const char *text) {
    static char found[100];
    static const char marks[] = "!.ntfirsk[]{}";
    static const unsigned char in_order[] = {MW_JSON_FAULT,  MW_JSON_END,    MW_JSON_NULL, MW_JSON_TRUE,
                                             MW_JSON_FALSE,  MW_JSON_INTEGER, MW_JSON_REAL, MW_JSON_STRING,
                                             MW_JSON_KEY,    MW_JSON_ARRAY,  MW_JSON_ARRAY_END,
                                             MW_JSON_OBJECT, MW_JSON_OBJECT_END};
    struct mw_json json = reading(text, strlen(text));
    size_t count = 0;
    for (;;) {
        enum mw_json_token token = mw_json_next(&json);
        found[count++] = marks[(const char *)memchr(in_order, token, sizeof in_order) - (const char *)in_order];
        if (token == MW_JSON_FAULT || token == MW_JSON_END) {
            found[count] = '\0';
            return found;
        }
        assert_true(count + 1 < sizeof found);
    }
}

static void texts_become_tokens(void **state) {
    (void)state;
    assert_string_equal(tokens_of(" null "), "n.");
    assert_string_equal(tokens_of("[]"), "[].");
    assert_string_equal(tokens_of("{}"), "{}.");
    assert_string_equal(tokens_of("[1,-2.5,\"x\",true,false,null]"), "[irstfn].");
    assert_string_equal(tokens_of("{\"a\":[{}],\n\"b\" : {\"c\":0}}"), "{k[{}]k{ki}}.");
    assert_string_equal(tokens_of("[[],[[]],{}]"), "[[][[]]{}].");
}

/* The text is refused at the offset. */
static void assert_refused(const char *text, size_t at) {
    struct mw_json json = reading(text, strlen(text));
    enum mw_json_token token;
    do {
        token = mw_json_next(&json);
        assert_int_not_equal(token, MW_JSON_END);
    } while (token != MW_JSON_FAULT);
    assert_non_null(json.why);
    assert_int_equal(json.start, at);
    assert_int_equal(mw_json_next(&json), MW_JSON_FAULT);
}

static void what_is_no_json_is_refused_where_it_is(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {
        {"", 0},         {"  ", 2},        {"[", 1},          {"[1", 2},         {"[1,", 3},      {"[1,]", 3},
        {"[,1]", 1},     {"[1 2]", 3},     {"[1}", 2},        {"{1:2}", 1},      {"{\"a\"}", 4},  {"{\"a\":}", 5},
        {"{\"a\":1,}", 7}, {"{\"a\" 1}", 5}, {"{,}", 1},      {"]", 0},          {"1 2", 2},      {"nul", 3},
        {"nulL", 0},     {"True", 0},      {"01", 0},         {"-", 1},          {"-a", 1},       {"+1", 0},
        {".5", 0},       {"1.", 2},        {"1.x", 2},        {"1e", 2},         {"1e+", 3},      {"1e999", 0},
        {"0x10", 1},     {"NaN", 0},       {"'a'", 0},        {"\"a", 2},        {"\"\\", 2},     {"\"\\x\"", 1},
        {"\"\\u12\"", 1}, {"\"\\u12", 5},  {"\"a\nb\"", 2},   {"\"\x7f\xff\"", 2}, {"\"\\ud800\"", 1},
        {"\"\\udc00\"", 1}, {"\"\\ud800\\u0041\"", 1}, {"\"\xed\xa0\x80\"", 1}, {"\"\xc0\x80\"", 1}, {"//", 0},
        {"[1]/**/", 3},  {"\xef\xbb\xbf[]", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_refused(cases[i].text, cases[i].at);
    }
}

static void assert_integer(const char *text, int64_t expected) {
    struct mw_json json = reading(text, strlen(text));
    assert_int_equal(mw_json_next(&json), MW_JSON_INTEGER);
    assert_true(json.integer == expected);
}

static void assert_real(const char *text, double expected) {
    struct mw_json json = reading(text, strlen(text));
    assert_int_equal(mw_json_next(&json), MW_JSON_REAL);
    assert_true(json.real == expected);
}

static void integers_have_64_bits(void **state) {
    (void)state;
    assert_integer("0", 0);
    assert_integer("9007199254740993", 9007199254740993);
    assert_integer("9223372036854775807", INT64_MAX);
    assert_integer("-9223372036854775808", INT64_MIN);
    assert_real("9223372036854775808", 9223372036854775808.0);
    assert_real("-9223372036854775809", -9223372036854775808.0);
    assert_real("99999999999999999999999", 1e23);
    assert_real("-0", -0.0);
    assert_real("1.0", 1);
    assert_real("1E2", 100);
    assert_real("0.1e-7", 0.1e-7);
    assert_real("1e-999", 0);
}

static void strings_are_unescaped(void **state) {
    (void)state;
    static const char text[] = "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000 \xc3\xa9\"";
    static const char expected[] = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0 \xc3\xa9";
    char out[sizeof text];
    struct mw_json json = reading(text, sizeof text - 1);
    assert_int_equal(mw_json_next(&json), MW_JSON_STRING);
    assert_true(json.written_otherwise);
    assert_int_equal(mw_json_string(&json, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void what_is_no_utf8_is_replaced_when_that_is_wanted(void **state) {
    (void)state;
    static const char text[] = "\"a\xff\xc3\\ud800\\udc00\\udc00\\ud800x\xe2\x82\"";
    static const char expected[] = "a" BAD BAD "\xf0\x90\x80\x80" BAD BAD "x" BAD BAD;
    char out[3 * sizeof text];
    struct mw_json json = reading(text, sizeof text - 1);
    json.replace = true;
    assert_int_equal(mw_json_next(&json), MW_JSON_STRING);
    assert_int_equal(mw_json_string(&json, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    assert_int_equal(mw_json_next(&json), MW_JSON_END);
}

static void the_depth_has_a_limit(void **state) {
    (void)state;
    char text[42];
    memset(text, '[', 20);
    memset(text + 20, ']', 20);
    text[40] = '\0';
    assert_string_equal(tokens_of(text), "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]].");
    struct mw_json json = reading("[[[", 3);
    json.depth_limit = 2;
    assert_int_equal(mw_json_next(&json), MW_JSON_ARRAY);
    assert_int_equal(mw_json_next(&json), MW_JSON_ARRAY);
    assert_false(json.too_deep);
    assert_int_equal(mw_json_next(&json), MW_JSON_FAULT);
    assert_true(json.too_deep);
    assert_int_equal(json.start, 2);
}

static void positions_count_lines_and_characters(void **state) {
    (void)state;
    size_t line, column;
    struct mw_json json = reading("[\n \"\xc3\xa9\" x", 9);
    mw_json_position(&json, 0, &line, &column);
    assert_true(line == 1 && column == 1);
    mw_json_position(&json, 8, &line, &column);
    assert_true(line == 2 && column == 6);
}

static void utf8_is_what_the_rfc_says(void **state) {
    (void)state;
    char text[4];
    for (uint32_t point = 0; point < 0x110000; point++) {
        bool surrogate = point >= 0xD800 && point < 0xE000;
        size_t length = mw_utf8_write(point, text);
        assert_int_equal(mw_utf8_length(text, length), surrogate ? 0 : length);
        assert_int_equal(length > 1 ? mw_utf8_length(text, length - 1) : 0, 0);
    }
    static const char *const bad[] = {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82("};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mw_utf8_length(bad[i], strlen(bad[i])), 0);
    }
}

static uint64_t seed = 7;

static unsigned pseudo_random(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* Reads all tokens of a text that lies in a room of its own size, with the NUL. */
static void read_all(const char *text, size_t length, bool replace) {
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct mw_json json = reading(copy, length);
    json.replace = replace;
    for (enum mw_json_token token = mw_json_next(&json); token != MW_JSON_END; token = mw_json_next(&json)) {
        if (token == MW_JSON_FAULT) {
            assert_true(json.start <= length);
            break;
        }
        if (token == MW_JSON_STRING || token == MW_JSON_KEY) {
            size_t room = json.string_length * (replace ? 3 : 1);
            char *out = malloc(room + 1);
            assert_non_null(out);
            assert_true(mw_json_string(&json, out) <= room);
            free(out);
        }
    }
    free(copy);
}

static void no_bytes_harm_the_reader(void **state) {
    (void)state;
    static const char base[] = "{\"a\\u00e9\":[1,-2.5e3,true,null,\"\\ud83d\\ude00x\"],\"b\":{\"c\":\"\xc3\xa9\"}}";
    static const char likely[] = "{}[]\",:\\u0deE-+.1ntf \n\xff\xc3";
    for (int turn = 0; turn < 50000; turn++) {
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        size_t length = pseudo_random(4) ? sizeof base - 1 : pseudo_random(sizeof base);
        for (unsigned changes = pseudo_random(4); changes > 0; changes--) {
            text[pseudo_random(sizeof base - 1)] = likely[pseudo_random(sizeof likely - 1)];
        }
        read_all(text, length, turn % 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_tokens),
        cmocka_unit_test(what_is_no_json_is_refused_where_it_is),
        cmocka_unit_test(integers_have_64_bits),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(what_is_no_utf8_is_replaced_when_that_is_wanted),
        cmocka_unit_test(the_depth_has_a_limit),
        cmocka_unit_test(positions_count_lines_and_characters),
        cmocka_unit_test(utf8_is_what_the_rfc_says),
        cmocka_unit_test(no_bytes_harm_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
