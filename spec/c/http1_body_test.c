/* layers: base proto */
/* Bodies: lengths, and chunks however they are cut. */
#include "proto/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

static char data[256 * 1024], trailer[16 * 1024];
static size_t data_size, trailer_size, rest;
static struct mw_http1_body body;

static void begin(int framing, uint64_t length) {
    struct mw_http1_head head = {.framing = (uint8_t)framing, .length = length};
    mw_http1_body_start(&body, &head);
    data_size = trailer_size = 0;
}

/* Decodes bytes that come `step` at a time (0: all at once), as a stream gives them: what is not used stays.
 */
static enum mw_http1_result decode(const char *bytes, size_t size, size_t step) {
    enum mw_http1_result result = MW_HTTP1_MORE;
    size_t used = 0;
    for (size_t there = step ? step : size; result == MW_HTTP1_MORE; there += step) {
        there = there < size ? there : size;
        char *copy = malloc(there - used + 1);
        struct mw_http1_run run;
        memcpy(copy, bytes + used, there - used);
        result = mw_http1_body_next(&body, copy, there - used, &run);
        assert_true(run.start + run.data <= run.used && run.used <= there - used);
        memcpy(data + data_size, copy + run.start, run.data);
        data_size += run.data;
        if (run.trailer) {
            assert_true(run.trailer_at >= run.start + run.data && run.trailer_at + run.trailer <= run.used);
            memcpy(trailer, copy + run.trailer_at, run.trailer);
            trailer_size = run.trailer;
        }
        free(copy);
        used += run.used;
        if (there == size && run.used == 0) {
            break;
        }
        there -= step && run.used ? step : 0;
    }
    rest = size - used;
    return result;
}

static const struct {
    const char *bytes;
    size_t size;
    const char *data;
    size_t rest;
} valid[] = {
    {BYTES("0\r\n\r\n"), "", 0},
    {BYTES("5\r\nhello\r\n0\r\n\r\n"), "hello", 0},
    {BYTES("5\r\nhello\r\n0\r\n\r\nGET "), "hello", 4},
    {BYTES("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n"), "abcdef", 0},
    {BYTES("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789", 0},
    {BYTES("a\r\n0123456789\r\n00\r\n\r\n"), "0123456789", 0},
    {BYTES("0000000000000002\r\nab\r\n0000000000000000\r\n\r\n"), "ab", 0},
    {BYTES("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n", 0},
    {BYTES("2;a\r\nab\r\n0;b\r\n\r\n"), "ab", 0},
    {BYTES("2;a=b;c=\"d;\\\"e\\\\ \xc3\xbc\"\r\nab\r\n0\r\n\r\n"), "ab", 0},
    {BYTES("2 ; a = b\t;c\r\nab\r\n0\r\n\r\n"), "ab", 0},
    {BYTES("2;a=\"\"\r\nab\r\n0\r\n\r\n"), "ab", 0},
    {BYTES("1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\nX"), "a", 1},
    {BYTES("0\r\nA: b\r\n\r\n"), "", 0},
};

static void chunks_come_apart(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        for (size_t step = 0; step < valid[i].size; step++) {
            begin(MW_HTTP1_CHUNKED, 0);
            if (decode(valid[i].bytes, valid[i].size, step) != MW_HTTP1_DONE) {
                fail_msg("not complete in steps of %zu (%s): %s", step, body.why, valid[i].bytes);
            }
            assert_int_equal(data_size, strlen(valid[i].data));
            assert_memory_equal(data, valid[i].data, data_size);
            assert_int_equal(rest, valid[i].rest);
            assert_int_equal(body.data, data_size);
        }
    }
}

static void trailers_are_fields(void **state) {
    (void)state;
    struct mw_http1_field field;
    uint32_t at = 0;
    begin(MW_HTTP1_CHUNKED, 0);
    assert_int_equal(decode(BYTES("1\r\na\r\n0\r\nA: b\r\nCd:  e \r\n\r\n"), 0), MW_HTTP1_DONE);
    assert_true(mw_http1_next_field(trailer, (uint32_t)trailer_size, &at, &field));
    assert_memory_equal(field.value, "b", field.value_size);
    assert_true(mw_http1_next_field(trailer, (uint32_t)trailer_size, &at, &field));
    assert_int_equal(field.name_size, 2);
    assert_memory_equal(field.value, "e", field.value_size);
    assert_false(mw_http1_next_field(trailer, (uint32_t)trailer_size, &at, &field));
}

static const struct {
    const char *bytes;
    size_t size;
} invalid[] = {
    {BYTES("\r\n")},
    {BYTES("\n")},
    {BYTES(" 5\r\nhello\r\n")},
    {BYTES("5 \r\nhello\r\n")},
    {BYTES("5\nhello\r\n")},
    {BYTES("5\r\rhello\r\n")},
    {BYTES("5\r\nhello\n")},
    {BYTES("5\r\nhello\rx")},
    {BYTES("5\r\nhello0\r\n\r\n")},
    {BYTES("5\r\nhello\r\n\n")},
    {BYTES("+5\r\nhello\r\n")},
    {BYTES("-5\r\nhello\r\n")},
    {BYTES("0x5\r\nhello\r\n")},
    {BYTES("5h\r\nhello\r\n")},
    {BYTES("g\r\n")},
    {BYTES("5,5\r\nhello\r\n")},
    {BYTES("00000000000000005\r\nhello\r\n")},
    {BYTES("10000000000000000\r\nhello\r\n")},
    {BYTES("8000000000000000\r\nhello\r\n")},
    {BYTES("ffffffffffffffff\r\nhello\r\n")},
    {BYTES("5;\r\nhello\r\n")},
    {BYTES("5;;a\r\nhello\r\n")},
    {BYTES("5;a;\r\nhello\r\n")},
    {BYTES("5;a \r\nhello\r\n")},
    {BYTES("5;a=\r\nhello\r\n")},
    {BYTES("5;=b\r\nhello\r\n")},
    {BYTES("5;a=b c\r\nhello\r\n")},
    {BYTES("5;a=\"b\r\nhello\r\n")},
    {BYTES("5;a=\"b\\\"\r\nhello\r\n")},
    {BYTES("5;a=\"b\"c\r\nhello\r\n")},
    {BYTES("5;a=\"\\\x01\"\r\nhello\r\n")},
    {BYTES("5;a=\"\\\0\"\r\nhello\r\n")},
    {BYTES("5;a=\"\r\"\r\nhello\r\n")},
    {BYTES("5;a\rb\r\nhello\r\n")},
    {BYTES("5;a\0\r\nhello\r\n")},
    {BYTES("5;\xc3\xbc\r\nhello\r\n")},
    {BYTES("5\0\r\nhello\r\n")},
    {BYTES("0\r\n\n")},
    {BYTES("0\r\nA: b\n\r\n")},
    {BYTES("0\r\nA : b\r\n\r\n")},
    {BYTES("0\r\nA\r\n\r\n")},
    {BYTES("0\r\n: b\r\n\r\n")},
    {BYTES("0\r\n A: b\r\n\r\n")},
    {BYTES("0\r\nA: b\r\n c\r\n\r\n")},
    {BYTES("0\r\nA: \0\r\n\r\n")},
    {BYTES("0\r\nA: b\rC: d\r\n\r\n")},
    {BYTES("0\r\nContent-Length: 5\r\n\r\n")},
    {BYTES("0\r\ntransfer-encoding: chunked\r\n\r\n")},
    {BYTES("0\r\nHOST: a\r\n\r\n")},
    {BYTES("0\r\nA: b\r\nTrailer: A\r\n\r\n")},
    {BYTES("0\r\nAuthorization: x\r\n\r\n")},
    {BYTES("0\r\nGET / HTTP/1.1\r\n\r\n")},
};

static void odd_framing_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        for (size_t step = 0; step < invalid[i].size; step++) {
            begin(MW_HTTP1_CHUNKED, 0);
            if (decode(invalid[i].bytes, invalid[i].size, step) != MW_HTTP1_BAD) {
                fail_msg("taken in steps of %zu: %s", step, invalid[i].bytes);
            }
            assert_true(strlen(body.why) > 0);
        }
    }
}

static void a_cut_body_is_not_complete(void **state) {
    (void)state;
    static const char text[] = "5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        begin(MW_HTTP1_CHUNKED, 0);
        assert_int_equal(decode(text, size, 1), MW_HTTP1_MORE);
    }
}

static void the_last_run_comes_with_the_end(void **state) {
    (void)state;
    static const char text[] = "5\r\nhello\r\n0\r\nA: b\r\n\r\nrest";
    struct mw_http1_run run;
    begin(MW_HTTP1_CHUNKED, 0);
    assert_int_equal(mw_http1_body_next(&body, BYTES(text), &run), MW_HTTP1_DONE);
    assert_int_equal(run.start, 3);
    assert_int_equal(run.data, 5);
    assert_int_equal(run.trailer_at, 13);
    assert_int_equal(run.trailer, 6);
    assert_int_equal(run.used, sizeof text - 1 - 4);
}

static void lengths_are_kept(void **state) {
    (void)state;
    begin(MW_HTTP1_LENGTH, 5);
    assert_int_equal(decode(BYTES("helloGET"), 1), MW_HTTP1_DONE);
    assert_int_equal(data_size, 5);
    assert_int_equal(rest, 3);
    begin(MW_HTTP1_LENGTH, 5);
    assert_int_equal(decode(BYTES("hell"), 0), MW_HTTP1_MORE);
    begin(MW_HTTP1_LENGTH, 0);
    assert_int_equal(decode(BYTES("GET"), 0), MW_HTTP1_DONE);
    assert_int_equal(rest, 3);
    begin(MW_HTTP1_EMPTY, 0);
    assert_int_equal(decode(BYTES("GET"), 0), MW_HTTP1_DONE);
    assert_int_equal(rest, 3);
    begin(MW_HTTP1_UNTIL_END, 0);
    assert_int_equal(decode(BYTES("all of it"), 0), MW_HTTP1_MORE);
    assert_int_equal(data_size, 9);
}

static void framing_is_capped_in_proportion_to_the_data(void **state) {
    (void)state;
    struct mw_http1_run run;
    enum mw_http1_result result = MW_HTTP1_MORE;
    char line[1200];
    begin(MW_HTTP1_CHUNKED, 0);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(mw_http1_body_next(&body, BYTES("1\r\na\r\n"), &run), MW_HTTP1_MORE);
        assert_int_equal(run.used, 6);
    }
    begin(MW_HTTP1_CHUNKED, 0);
    int size = snprintf(line, sizeof line, "1;%0900d\r\na\r\n", 1), count = 0;
    for (; result == MW_HTTP1_MORE; count++) {
        result = mw_http1_body_next(&body, line, (size_t)size, &run);
    }
    assert_int_equal(result, MW_HTTP1_BAD);
    assert_in_range(count, 70, 80);
}

static void lines_and_trailers_are_capped(void **state) {
    (void)state;
    static char text[20000];
    begin(MW_HTTP1_CHUNKED, 0);
    memset(text, 'a', sizeof text);
    memcpy(text, "5;", 2);
    assert_int_equal(decode(text, 1023, 100), MW_HTTP1_MORE);
    assert_int_equal(decode(text, 1024, 0), MW_HTTP1_BAD);
    begin(MW_HTTP1_CHUNKED, 0);
    memcpy(text, "0\r\nA:", 5);
    assert_int_equal(decode(text, sizeof text, 0), MW_HTTP1_BAD);
    begin(MW_HTTP1_CHUNKED, 0);
    for (size_t at = 3; at + 5 < sizeof text; at += 5) {
        memcpy(text + at, "A:b\r\n", 5);
    }
    assert_int_equal(decode(text, 3 + 5 * 100, 0), MW_HTTP1_MORE);
    begin(MW_HTTP1_CHUNKED, 0);
    assert_int_equal(decode(text, 3 + 5 * 101, 0), MW_HTTP1_BAD);
}

static void chunk_lines_are_written(void **state) {
    (void)state;
    static const struct {
        size_t size;
        const char *line;
    } cases[] = {{0, "0\r\n"},    {9, "9\r\n"},       {10, "a\r\n"},
                 {255, "ff\r\n"}, {4096, "1000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[MW_HTTP1_CHUNK_LINE];
        assert_int_equal(mw_http1_chunk_line(line, cases[i].size), strlen(cases[i].line));
        assert_memory_equal(line, cases[i].line, strlen(cases[i].line));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_come_apart),
        cmocka_unit_test(trailers_are_fields),
        cmocka_unit_test(odd_framing_is_refused),
        cmocka_unit_test(a_cut_body_is_not_complete),
        cmocka_unit_test(the_last_run_comes_with_the_end),
        cmocka_unit_test(lengths_are_kept),
        cmocka_unit_test(framing_is_capped_in_proportion_to_the_data),
        cmocka_unit_test(lines_and_trailers_are_capped),
        cmocka_unit_test(chunk_lines_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
