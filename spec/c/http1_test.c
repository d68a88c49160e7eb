/* layers: base proto */
/* Heads of requests: what is taken and what is refused, however the bytes are cut. */
#include "proto/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof(text) - 1

/* The bytes lie in memory of their very size, so that a read behind them is seen by AddressSanitizer. */
static enum mw_http1_result parse(struct mw_http1_head *head, const char *bytes, size_t size) {
    char *copy = malloc(size + 1);
    memcpy(copy + 1, bytes, size);
    enum mw_http1_result result = mw_http1_parse_request(head, copy + 1, size, &mw_http1_default_limits);
    free(copy);
    return result;
}

/* What a call is told first, in two parts, and byte by byte comes to the same. */
static void assert_same(const char *bytes, size_t size, const struct mw_http1_head *whole,
                        enum mw_http1_result result) {
    for (size_t step = 0; step <= size; step++) {
        struct mw_http1_head head = {.size = 0};
        enum mw_http1_result cut = MW_HTTP1_MORE;
        for (size_t there = step ? step : 1; cut == MW_HTTP1_MORE && there < size; there += step ? size : 1) {
            cut = parse(&head, bytes, there);
        }
        cut = cut == MW_HTTP1_MORE ? parse(&head, bytes, size) : cut;
        assert_int_equal(cut, result);
        assert_int_equal(head.refusal, whole->refusal);
        assert_ptr_equal(head.why, whole->why);
        if (cut == MW_HTTP1_DONE) {
            head.parser = whole->parser;
            assert_memory_equal(&head, whole, sizeof head);
        }
    }
}

static void assert_part(const char *bytes, struct mw_http1_part part, const char *expected) {
    assert_int_equal(part.size, strlen(expected));
    assert_memory_equal(bytes + part.at, expected, part.size);
}

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *bytes;
    size_t size;
} valid[] = {
    {BYTES(GET HOST "\r\n")},
    {BYTES("\r\n" GET HOST "\r\n")},
    {BYTES("GET / HTTP/1.0\r\n\r\n")},
    {BYTES("GET / HTTP/1.0\r\nHost: a\r\n\r\n")},
    {BYTES("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("A!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n")},
    {BYTES("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")},
    {BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("CONNECT A.b:443 HTTP/1.1\r\nHost: a.B\r\n\r\n")},
    {BYTES("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n")},
    {BYTES("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n")},
    {BYTES("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET HTTP://A/b?c HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET https://a:8443 HTTP/1.1\r\nHost: a:8443\r\n\r\n")},
    {BYTES("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET http://a/ HTTP/1.0\r\n\r\n")},
    {BYTES("GET /a?b?c/../d HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /? HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET // HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /a/../b/./c HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /a%2fb%20c%C3%BC HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /-._~!$&'()*+,;=:@%41?-._~!$&'()*+,;=:@%41/? HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /?a[]={b}|^`c HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /... HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES("GET /.a/..b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {BYTES(GET "hOST:a\r\n\r\n")},
    {BYTES(GET "Host: \t a \t \r\n\r\n")},
    {BYTES(GET "Host:\r\n\r\n")},
    {BYTES(GET "Host: a.b-c_d~e\r\n\r\n")},
    {BYTES(GET "Host: a:80\r\n\r\n")},
    {BYTES(GET "Host: a:\r\n\r\n")},
    {BYTES(GET "Host: a:00080\r\n\r\n")},
    {BYTES(GET "Host: a:65535\r\n\r\n")},
    {BYTES(GET "Host: 127.0.0.1:8080\r\n\r\n")},
    {BYTES(GET "Host: [2001:db8::1]\r\n\r\n")},
    {BYTES(GET "Host: [::ffff:1.2.3.4]:80\r\n\r\n")},
    {BYTES(GET "Host: [v1f.a:b!]\r\n\r\n")},
    {BYTES(GET "Host: a%C3%BC!$&'()*+,;=b\r\n\r\n")},
    {BYTES(GET HOST "A:\r\n\r\n")},
    {BYTES(GET HOST "A:  \t  \r\n\r\n")},
    {BYTES(GET HOST "A: b\tc  d\r\n\r\n")},
    {BYTES(GET HOST "A: \xc3\xbc\xff\x80\r\n\r\n")},
    {BYTES(GET HOST "A: \"quoted \\\" (comment)\" <>@,;:\\/[]?={}\r\n\r\n")},
    {BYTES(GET HOST "A: b\r\nA: c\r\n\r\n")},
    {BYTES(GET HOST "!#$%&'*+-.^_`|~1: b\r\n\r\n")},
    {BYTES(GET HOST "A: 1234567\tand\t12345678\tor more\r\n\r\n")},
    {BYTES(GET HOST "Connection: close, \tx-Y ,\r\n\r\n")},
    {BYTES(GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")},
    {BYTES(GET HOST "Content-Length: 0\r\n\r\n")},
    {BYTES(POST "Content-Length: 5\r\n\r\n")},
    {BYTES(POST "Content-Length: 0005\r\n\r\n")},
    {BYTES(POST "Content-Length:5 \r\n\r\n")},
    {BYTES(POST "CONTENT-LENGTH: 999999999999999999\r\n\r\n")},
    {BYTES(POST "Transfer-Encoding: chunked\r\n\r\n")},
    {BYTES(POST "transfer-encoding: \t Chunked \r\n\r\n")},
    {BYTES(POST "Transfer-Encoding: chunked\r\nTrailer: A\r\nTE: trailers\r\n\r\n")},
    {BYTES(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n")},
    {BYTES("POST / HTTP/1.0\r\nExpect: the-spanish-inquisition\r\n\r\n")},
};

static void what_is_right_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        struct mw_http1_head head = {.size = 0};
        enum mw_http1_result result = parse(&head, valid[i].bytes, valid[i].size);
        if (result != MW_HTTP1_DONE) {
            fail_msg("refused with %d %s: %s", head.refusal, head.why, valid[i].bytes);
        }
        assert_int_equal(head.size, valid[i].size);
        assert_same(valid[i].bytes, valid[i].size, &head, result);
    }
}

static const struct {
    int status;
    const char *bytes;
    size_t size;
} invalid[] = {
    /* lines */
    {400, BYTES("\r\n\r\n" GET HOST "\r\n")},
    {400, BYTES("\n" GET HOST "\r\n")},
    {400, BYTES(" " GET HOST "\r\n")},
    {400, BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n")},
    {400, BYTES(GET "Host: a\n\r\n")},
    {400, BYTES(GET HOST "\n")},
    {400, BYTES(GET HOST "A: b\r\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\rc\r\n\r\n")},
    {400, BYTES(GET HOST "\rA: b\r\n\r\n")},
    {400, BYTES("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES(GET HOST "\r\r\n\r\n")},
    /* request lines */
    {400, BYTES("GET\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET \r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / \r\nHost: a\r\n\r\n")},
    {400, BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /  HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.1 \r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.1 x\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("G@T / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("G(T) / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET: / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("\xc3\xbc / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("\x16\x03\x01\x02\n")},
    {400, BYTES("HTTP/1.1 200 OK\r\n\r\n")},
    /* versions */
    {505, BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n")},
    {505, BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {505, BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n")},
    {505, BYTES("GET / HTTP/0.9\r\n\r\n")},
    {400, BYTES("GET / http/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1,1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/01.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.10\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/+1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTPS/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET / ICY\r\nHost: a\r\n\r\n")},
    /* targets */
    {400, BYTES("GET a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\\a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\"a\" HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /%?41 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET /%2E%2e/b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET //../b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET http://a/../b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET http:// HTTP/1.1\r\nHost:\r\n\r\n")},
    {400, BYTES("GET http:///a HTTP/1.1\r\nHost:\r\n\r\n")},
    {400, BYTES("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET file:///etc HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")},
    {400, BYTES("GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n")},
    {400, BYTES("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n")},
    {400, BYTES("GET http://a/ HTTP/1.1\r\n\r\n")},
    {400, BYTES("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT :443 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT a:443/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {400, BYTES("CONNECT [::1] HTTP/1.1\r\nHost: [::1]\r\n\r\n")},
    {400, BYTES("CONNECT http://a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")},
    {400, BYTES("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n")},
    {400, BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:44\r\n\r\n")},
    {400, BYTES("CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n")},
    /* hosts */
    {400, BYTES(GET "\r\n")},
    {400, BYTES(GET HOST HOST "\r\n")},
    {400, BYTES(GET HOST "Host:\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")},
    {400, BYTES(GET "Host: a b\r\n\r\n")},
    {400, BYTES(GET "Host: a,b\tc\r\n\r\n")},
    {400, BYTES(GET "Host: a/b\r\n\r\n")},
    {400, BYTES(GET "Host: http://a\r\n\r\n")},
    {400, BYTES(GET "Host: u@a\r\n\r\n")},
    {400, BYTES(GET "Host: a?b\r\n\r\n")},
    {400, BYTES(GET "Host: a#b\r\n\r\n")},
    {400, BYTES(GET "Host: a\\b\r\n\r\n")},
    {400, BYTES(GET "Host: \xc3\xbc\r\n\r\n")},
    {400, BYTES(GET "Host: a%2\r\n\r\n")},
    {400, BYTES(GET "Host: a%zz\r\n\r\n")},
    {400, BYTES(GET "Host: :80\r\n\r\n")},
    {400, BYTES(GET "Host: a:b\r\n\r\n")},
    {400, BYTES(GET "Host: a:-1\r\n\r\n")},
    {400, BYTES(GET "Host: a:65536\r\n\r\n")},
    {400, BYTES(GET "Host: a:99999999999999999999999999\r\n\r\n")},
    {400, BYTES(GET "Host: a:80:80\r\n\r\n")},
    {400, BYTES(GET "Host: ::1\r\n\r\n")},
    {400, BYTES(GET "Host: [::1\r\n\r\n")},
    {400, BYTES(GET "Host: []\r\n\r\n")},
    {400, BYTES(GET "Host: [a]\r\n\r\n")},
    {400, BYTES(GET "Host: [:::]\r\n\r\n")},
    {400, BYTES(GET "Host: [1.2.3.4]\r\n\r\n")},
    {400, BYTES(GET "Host: [fe80::1%25lo]\r\n\r\n")},
    {400, BYTES(GET "Host: [::1]a\r\n\r\n")},
    {400, BYTES(GET "Host: [v.a]\r\n\r\n")},
    {400, BYTES(GET "Host: [v1.]\r\n\r\n")},
    {400, BYTES(GET "Host: [1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20]\r\n\r\n")},
    /* fields */
    {400, BYTES(GET HOST ": b\r\n\r\n")},
    {400, BYTES(GET HOST "A\r\n\r\n")},
    {400, BYTES(GET HOST "A : b\r\n\r\n")},
    {400, BYTES(GET HOST "A\t: b\r\n\r\n")},
    {400, BYTES(GET HOST "A b: c\r\n\r\n")},
    {400, BYTES(GET " Host: a\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\r\n c\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\r\n\tc\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\r\n \r\n\r\n")},
    {400, BYTES(GET HOST "A(b): c\r\n\r\n")},
    {400, BYTES(GET HOST "A\xc3\xbc: c\r\n\r\n")},
    {400, BYTES(GET HOST "\"A\": c\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\0c\r\n\r\n")},
    {400, BYTES(GET HOST "A\0: b\r\n\r\n")},
    {400, BYTES(GET HOST "A: \x01\r\n\r\n")},
    {400, BYTES(GET HOST "A: 0123456789abcdef\x1f\r\n\r\n")},
    {400, BYTES(GET HOST "A: \x7f\r\n\r\n")},
    {400, BYTES(GET HOST "A: \x0b\r\n\r\n")},
    {400, BYTES(GET HOST "A: b\x0c\r\n\r\n")},
    /* framing */
    {400, BYTES(POST "Content-Length:\r\n\r\n")},
    {400, BYTES(POST "Content-Length: a\r\n\r\n")},
    {400, BYTES(POST "Content-Length: +5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: -5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5, 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5,\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 0x5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5.0\r\n\r\n")},
    {400, BYTES(POST "Content-Length: \"5\"\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 18446744073709551621\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked, gzip\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding:\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked;a=b\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked gzip\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding : chunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: gzip\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: identity\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {400, BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {417, BYTES(POST "Expect: the-spanish-inquisition\r\n\r\n")},
};

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        struct mw_http1_head head = {.size = 0};
        enum mw_http1_result result = parse(&head, invalid[i].bytes, invalid[i].size);
        if (result != MW_HTTP1_BAD || head.refusal != invalid[i].status) {
            fail_msg("%d with %d, not %d: %s", result, head.refusal, invalid[i].status, invalid[i].bytes);
        }
        assert_true(strlen(head.why) > 0);
        assert_same(invalid[i].bytes, invalid[i].size, &head, result);
    }
}

static void a_head_says_what_was_asked(void **state) {
    (void)state;
    static const char text[] = "\r\nPUT /a%20b/c?d=e&f HTTP/1.1\r\nHost: example.org:81\r\nConnection: x, UPGRADE\r\n"
                               "Upgrade:\twebsocket \r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\nGET";
    struct mw_http1_head head = {.size = 0};
    assert_int_equal(parse(&head, BYTES(text)), MW_HTTP1_DONE);
    assert_int_equal(head.size, sizeof text - 4);
    assert_part(text, head.method, "PUT");
    assert_part(text, head.target, "/a%20b/c?d=e&f");
    assert_part(text, head.path, "/a%20b/c");
    assert_part(text, head.query, "d=e&f");
    assert_part(text, head.host, "example.org:81");
    assert_part(text, head.upgrade, "websocket");
    assert_int_equal(head.field_count, 5);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.framing, MW_HTTP1_LENGTH);
    assert_int_equal(head.minor, 1);
    assert_true(head.has_query && head.keeps_alive && head.expects_continue);
}

static void a_url_as_target_is_taken_apart(void **state) {
    (void)state;
    static const char text[] = "GET http://a.b:1?c HTTP/1.1\r\nHost: A.b:1\r\nUpgrade: x\r\n\r\n";
    struct mw_http1_head head = {.size = 0};
    assert_int_equal(parse(&head, BYTES(text)), MW_HTTP1_DONE);
    assert_part(text, head.host, "a.b:1");
    assert_part(text, head.path, "");
    assert_part(text, head.query, "c");
    assert_int_equal(head.upgrade.size, 0);
    assert_int_equal(head.framing, MW_HTTP1_EMPTY);
}

static void connections_go_on_as_version_and_field_say(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool keeps_alive;
    } cases[] = {
        {GET HOST "\r\n", true},
        {GET HOST "Connection: close\r\n\r\n", false},
        {GET HOST "Connection: keep-alive\r\nConnection: Close\r\n\r\n", false},
        {GET HOST "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_http1_head head = {.size = 0};
        assert_int_equal(parse(&head, cases[i].bytes, strlen(cases[i].bytes)), MW_HTTP1_DONE);
        assert_int_equal(head.keeps_alive, cases[i].keeps_alive);
    }
}

static void fields_are_found(void **state) {
    (void)state;
    static const char text[] = GET "Host: a\r\nX-One:  1 \r\nx-two:\r\nX-ONE: 2\r\nX:y: z\r\n\r\nX-One: 3\r\n";
    struct mw_http1_head head = {.size = 0};
    struct mw_http1_field field;
    assert_int_equal(parse(&head, BYTES(text)), MW_HTTP1_DONE);
    uint32_t at = head.fields, count = 0;
    while (mw_http1_next_field(text, head.size, &at, &field)) {
        count++;
    }
    assert_int_equal(count, 5);
    at = head.fields;
    assert_true(mw_http1_find_field(text, head.size, &at, BYTES("x-one"), &field));
    assert_int_equal(field.value_size, 1);
    assert_memory_equal(field.value, "1", 1);
    assert_true(mw_http1_find_field(text, head.size, &at, BYTES("x-one"), &field));
    assert_memory_equal(field.value, "2", 1);
    assert_false(mw_http1_find_field(text, head.size, &at, BYTES("x-one"), &field));
    at = head.fields;
    assert_true(mw_http1_find_field(text, head.size, &at, BYTES("X-Two"), &field));
    assert_int_equal(field.value_size, 0);
    assert_false(mw_http1_find_field(text, head.size, &at, BYTES("x:y"), &field));
}

static void tokens_are_found_in_lists(void **state) {
    (void)state;
    assert_true(mw_http1_has_token(BYTES("close"), "close"));
    assert_true(mw_http1_has_token(BYTES(" a ,,\tCLOSE , b"), "close"));
    assert_false(mw_http1_has_token(BYTES("closed, aclose, clo se"), "close"));
    assert_false(mw_http1_has_token(BYTES(""), "close"));
    assert_false(mw_http1_has_token(BYTES("@"), "`"));
}

/* --- limits --- */

static enum mw_http1_result parse_within(struct mw_http1_head *head, const char *bytes, size_t size,
                                         struct mw_http1_limits limits) {
    *head = (struct mw_http1_head){.size = 0};
    return mw_http1_parse_request(head, bytes, size, &limits);
}

static void limits_hold_to_the_byte(void **state) {
    (void)state;
    static const char text[] = "GET /abcd HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
    const uint32_t size = sizeof text - 1;
    struct mw_http1_head head;
    assert_int_equal(parse_within(&head, text, size, (struct mw_http1_limits){size, 5, 2}), MW_HTTP1_DONE);
    assert_int_equal(parse_within(&head, text, size, (struct mw_http1_limits){size - 1, 5, 2}), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 431);
    assert_int_equal(parse_within(&head, text, size - 1, (struct mw_http1_limits){size, 5, 2}), MW_HTTP1_MORE);
    assert_int_equal(parse_within(&head, text, size, (struct mw_http1_limits){size, 4, 2}), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 414);
    assert_int_equal(parse_within(&head, text, size, (struct mw_http1_limits){size, 5, 1}), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 431);
    assert_int_equal(parse_within(&head, text, size, (struct mw_http1_limits){12, 5, 2}), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 414);
}

static void bytes_without_end_are_refused_at_the_limit(void **state) {
    (void)state;
    static char text[64 * 1024];
    struct mw_http1_head head = {.size = 0};
    memset(text, 'a', sizeof text);
    assert_int_equal(parse(&head, text, 16 * 1024 - 1), MW_HTTP1_MORE);
    assert_int_equal(parse(&head, text, 16 * 1024), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 414);
    memcpy(text, BYTES(GET HOST));
    head = (struct mw_http1_head){.size = 0};
    assert_int_equal(parse(&head, text, sizeof text), MW_HTTP1_BAD);
    assert_int_equal(head.refusal, 431);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_head_says_what_was_asked),
        cmocka_unit_test(a_url_as_target_is_taken_apart),
        cmocka_unit_test(connections_go_on_as_version_and_field_say),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(tokens_are_found_in_lists),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(bytes_without_end_are_refused_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
