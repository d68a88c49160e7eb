/* layers: base proto */
/* ClientHello: what is taken, and what is refused, however it is cut into records and pieces. */
#include "proto/clienthello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 8192 };

#define BYTES(text) (text), sizeof(text) - 1
#define ZEROS_32 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define START "\3\3" ZEROS_32 "\0" "\0\2\x13\1" "\1\0" /* no session, one suite, no compression */
#define SNI "\0\0\0\x0e\0\x0c\0\0\x09" "A.example"
#define ALPN "\0\x10\0\x0e\0\x0c\2h2\x08http/1.1"
#define VERSIONS "\0\x2b\0\5\4\x1a\x1a\3\4"

static struct mw_clienthello hello;
static uint8_t wire[ROOM];

/* The body as a message in records of so many bytes; the size of all. */
static size_t pack(const char *body, size_t size, size_t piece) {
    uint8_t message[ROOM] = {1, 0, (uint8_t)(size >> 8), (uint8_t)size};
    size_t total = size + 4, used = 0;
    memcpy(message + 4, body, size);
    for (size_t at = 0; at < total; at += piece) {
        size_t here = total - at < piece ? total - at : piece;
        uint8_t head[] = {22, 3, 1, (uint8_t)(here >> 8), (uint8_t)here};
        memcpy(wire + used, head, sizeof head);
        memcpy(wire + used + sizeof head, message + at, here);
        used += sizeof head + here;
    }
    return used;
}

static size_t pack_extensions(const char *extensions, size_t size, size_t piece) {
    char body[ROOM];
    size_t start = sizeof START - 1;
    memcpy(body, START, start);
    body[start] = (char)(size >> 8);
    body[start + 1] = (char)size;
    memcpy(body + start + 2, extensions, size);
    return pack(body, start + 2 + size, piece);
}

/* Grows by a byte at a time, each time in memory of its own. */
static enum mw_clienthello_result feed(size_t size, size_t most) {
    enum mw_clienthello_result result = MW_CLIENTHELLO_MORE;
    memset(&hello, 0, sizeof hello);
    for (size_t there = 0; there <= size && result == MW_CLIENTHELLO_MORE; there++) {
        uint8_t *copy = malloc(there + 1);
        memcpy(copy, wire, there);
        result = mw_clienthello_look(&hello, copy, there, most);
        free(copy);
        assert_true(result != MW_CLIENTHELLO_DONE || there == size);
    }
    struct mw_clienthello whole = {0};
    assert_int_equal(mw_clienthello_look(&whole, wire, size, most), result);
    return result;
}

static void assert_refused(const char *extensions, size_t size) {
    size_t used = pack_extensions(extensions, size, ROOM);
    assert_int_equal(feed(used, ROOM), MW_CLIENTHELLO_BAD);
    assert_true(strlen(hello.why) > 0);
}

static void what_a_client_asks_for_is_read_whatever_the_records(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 120; piece++) {
        size_t size = pack_extensions(BYTES(SNI ALPN VERSIONS), piece);
        assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_DONE);
        assert_int_equal(hello.name_size, 9);
        assert_memory_equal(hello.name, "a.example", 9);
        assert_int_equal(hello.protocols_size, 12);
        assert_memory_equal(hello.protocols, "\2h2\x08http/1.1", 12);
        assert_int_equal(hello.version, 0x0304);
        assert_false(hello.is_encrypted);
    }
}

static void extensions_need_not_be_there(void **state) {
    (void)state;
    size_t size = pack(BYTES(START), ROOM);
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_DONE);
    assert_int_equal(hello.name_size + hello.protocols_size, 0);
    assert_int_equal(hello.version, 0x0303);
    size = pack_extensions(BYTES("\xfe\x0d\0\1x"), ROOM);
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_DONE);
    assert_true(hello.is_encrypted);
}

static void what_could_be_read_in_two_ways_is_refused(void **state) {
    (void)state;
    assert_refused(BYTES(SNI SNI));
    assert_refused(BYTES("\0\x29\0\0" SNI));                          /* behind the pre-shared key */
    assert_refused(BYTES("\0\0\0\7\0\5\0\0\2a\0"));                   /* NUL in the name */
    assert_refused(BYTES("\0\0\0\7\0\5\0\0\2a."));                    /* a dot at its end */
    assert_refused(BYTES("\0\0\0\x09\0\7\0\0\4a..b"));
    assert_refused(BYTES("\0\0\0\5\0\3\0\0\0"));                      /* empty */
    assert_refused(BYTES("\0\0\0\6\0\4\1\0\1a"));                     /* of another kind */
    assert_refused(BYTES("\0\0\0\x0a\0\x08\0\0\1a\0\0\1b"));          /* two names */
    assert_refused(BYTES("\0\0\0\7\0\4\0\0\1ab"));                    /* something behind the list */
    assert_refused(BYTES("\0\x10\0\5\0\3\0h2"));                      /* an empty protocol */
    assert_refused(BYTES("\0\x10\0\5\0\3\4h2"));                      /* one that goes on too long */
    assert_refused(BYTES("\0\x10\0\4\0\3\2h"));                       /* and its list, too */
    assert_refused(BYTES("\0\x2b\0\4\3\3\4\3"));                      /* half a version */
    assert_refused(BYTES("\0\x2b\0\1"));                              /* half an extension */
}

static void what_is_no_client_hello_is_refused_at_once(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {BYTES("GET / HTTP/1.1\r\n")}, {BYTES("\x80\x2e\1")},     {BYTES("\x16\2")},
        {BYTES("\x16\3\1\0\0")},      {BYTES("\x16\3\1\x40\1")}, {BYTES("\x16\3\1\0\4\2")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(wire, bad[i].bytes, bad[i].size);
        assert_int_equal(feed(bad[i].size, MW_CLIENTHELLO_MOST), MW_CLIENTHELLO_BAD);
    }
    assert_refused(BYTES("\0\0\0\x0f\0\x0c\0\0\x09" "A.example"));
    size_t size = pack(BYTES("\2\3" ZEROS_32 "\0" "\0\2\x13\1" "\1\0"), ROOM);
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_BAD);
    size = pack(BYTES("\3\3" ZEROS_32 "\0" "\0\3\x13\1\1" "\1\0"), ROOM);
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_BAD);
    size = pack(BYTES("\3\3" ZEROS_32 "\0" "\0\2\x13\1" "\1\1"), ROOM);
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_BAD);
}

static void nothing_stands_behind_it_or_within(void **state) {
    (void)state;
    size_t size = pack_extensions(BYTES(SNI), ROOM);
    wire[4]++; /* the record has a byte more than the message */
    assert_int_equal(feed(size + 1, ROOM), MW_CLIENTHELLO_BAD);
    size = pack_extensions(BYTES(SNI), 20);
    wire[25] = 23; /* the second record is of another kind */
    assert_int_equal(feed(size, ROOM), MW_CLIENTHELLO_BAD);
}

static void more_than_is_allowed_is_not_waited_for(void **state) {
    (void)state;
    size_t size = pack_extensions(BYTES(SNI ALPN), ROOM);
    assert_int_equal(feed(size, size), MW_CLIENTHELLO_DONE);
    assert_int_equal(feed(size, size - 1), MW_CLIENTHELLO_LARGE);
    size = pack_extensions(BYTES(SNI ALPN), 8);
    assert_int_equal(feed(size, size - 1), MW_CLIENTHELLO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_asks_for_is_read_whatever_the_records),
        cmocka_unit_test(extensions_need_not_be_there),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(what_is_no_client_hello_is_refused_at_once),
        cmocka_unit_test(nothing_stands_behind_it_or_within),
        cmocka_unit_test(more_than_is_allowed_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
