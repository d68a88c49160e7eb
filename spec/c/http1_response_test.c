/* layers: base proto */
/* Heads of responses. */
#include "proto/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

enum question { TO_GET, TO_HEAD, TO_CONNECT };

static enum mw_http1_result parse(struct mw_http1_head *head, const char *bytes, size_t size,
                                  enum question question) {
    char *copy = malloc(size + 1);
    memcpy(copy + 1, bytes, size);
    enum mw_http1_result result = mw_http1_parse_response(head, copy + 1, size, &mw_http1_default_limits,
                                                          question == TO_HEAD, question == TO_CONNECT);
    free(copy);
    return result;
}

static const struct {
    const char *bytes;
    size_t size;
    enum question question;
    int framing;
    bool keeps_alive;
} valid[] = {
    {BYTES("HTTP/1.1 200 OK\r\n\r\n"), TO_GET, MW_HTTP1_UNTIL_END, false},
    {BYTES("HTTP/1.1 200 \r\n\r\n"), TO_GET, MW_HTTP1_UNTIL_END, false},
    {BYTES("HTTP/1.1 200\r\n\r\n"), TO_GET, MW_HTTP1_UNTIL_END, false},
    {BYTES("HTTP/1.0 599  \t\xc3\xbc x\r\n\r\n"), TO_GET, MW_HTTP1_UNTIL_END, false},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), TO_GET, MW_HTTP1_LENGTH, true},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), TO_GET, MW_HTTP1_LENGTH, true},
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), TO_GET, MW_HTTP1_LENGTH, false},
    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), TO_GET, MW_HTTP1_LENGTH,
     true},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"), TO_GET, MW_HTTP1_LENGTH,
     false},
    {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), TO_GET, MW_HTTP1_CHUNKED, true},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), TO_HEAD, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), TO_HEAD, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 200 OK\r\n\r\n"), TO_HEAD, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), TO_GET, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 204 No Content\r\n\r\n"), TO_GET, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), TO_GET, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), TO_GET, MW_HTTP1_EMPTY, false},
    {BYTES("HTTP/1.1 100 Continue\r\n\r\n"), TO_GET, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), TO_GET,
     MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 200 OK\r\n\r\n"), TO_CONNECT, MW_HTTP1_EMPTY, true},
    {BYTES("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n"), TO_CONNECT, MW_HTTP1_LENGTH, true},
    {BYTES("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nExpect: x\r\nContent-Length: 1\r\n\r\n"), TO_GET,
     MW_HTTP1_LENGTH, true},
};

static void what_is_right_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        for (size_t step = 0; step < valid[i].size; step++) {
            struct mw_http1_head head = {.size = 0};
            for (size_t there = step ? step : 1; there < valid[i].size; there += step ? valid[i].size : 1) {
                assert_int_equal(parse(&head, valid[i].bytes, there, valid[i].question), MW_HTTP1_MORE);
            }
            enum mw_http1_result result = parse(&head, valid[i].bytes, valid[i].size, valid[i].question);
            if (result != MW_HTTP1_DONE) {
                fail_msg("refused: %s: %s", head.why, valid[i].bytes);
            }
            assert_int_equal(head.framing, valid[i].framing);
            assert_int_equal(head.keeps_alive, valid[i].keeps_alive);
            assert_int_equal(head.size, valid[i].size);
        }
    }
}

static const struct {
    const char *bytes;
    size_t size;
} invalid[] = {
    {BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\n\n")},
    {BYTES("HTTP/1.1 200 OK\r\n\n")},
    {BYTES("HTTP/1.1 200 O\rK\r\n\r\n")},
    {BYTES("HTTP/1.1 200 O\0K\r\n\r\n")},
    {BYTES("HTTP/1.1 200 O\x7fK\r\n\r\n")},
    {BYTES("HTTP/1.1  200 OK\r\n\r\n")},
    {BYTES("HTTP/1.1\t200 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 200\tOK\r\n\r\n")},
    {BYTES("HTTP/1.1 20 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 2000 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 2x0 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 +20 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 099 OK\r\n\r\n")},
    {BYTES("HTTP/1.1 600 OK\r\n\r\n")},
    {BYTES("HTTP/1.1\r\n\r\n")},
    {BYTES("HTTP/1.1 \r\n\r\n")},
    {BYTES("HTTP/2.0 200 OK\r\n\r\n")},
    {BYTES("HTTP/1.2 200 OK\r\n\r\n")},
    {BYTES("http/1.1 200 OK\r\n\r\n")},
    {BYTES("ICY 200 OK\r\n\r\n")},
    {BYTES("SSH-2.0-OpenSSH\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")},
    {BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n")},
    {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
};

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        for (size_t step = 0; step < invalid[i].size; step++) {
            struct mw_http1_head head = {.size = 0};
            enum mw_http1_result result = MW_HTTP1_MORE;
            for (size_t there = step ? step : 1; there < invalid[i].size && result == MW_HTTP1_MORE;
                 there++) {
                result = parse(&head, invalid[i].bytes, there, TO_GET);
            }
            result =
                result == MW_HTTP1_MORE ? parse(&head, invalid[i].bytes, invalid[i].size, TO_GET) : result;
            if (result != MW_HTTP1_BAD) {
                fail_msg("taken: %s", invalid[i].bytes);
            }
        }
    }
}

static void a_head_says_what_was_answered(void **state) {
    (void)state;
    static const char text[] = "HTTP/1.0 404 Not there\r\nUpgrade: x\r\nContent-Length: 7\r\n\r\n";
    struct mw_http1_head head = {.size = 0};
    assert_int_equal(parse(&head, BYTES(text), TO_GET), MW_HTTP1_DONE);
    assert_int_equal(head.status, 404);
    assert_int_equal(head.minor, 0);
    assert_int_equal(head.reason.size, 9);
    assert_memory_equal(text + head.reason.at, "Not there", 9);
    assert_int_equal(head.length, 7);
    assert_int_equal(head.field_count, 2);
}

static void a_head_without_end_is_refused_at_the_limit(void **state) {
    (void)state;
    static char text[16 * 1024];
    struct mw_http1_head head = {.size = 0};
    memset(text, 'a', sizeof text);
    memcpy(text, BYTES("HTTP/1.1 200 "));
    assert_int_equal(parse(&head, text, sizeof text - 1, TO_GET), MW_HTTP1_MORE);
    assert_int_equal(parse(&head, text, sizeof text, TO_GET), MW_HTTP1_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_head_says_what_was_answered),
        cmocka_unit_test(a_head_without_end_is_refused_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
