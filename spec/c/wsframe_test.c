/* layers: proto base */
#include "proto/wsframe.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mw_wsframe_rules from_client = {.masked = true}, from_server = {.masked = false},
                                     deflating = {.masked = true, .deflated = true};

/* --- headers --- */

struct header {
    const char *bytes;
    size_t size;
    const struct mw_wsframe_rules *rules;
    const char *why; /* NULL: good */
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct header bad_headers[] = {
    {BYTES("\x83\x80"), &from_client, "reserved opcode"},
    {BYTES("\x87\x80"), &from_client, "reserved opcode"},
    {BYTES("\x8b\x80"), &from_client, "reserved opcode"},
    {BYTES("\x8f\x80"), &from_client, "reserved opcode"},
    {BYTES("\xc1\x80"), &from_client, "reserved bits are set"},
    {BYTES("\xa1\x80"), &from_client, "reserved bits are set"},
    {BYTES("\x91\x80"), &deflating, "reserved bits are set"},
    {BYTES("\xc9\x80"), &deflating, "compressed control frame"},
    {BYTES("\x08\x80"), &from_client, "fragmented control frame"},
    {BYTES("\x09\x80"), &from_client, "fragmented control frame"},
    {BYTES("\x89\xfe"), &from_client, "control frame of more than 125 bytes"},
    {BYTES("\x88\xff"), &from_client, "control frame of more than 125 bytes"},
    {BYTES("\x81\x05"), &from_client, "frame without a mask"},
    {BYTES("\x81\x85"), &from_server, "masked frame"},
    {BYTES("\x81\xfe\x00\x7d"), &from_client, "length not in its shortest form"},
    {BYTES("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"), &from_client, "length not in its shortest form"},
    {BYTES("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"), &from_client, "length of 2^63 bytes or more"},
};

/* With the last of these bytes, and not before, it is bad. */
static void bad_headers_are_refused_at_once(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++) {
        const struct header *header = &bad_headers[i];
        const char *why;
        size_t size = 0;
        struct mw_wsframe frame;
        while (mw_wsframe_parse(&frame, header->bytes, size, header->rules, &why) == MW_WSFRAME_MORE) {
            assert_true(size++ < header->size);
        }
        assert_string_equal(header->why, why);
        assert_true(size == header->size || size == 1);
    }
}

static void check_header(uint64_t size, uint8_t opcode, bool final, bool masked) {
    char bytes[MW_WSFRAME_HEADER];
    const char *why;
    struct mw_wsframe frame = {.size = size, .opcode = opcode, .final = final, .mask = {1, 2, 3, 4}}, read;
    const struct mw_wsframe_rules *rules = masked ? &from_client : &from_server;
    size_t length = mw_wsframe_write_header(bytes, &frame, masked);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(MW_WSFRAME_MORE, mw_wsframe_parse(&read, bytes, cut, rules, &why));
    }
    assert_int_equal(MW_WSFRAME_DONE, mw_wsframe_parse(&read, bytes, length, rules, &why));
    assert_int_equal(length, read.header);
    assert_int_equal(size, read.size);
    assert_int_equal(opcode, read.opcode);
    assert_int_equal(final, read.final);
    assert_memory_equal(masked ? "\1\2\3\4" : "\0\0\0\0", read.mask, 4);
}

static void headers_come_back_cut_anywhere(void **state) {
    (void)state;
    static const uint64_t sizes[] = {0, 1, 125, 126, 127, 255, 256, 65535, 65536, UINT32_MAX, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_header(sizes[i], MW_WSFRAME_TEXT, true, true);
        check_header(sizes[i], MW_WSFRAME_BINARY, false, false);
        check_header(sizes[i], MW_WSFRAME_CONTINUATION, true, false);
    }
    check_header(125, MW_WSFRAME_PING, true, true);
    check_header(0, MW_WSFRAME_CLOSE, true, false);
}

static void the_extension_uses_a_bit(void **state) {
    (void)state;
    const char *why;
    struct mw_wsframe frame;
    assert_int_equal(MW_WSFRAME_DONE, mw_wsframe_parse(&frame, BYTES("\xc1\x80\0\0\0\0"), &deflating, &why));
    assert_true(frame.compressed && frame.final);
}

/* --- messages --- */

static bool add(struct mw_wsmessage *message, uint8_t opcode, bool compressed) {
    const char *why;
    struct mw_wsframe frame = {.opcode = opcode, .compressed = compressed};
    bool is_good = mw_wsmessage_add(message, &frame, &why);
    assert_true(is_good == !why);
    return is_good;
}

static void a_message_is_a_first_frame_and_continuations(void **state) {
    (void)state;
    struct mw_wsmessage message = {.opcode = 0};
    assert_false(add(&message, MW_WSFRAME_CONTINUATION, false));
    assert_true(add(&message, MW_WSFRAME_TEXT, true));
    assert_true(add(&message, MW_WSFRAME_CONTINUATION, false));
    assert_true(message.compressed && message.opcode == MW_WSFRAME_TEXT && message.frames == 2);
    assert_false(add(&message, MW_WSFRAME_CONTINUATION, true));
    assert_false(add(&message, MW_WSFRAME_BINARY, false));
}

/* --- masks --- */

enum { MOST = 200 };

static void masks_are_the_same_at_any_offset_and_cut(void **state) {
    (void)state;
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char plain[MOST], masked[MOST], pieces[MOST];
    for (size_t i = 0; i < MOST; i++) {
        plain[i] = (char)(i * 7);
        masked[i] = (char)((unsigned char)plain[i] ^ mask[i % 4]);
    }
    for (size_t cut = 0; cut <= MOST; cut++) {
        memcpy(pieces, plain, MOST);
        mw_wsframe_mask(pieces, pieces, cut, mask, 0);
        mw_wsframe_mask(pieces + cut, plain + cut, MOST - cut, mask, cut);
        assert_memory_equal(masked, pieces, MOST);
    }
    mw_wsframe_mask(pieces, masked + 3, MOST - 3, mask, ((uint64_t)1 << 40) + 3);
    assert_memory_equal(plain + 3, pieces, MOST - 3);
}

/* --- closing --- */

static unsigned read_close(const char *payload, size_t size) {
    unsigned code;
    const char *why;
    unsigned failure = mw_wsframe_read_close(payload, size, &code, &why);
    assert_true(!failure == !why);
    return failure ? failure : code;
}

static void close_frames_have_a_code_and_a_text(void **state) {
    (void)state;
    assert_int_equal(MW_WSFRAME_NO_CODE, read_close("", 0));
    assert_int_equal(MW_WSFRAME_PROTOCOL_ERROR, read_close("\x03", 1));
    assert_int_equal(1000, read_close(BYTES("\x03\xe8")));
    assert_int_equal(1000, read_close(BYTES("\x03\xe8" "gr\xc3\xbc\xc3\x9f")));
    assert_int_equal(MW_WSFRAME_INVALID_DATA, read_close(BYTES("\x03\xe8\xc3")));
    assert_int_equal(MW_WSFRAME_INVALID_DATA, read_close(BYTES("\x03\xe8\xed\xa0\x80")));
    char payload[MW_WSFRAME_CONTROL];
    assert_int_equal(5, mw_wsframe_write_close(payload, 4999, "bye", 3));
    assert_memory_equal("\x13\x87" "bye", payload, 5);
    assert_int_equal(0, mw_wsframe_write_close(payload, MW_WSFRAME_NO_CODE, "", 0));
}

static void codes_are_those_of_the_registry(void **state) {
    (void)state;
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(mw_wsframe_is_code(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char payload[2] = {(char)(bad[i] >> 8), (char)bad[i]};
        assert_int_equal(MW_WSFRAME_PROTOCOL_ERROR, read_close(payload, 2));
    }
}

/* --- UTF-8 in pieces --- */

static bool check_pieces(const char *text, size_t size, size_t cut) {
    struct mw_utf8_check check = {.missing = 0};
    return mw_utf8_check_add(&check, text, cut) && mw_utf8_check_add(&check, text + cut, size - cut) &&
           mw_utf8_check_ends(&check);
}

/* All texts of up to three bytes behind ASCII, whole and in pieces, against the check of single characters. */
static void utf8_in_pieces_is_utf8(void **state) {
    (void)state;
    enum { BEFORE = 17 };
    char text[BEFORE + 4];
    memset(text, 'a', sizeof text);
    for (uint32_t bytes = 0; bytes < 1 << 24; bytes += bytes % 0x10000 < 0x9000 ? 97 : 1) {
        text[BEFORE] = (char)(bytes >> 16 | 0x80);
        text[BEFORE + 1] = (char)(bytes >> 8);
        text[BEFORE + 2] = (char)bytes;
        size_t at = 0, length;
        while (at < sizeof text && (length = mw_utf8_length(text + at, sizeof text - at)) > 0) {
            at += length;
        }
        assert_true(check_pieces(text, sizeof text, bytes % sizeof text) == (at == sizeof text));
    }
}

static void utf8_fails_as_soon_as_it_can(void **state) {
    (void)state;
    struct mw_utf8_check check = {.missing = 0};
    assert_true(mw_utf8_check_add(&check, BYTES("\xce\xba\xf4")));
    assert_false(mw_utf8_check_ends(&check));
    assert_false(mw_utf8_check_add(&check, BYTES("\x90")));
    check = (struct mw_utf8_check){.missing = 0};
    assert_true(mw_utf8_check_add(&check, BYTES("\xf4\x8f\xbf")));
    assert_true(mw_utf8_check_add(&check, BYTES("\xbf")) && mw_utf8_check_ends(&check));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_headers_are_refused_at_once),
        cmocka_unit_test(headers_come_back_cut_anywhere),
        cmocka_unit_test(the_extension_uses_a_bit),
        cmocka_unit_test(a_message_is_a_first_frame_and_continuations),
        cmocka_unit_test(masks_are_the_same_at_any_offset_and_cut),
        cmocka_unit_test(close_frames_have_a_code_and_a_text),
        cmocka_unit_test(codes_are_those_of_the_registry),
        cmocka_unit_test(utf8_in_pieces_is_utf8),
        cmocka_unit_test(utf8_fails_as_soon_as_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
