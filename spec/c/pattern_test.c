/* layers: base */
/* The property specs of spec/sandbox compare with Lua's own matcher; here is what
 * they cannot see: the budget, the depth, and texts that no zero byte ends. */
#include "base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLENTY = 1000000 };

static struct mw_pattern matcher;

/* Copies without an end mark, so that reading past the end is seen by a sanitizer. */
static char *bare(const char *text) {
    size_t length = strlen(text);
    char *copy = malloc(length + (length == 0));
    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

/* Where the pattern is found: from, and before which offset; -1: nowhere, -2: fault. */
static int find(const char *subject, const char *text, int *end_offset) {
    char *s = bare(subject), *p = bare(text);
    const char *at = s, *end = s;
    mw_pattern_init(&matcher, s, strlen(subject), p, strlen(text), PLENTY);
    enum mw_pattern_result result = mw_pattern_find(&matcher, &at, &end);
    *end_offset = (int)(end - s);
    int found = result == MW_PATTERN_MATCHES ? (int)(at - s) : result == MW_PATTERN_FAULT ? -2 : -1;
    free(s);
    free(p);
    return found;
}

static void assert_found(const char *subject, const char *text, int from, int before) {
    int end;
    assert_int_equal(find(subject, text, &end), from);
    assert_int_equal(end, before);
}

static void assert_absent(const char *subject, const char *text) {
    int end;
    assert_int_equal(find(subject, text, &end), -1);
}

static void assert_fault(const char *subject, const char *text, const char *fault) {
    int end;
    assert_int_equal(find(subject, text, &end), -2);
    assert_string_equal(matcher.fault, fault);
}

static void items_match(void **state) {
    (void)state;
    assert_found("hello", "l+", 2, 4);
    assert_found("hello", "l-o", 2, 5);
    assert_found("key = value", "(%w+)%s*=%s*(%w+)", 0, 11);
    assert_int_equal(matcher.captures, 2);
    assert_int_equal(matcher.capture[1].length, 5);
    assert_found("f(a(b)c)d", "%b()", 1, 8);
    assert_found("THE (quick) fox", "%f[%a]%a+%f[%A]", 0, 3);
    assert_found("say \"it\" now", "([\"'])(.-)%1", 4, 8);
    assert_found("a]b", "[]]", 1, 2);
    assert_found("a-b", "[a-]b?-", 0, 2);
    assert_found("abc", "", 0, 0);
    assert_absent("abc", "d");
    assert_absent("abc", "b$");
    assert_absent("", ".");
}

static void faults_are_told(void **state) {
    (void)state;
    assert_fault("a", "[a", "malformed pattern (missing ']')");
    assert_fault("a", "[", "malformed pattern (missing ']')");
    assert_fault("a", "[^", "malformed pattern (missing ']')");
    assert_fault("a", "[a%", "malformed pattern (missing ']')");
    assert_fault("a", "%", "malformed pattern (ends with '%')");
    assert_fault("a", "%b", "malformed pattern (missing arguments to '%b')");
    assert_fault("a", "%bx", "malformed pattern (missing arguments to '%b')");
    assert_fault("a", "%f", "missing '[' after '%f' in pattern");
    assert_fault("a", "a)", "invalid pattern capture");
    assert_fault("a", "(a%1", "invalid capture index %1");
}

static void what_is_not_reached_is_no_fault(void **state) {
    (void)state;
    assert_absent("a", "b[");
    assert_absent("a", "b%");
}

/* Both would take longer than the world has been there. */
static void backtracking_ends_with_the_budget(void **state) {
    char subject[3001], text[201];
    (void)state;
    memset(subject, 'a', 3000);
    subject[3000] = '\0';
    assert_fault(subject, ".-.-.-.-b", "matching this pattern takes too many steps");
    subject[60] = '\0';
    for (int i = 0; i < 60; i++) {
        memcpy(text + 2 * i, "a?", 2);
    }
    memset(text + 120, 'a', 60);
    text[180] = '\0';
    assert_fault(subject, text, "matching this pattern takes too many steps");
    assert_int_equal(matcher.steps, 0);
}

/* A long set, a long stretch in brackets, a long capture cost what they are long. */
static void long_items_are_charged_for(void **state) {
    size_t size = 100000;
    char *subject = malloc(size + 1), *text = malloc(size + 4);
    const char *at, *end;
    (void)state;
    assert_non_null(subject);
    assert_non_null(text);
    memset(subject, 'a', size);
    memset(text, 'b', size + 3);
    text[0] = '[';
    text[size] = ']';
    at = subject;
    mw_pattern_init(&matcher, subject, size, text, size + 1, PLENTY);
    assert_int_equal(mw_pattern_find(&matcher, &at, &end), MW_PATTERN_FAULT);
    at = subject;
    mw_pattern_init(&matcher, subject, size, "%bab", 4, PLENTY);
    assert_int_equal(mw_pattern_find(&matcher, &at, &end), MW_PATTERN_FAULT);
    at = subject;
    mw_pattern_init(&matcher, subject, size, "^(a*)-%1b", 9, PLENTY);
    assert_int_equal(mw_pattern_find(&matcher, &at, &end), MW_PATTERN_DIFFERS);
    free(subject);
    free(text);
}

/* As in Lua itself: a pattern with more repeated items than that is refused. */
static void depth_is_bounded(void **state) {
    char subject[MW_PATTERN_DEPTH + 2], text[2 * MW_PATTERN_DEPTH + 3];
    (void)state;
    memset(subject, 'a', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    for (int i = 0; i <= MW_PATTERN_DEPTH; i++) {
        memcpy(text + 2 * i, "a?", 2);
    }
    text[2 * MW_PATTERN_DEPTH] = '\0';
    assert_found(subject, text, 0, MW_PATTERN_DEPTH);
    memcpy(text + 2 * MW_PATTERN_DEPTH, "a?", 3);
    assert_fault(subject, text, "pattern too complex");
}

static void captures_are_bounded(void **state) {
    char text[2 * MW_PATTERN_CAPTURES + 3];
    (void)state;
    for (int i = 0; i <= MW_PATTERN_CAPTURES; i++) {
        memcpy(text + 2 * i, "()", 3);
    }
    assert_fault("", text, "too many captures");
    text[2 * MW_PATTERN_CAPTURES] = '\0';
    assert_found("", text, 0, 0);
}

/* What was noted on a way that failed is forgotten on the next. */
static void captures_of_a_failed_way_are_undone(void **state) {
    (void)state;
    assert_found("aab", "(a*)(a)b", 0, 3);
    assert_int_equal(matcher.capture[0].length, 1);
    assert_int_equal(matcher.capture[1].length, 1);
    assert_found("xay", "x?(x?)a", 0, 2);
    assert_int_equal(matcher.capture[0].length, 0);
}

static void plain_texts_are_known(void **state) {
    (void)state;
    assert_true(mw_pattern_is_plain("abc]{}", 6));
    assert_true(mw_pattern_is_plain("a\0b", 3));
    assert_false(mw_pattern_is_plain("a\0.", 3));
    assert_false(mw_pattern_is_plain("a-", 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_match),
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(what_is_not_reached_is_no_fault),
        cmocka_unit_test(backtracking_ends_with_the_budget),
        cmocka_unit_test(long_items_are_charged_for),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(captures_are_bounded),
        cmocka_unit_test(captures_of_a_failed_way_are_undone),
        cmocka_unit_test(plain_texts_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
