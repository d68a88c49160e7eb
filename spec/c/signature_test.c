/* layers: base proto */
#include "proto/signature.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

static struct mw_signature bytes_of(const char *text, uint64_t within) {
    return (struct mw_signature){.text = text, .size = strlen(text), .within = within};
}

static struct mw_signature regex_of(const char *text, uint64_t within) {
    return (struct mw_signature){.text = text, .size = strlen(text), .is_regex = true, .within = within};
}

static struct mw_signatures *set_of(const struct mw_signature *list, size_t count) {
    size_t wrong;
    char why[128];
    struct mw_signatures *set = mw_signatures_new(list, count, &wrong, why);
    if (!set) {
        fail_msg("%zu: %s", wrong, why);
    }
    return set;
}

/* What was reported: a letter for each, of "0" found, and "!" behind one that gave up. */
static char heard[2 * MOST];

static void hear(void *context, size_t number, enum mw_scan_result result) {
    (void)context;
    size_t length = strlen(heard);
    snprintf(heard + length, sizeof heard - length, "%c%s", (int)('0' + number), result == MW_SCAN_FOUND ? "" : "!");
}

/* Feeds pieces of that size, and says what was reported. */
static const char *scan_in_pieces(struct mw_signatures *set, const char *text, size_t piece) {
    struct mw_scan *scan = mw_scan_new(set);
    assert_non_null(scan);
    size_t size = strlen(text), at = 0;
    heard[0] = '\0';
    do {
        size_t next = size - at < piece ? size - at : piece;
        char *copy = malloc(next + 1);
        memcpy(copy + 1, text + at, next);
        mw_scan_feed(scan, copy + 1, next, at + next == size, hear, NULL);
        free(copy);
        at += next;
    } while (at < size);
    mw_scan_free(scan);
    return heard;
}

static void expect(const struct mw_signature *list, size_t count, const char *text, const char *expected) {
    struct mw_signatures *set = set_of(list, count);
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        const char *found = scan_in_pieces(set, text, piece);
        if (strcmp(found, expected) != 0) {
            fail_msg("\"%s\" in pieces of %zu: \"%s\", not \"%s\"", text, piece, found, expected);
        }
    }
    mw_signatures_free(set);
}

static void expect_one(struct mw_signature signature, const char *text, bool found) {
    expect(&signature, 1, text, found ? "0" : "");
}

static void finds_bytes_however_they_come(void **state) {
    (void)state;
    const struct mw_signature list[] = {bytes_of("he", 99), bytes_of("she", 99), bytes_of("his", 99),
                                        bytes_of("hers", 99), bytes_of("e", 99)};
    expect(list, 5, "ushers", "1043");
    expect(list, 5, "hishe", "2104");
    expect(list, 5, "xyz", "");
}

static void finds_bytes_that_several_look_for(void **state) {
    (void)state;
    const struct mw_signature list[] = {bytes_of("abc", 99), bytes_of("abc", 4), bytes_of("bc", 99)};
    expect(list, 3, "abc", "102");
    expect(list, 3, "xxabc", "02");
}

static void looks_no_further_than_it_is_told(void **state) {
    (void)state;
    expect_one(bytes_of("abc", 5), "xxabc", true);
    expect_one(bytes_of("abc", 5), "xxxabc", false);
    expect_one(regex_of("abc", 5), "xxabc", true);
    expect_one(regex_of("abc", 5), "xxxabc", false);
    expect_one(regex_of("ab+", 5), "xxabbbb", true);
    expect_one(regex_of("abc$", 5), "xxabcd", false);
}

static void finds_zero_bytes(void **state) {
    (void)state;
    const struct mw_signature list[] = {{.text = "a\0b", .size = 3, .within = 99},
                                        {.text = "a\\x00b", .size = 6, .is_regex = true, .within = 99}};
    struct mw_signatures *set = set_of(list, 2);
    struct mw_scan *scan = mw_scan_new(set);
    heard[0] = '\0';
    mw_scan_feed(scan, "xa\0", 3, false, hear, NULL);
    mw_scan_feed(scan, "by", 2, false, hear, NULL);
    assert_string_equal(heard, "01");
    assert_true(mw_scan_is_done(scan));
    mw_scan_free(scan);
    mw_signatures_free(set);
}

static void finds_expressions_however_they_come(void **state) {
    (void)state;
    expect_one(regex_of("\\$\\{jndi:(ldap|rmi)", 99), "x ${jndi:rmi://", true);
    expect_one(regex_of("\\$\\{jndi:(ldap|rmi)", 99), "x ${jndi:http://", false);
    expect_one(regex_of("(?i)union\\s+select", 99), "id=1 UnIoN \t sElEcT 1", true);
    expect_one(regex_of("a.*z", 99), "__a_________________z", true);
    expect_one(regex_of("a.*z", 99), "__a____\n____________z", false);
    expect_one(regex_of("[0-9]{4,6}x", 99), "12 123 1234567x", true);
}

static void an_expression_knows_where_the_stream_begins_and_ends(void **state) {
    (void)state;
    expect_one(regex_of("^GET", 99), "GET /", true);
    expect_one(regex_of("^GET", 99), " GET /", false);
    expect_one(regex_of("\\AGET", 99), "xGET /", false);
    expect_one(regex_of("(?m)^GET", 99), "x\nGET /", true);
    expect_one(regex_of("end$", 99), "the end", true);
    expect_one(regex_of("end$", 99), "the ending", false);
    expect_one(regex_of("\\bevil\\b", 99), "an evil", true);
    expect_one(regex_of("\\bevil\\b", 99), "an evil one", true);
    expect_one(regex_of("\\bevil\\b", 99), "an evildoer", false);
    expect_one(regex_of("(?<=abc)def", 99), "xabcdef", true);
    expect_one(regex_of("(?<=abc)def", 99), "xabdef", false);
    expect_one(regex_of("(?<!a)b", 99), "abab", false);
    expect_one(regex_of("^$", 99), "", true);
}

static void an_expression_that_takes_too_long_gives_up(void **state) {
    (void)state;
    const struct mw_signature list[] = {regex_of("(a+)+$", 9999), bytes_of("b", 9999)};
    struct mw_signatures *set = set_of(list, 2);
    char text[101];
    memset(text, 'a', 100);
    text[99] = 'b';
    text[100] = '\0';
    assert_string_equal(scan_in_pieces(set, text, 200), "10!");
    mw_signatures_free(set);
}

/* From each byte it takes less than the most that it may, but there are many. */
static void expressions_share_so_many_steps(void **state) {
    (void)state;
    const struct mw_signature list[] = {regex_of("[ab]{0,120}[ab]{0,120}[bc]d", 99999)};
    struct mw_signatures *set = set_of(list, 1);
    char text[20001];
    memset(text, 'a', 20000);
    memcpy(text + 19998, "ed", 3);
    assert_string_equal(scan_in_pieces(set, text, sizeof text), "0!");
    assert_string_equal(scan_in_pieces(set, text, 7), "0!");
    memcpy(text + 140, "cd", 3); /* what is short has enough of them */
    assert_string_equal(scan_in_pieces(set, text, sizeof text), "0");
    assert_string_equal(scan_in_pieces(set, text, 7), "0");
    mw_signatures_free(set);
}

/* The window is of fixed size: what began long ago is forgotten, and what comes then is found. */
static void an_expression_sees_so_far_back_and_no_further(void **state) {
    (void)state;
    enum { FAR = MW_SIGNATURE_WINDOW + 1000 };
    const struct mw_signature list[] = {regex_of("(?s)a[^b]*z", 1000000), regex_of("(?<=c)z", 1000000)};
    struct mw_signatures *set = set_of(list, 2);
    char *text = malloc(FAR + 3);
    memset(text, 'x', FAR);
    text[0] = 'a';
    memcpy(text + FAR, "cz", 3);
    assert_string_equal(scan_in_pieces(set, text, 100), "1");
    text[FAR - 500] = 'a';
    assert_string_equal(scan_in_pieces(set, text, 100), "01");
    free(text);
    mw_signatures_free(set);
}

static void is_done_when_nothing_can_be_found(void **state) {
    (void)state;
    const struct mw_signature list[] = {bytes_of("ab", 4), regex_of("cd", 6)};
    struct mw_signatures *set = set_of(list, 2);
    struct mw_scan *scan = mw_scan_new(set);
    heard[0] = '\0';
    mw_scan_feed(scan, "abxxx", 5, false, hear, NULL);
    assert_string_equal(heard, "0");
    assert_false(mw_scan_is_done(scan));
    mw_scan_feed(scan, "c", 1, false, hear, NULL);
    assert_true(mw_scan_is_done(scan));
    mw_scan_feed(scan, "d", 1, true, hear, NULL);
    assert_string_equal(heard, "0");
    mw_scan_free(scan);
    mw_signatures_free(set);
}

static void expect_wrong(const struct mw_signature *list, size_t count, size_t place, const char *reason) {
    size_t wrong;
    char why[128];
    assert_null(mw_signatures_new(list, count, &wrong, why));
    assert_int_equal(wrong, place);
    if (!strstr(why, reason)) {
        fail_msg("\"%s\" does not say \"%s\"", why, reason);
    }
}

static void says_what_is_wrong(void **state) {
    (void)state;
    char endless[MW_SIGNATURE_REGEX_MOST + 2];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    const struct mw_signature open[] = {bytes_of("x", 1), regex_of("a(b", 1)};
    const struct mw_signature nothing[] = {bytes_of("", 1)};
    const struct mw_signature too_long[] = {bytes_of(endless, 1)};
    const struct mw_signature too_long_regex[] = {regex_of(endless, 1)};
    const struct mw_signature utf[] = {regex_of("(*UTF)a", 1)};
    expect_wrong(open, 2, 1, "at byte 4: missing closing parenthesis");
    expect_wrong(nothing, 1, 0, "1 to 1024 bytes");
    expect_wrong(too_long, 1, 0, "1 to 1024 bytes");
    expect_wrong(too_long_regex, 1, 0, "4096 bytes at most");
    expect_wrong(utf, 1, 0, "UTF");
    struct mw_signature many[17];
    for (int i = 0; i < 17; i++) {
        many[i] = (struct mw_signature){.text = endless, .size = MW_SIGNATURE_BYTES_MOST, .within = 1};
    }
    expect_wrong(many, 17, 16, "more than 16384");
}

static void an_empty_set_is_done(void **state) {
    (void)state;
    struct mw_signatures *set = set_of(NULL, 0);
    assert_string_equal(scan_in_pieces(set, "abc", 1), "");
    mw_signatures_free(set);
}

static void says_when_memory_is_out(void **state) {
    (void)state;
    const struct mw_signature list[] = {bytes_of("ab", 4), regex_of("cd", 6)};
    size_t wrong = 0;
    char why[128];
    for (int nth = 1;; nth++) {
        alloc_failure_arm(nth);
        struct mw_signatures *set = mw_signatures_new(list, 2, &wrong, why);
        struct mw_scan *scan = set ? mw_scan_new(set) : NULL;
        bool failed = alloc_failure_disarm();
        assert_int_equal(scan == NULL, failed);
        mw_scan_free(scan);
        mw_signatures_free(set);
        if (!failed) {
            break;
        }
    }
    mw_signatures_free(NULL);
    mw_scan_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_bytes_however_they_come),
        cmocka_unit_test(finds_bytes_that_several_look_for),
        cmocka_unit_test(looks_no_further_than_it_is_told),
        cmocka_unit_test(finds_zero_bytes),
        cmocka_unit_test(finds_expressions_however_they_come),
        cmocka_unit_test(an_expression_knows_where_the_stream_begins_and_ends),
        cmocka_unit_test(an_expression_that_takes_too_long_gives_up),
        cmocka_unit_test(expressions_share_so_many_steps),
        cmocka_unit_test(an_expression_sees_so_far_back_and_no_further),
        cmocka_unit_test(is_done_when_nothing_can_be_found),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(an_empty_set_is_done),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
