/* layers: base proto */
/* The small texts of HTTP: dates, paths, reasons, and what may be sent. */
#include "proto/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

static void dates_are_written(void **state) {
    (void)state;
    char text[MW_HTTP1_DATE];
    mw_http1_date(text, 784111777);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    mw_http1_date(text, 0);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    mw_http1_date(text, 951782400);
    assert_string_equal(text, "Tue, 29 Feb 2000 00:00:00 GMT");
    mw_http1_date(text, (time_t)INT64_MAX);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void dates_are_read_in_three_forms(void **state) {
    (void)state;
    static const struct {
        const char *text;
        time_t moment;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},  {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},       {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},          {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        time_t moment = 1;
        assert_true(mw_http1_parse_date(cases[i].text, strlen(cases[i].text), &moment));
        assert_int_equal(moment, cases[i].moment);
    }
}

static void what_is_no_date_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "784111777",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1900 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994  8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Someday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov 06 08-49-37 1994",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        time_t moment;
        if (mw_http1_parse_date(texts[i], strlen(texts[i]), &moment)) {
            fail_msg("taken: %s", texts[i]);
        }
    }
    time_t moment;
    assert_false(mw_http1_parse_date(BYTES("Sun, 06 Nov 1994\0 08:49:37 GM"), &moment));
}

static void what_was_written_is_read(void **state) {
    (void)state;
    for (time_t moment = -2000000000; moment < 5000000000; moment += 12345678) {
        char text[MW_HTTP1_DATE];
        time_t again;
        mw_http1_date(text, moment);
        assert_true(mw_http1_parse_date(text, strlen(text), &again));
        assert_int_equal(again, moment);
    }
}

/* Decodes in memory of the size that is asked for. */
static size_t decode(char *path, const char *text) {
    size_t size = strlen(text);
    char *room = malloc(size ? size : 1);
    size_t length = mw_http1_decode_path(room, text, size);
    assert_true(length <= (size ? size : 1));
    memcpy(path, room, length);
    path[length] = '\0';
    free(room);
    return length;
}

static void paths_are_decoded(void **state) {
    (void)state;
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"", "/"},
        {"/", "/"},
        {"//", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/a//b/../c", "/a/c"},
        {"/a/.", "/a/"},
        {"/a/..", "/"},
        {"/a/b/..", "/a/"},
        {"/./a", "/a"},
        {"/a%20b%C3%BC", "/a b\xc3\xbc"},
        {"/%61%2e", "/a."},
        {"/a/%2E%2e/b", "/b"},
        {"/a%2Fb%2f", "/a%2Fb%2f"},
        {"/a%2F../b", "/a%2F../b"},
        {"/%252e", "/%2e"},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
        {"/%3F%23", "/?#"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        assert_true(decode(path, cases[i].text) > 0);
        assert_string_equal(path, cases[i].path);
    }
}

static void bad_paths_are_none(void **state) {
    (void)state;
    static const char *const texts[] = {"a",     "*",     "/%",         "/%4",         "/%4x",      "/%x4",
                                        "/%00",  "/a%00", "/..",        "/a/../..",    "/../a",     "/.%2e",
                                        "/%2e.", "//..",  "/a/./../..", "/%2e%2e/etc", "/a/%zz/..", "/%+1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char path[64];
        if (decode(path, texts[i])) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

static void reasons_are_those_of_the_registry(void **state) {
    (void)state;
    assert_string_equal(mw_http1_reason(200), "OK");
    assert_string_equal(mw_http1_reason(404), "Not Found");
    assert_string_equal(mw_http1_reason(431), "Request Header Fields Too Large");
    assert_string_equal(mw_http1_reason(511), "Network Authentication Required");
    static const int none[] = {-100, -1,  0,   99,  104,  199,       306,      418,
                               430,  512, 599, 600, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_string_equal(mw_http1_reason(none[i]), "");
    }
}

static void what_may_be_sent_is_known(void **state) {
    (void)state;
    assert_true(mw_http1_is_token(BYTES("X-a.b!")));
    assert_false(mw_http1_is_token(BYTES("")));
    assert_false(mw_http1_is_token(BYTES("a b")));
    assert_false(mw_http1_is_token(BYTES("a:")));
    assert_false(mw_http1_is_token(BYTES("\xc3")));
    assert_true(mw_http1_is_value(BYTES("")));
    assert_true(mw_http1_is_value(BYTES("a\tb \xc3\xbc")));
    assert_false(mw_http1_is_value(BYTES(" a")));
    assert_false(mw_http1_is_value(BYTES("a\t")));
    assert_false(mw_http1_is_value(BYTES("a\r\nb: c")));
    assert_false(mw_http1_is_value(BYTES("a\0")));
    assert_false(mw_http1_is_value(BYTES("\x7f")));
    assert_true(mw_http1_is_target(BYTES("/a?b")));
    assert_false(mw_http1_is_target(BYTES("")));
    assert_false(mw_http1_is_target(BYTES("/a b")));
    assert_false(mw_http1_is_target(BYTES("/a#b")));
    assert_false(mw_http1_is_target(BYTES("/\xc3")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(dates_are_read_in_three_forms),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(paths_are_decoded),
        cmocka_unit_test(bad_paths_are_none),
        cmocka_unit_test(reasons_are_those_of_the_registry),
        cmocka_unit_test(what_may_be_sent_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
