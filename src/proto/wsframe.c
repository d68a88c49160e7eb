#include "proto/wsframe.h"

#include "base/utf8.h"

#include <string.h>

enum {
    FINAL = 0x80,      /* bits of the first byte */
    COMPRESSED = 0x40, /* RSV1 */
    RESERVED = 0x30,   /* RSV2 and RSV3 */
    OPCODE = 0x0F,
    MASKED = 0x80, /* of the second */
    SHORT = 0x7F,
    LENGTH_16 = 126, /* as the short length: it follows in so many bits */
    LENGTH_64 = 127,
};

/* --- receiving --- */

static bool is_known(uint8_t opcode) {
    return opcode <= MW_WSFRAME_BINARY || (opcode >= MW_WSFRAME_CLOSE && opcode <= MW_WSFRAME_PONG);
}

/* What is wrong with the first byte; NULL: nothing. */
static const char *read_first(struct mw_wsframe *frame, unsigned char byte, const struct mw_wsframe_rules *rules) {
    frame->opcode = byte & OPCODE;
    frame->final = byte & FINAL;
    frame->compressed = byte & COMPRESSED;
    if (!is_known(frame->opcode)) {
        return "reserved opcode";
    }
    if (byte & RESERVED || (frame->compressed && !rules->deflated)) {
        return "reserved bits are set";
    }
    if (mw_wsframe_is_control(frame) && frame->compressed) {
        return "compressed control frame";
    }
    return mw_wsframe_is_control(frame) && !frame->final ? "fragmented control frame" : NULL;
}

static const char *read_second(const struct mw_wsframe *frame, unsigned char byte,
                               const struct mw_wsframe_rules *rules) {
    if (!(byte & MASKED) != !rules->masked) {
        return rules->masked ? "frame without a mask" : "masked frame";
    }
    return mw_wsframe_is_control(frame) && (byte & SHORT) > MW_WSFRAME_CONTROL ? "control frame of more than 125 bytes"
                                                                               : NULL;
}

/* Reads a length of `count` bytes. */
static const char *read_long(struct mw_wsframe *frame, const char *bytes, size_t count) {
    frame->size = 0;
    for (size_t i = 0; i < count; i++) {
        frame->size = frame->size << 8 | (unsigned char)bytes[i];
    }
    if (frame->size >> 63) {
        return "length of 2^63 bytes or more";
    }
    return frame->size < (count == 2 ? LENGTH_16 : 0x10000) ? "length not in its shortest form" : NULL;
}

enum mw_wsframe_result mw_wsframe_parse(struct mw_wsframe *frame, const char *bytes, size_t size,
                                        const struct mw_wsframe_rules *rules, const char **why) {
    *why = size > 0 ? read_first(frame, (unsigned char)bytes[0], rules) : NULL;
    if (*why || size < 2) {
        return *why ? MW_WSFRAME_BAD : MW_WSFRAME_MORE;
    }
    unsigned char second = (unsigned char)bytes[1];
    *why = read_second(frame, second, rules);
    frame->size = second & SHORT;
    size_t length = frame->size < LENGTH_16 ? 0 : frame->size == LENGTH_16 ? 2 : 8;
    if (!*why && length && size >= 2 + length) {
        *why = read_long(frame, bytes + 2, length);
    }
    if (*why) {
        return MW_WSFRAME_BAD;
    }
    frame->header = (uint8_t)(2 + length + (rules->masked ? sizeof frame->mask : 0));
    if (size < frame->header) {
        return MW_WSFRAME_MORE;
    }
    memset(frame->mask, 0, sizeof frame->mask);
    if (rules->masked) {
        memcpy(frame->mask, bytes + 2 + length, sizeof frame->mask);
    }
    return MW_WSFRAME_DONE;
}

bool mw_wsmessage_add(struct mw_wsmessage *message, const struct mw_wsframe *frame, const char **why) {
    *why = NULL;
    if (frame->opcode == MW_WSFRAME_CONTINUATION) {
        if (message->opcode == 0) {
            *why = "continuation of nothing";
        } else if (frame->compressed) {
            *why = "reserved bits are set in a continuation";
        }
    } else if (message->opcode) {
        *why = "new message in the middle of another";
    } else {
        *message = (struct mw_wsmessage){.opcode = frame->opcode, .compressed = frame->compressed};
    }
    message->frames++;
    return !*why;
}

void mw_wsframe_mask(char *to, const char *from, size_t size, const unsigned char mask[4], uint64_t offset) {
    unsigned char key[32];
    uint64_t keys[4], words[4];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = mask[(offset + i) & 3];
    }
    memcpy(keys, key, sizeof keys);
    size_t at = 0;
    for (; size - at >= sizeof words; at += sizeof words) {
        memcpy(words, from + at, sizeof words);
        words[0] ^= keys[0];
        words[1] ^= keys[1];
        words[2] ^= keys[2];
        words[3] ^= keys[3];
        memcpy(to + at, words, sizeof words);
    }
    for (; size - at >= sizeof words[0]; at += sizeof words[0]) {
        memcpy(words, from + at, sizeof words[0]);
        words[0] ^= keys[0];
        memcpy(to + at, words, sizeof words[0]);
    }
    for (size_t i = 0; at < size; at++, i++) {
        to[at] = (char)((unsigned char)from[at] ^ key[i]);
    }
}

bool mw_wsframe_is_code(unsigned code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

unsigned mw_wsframe_read_close(const char *payload, size_t size, unsigned *code, const char **why) {
    struct mw_utf8_check check = {.missing = 0};
    *code = MW_WSFRAME_NO_CODE;
    *why = NULL;
    if (size == 0) {
        return 0;
    }
    if (size == 1) {
        *why = "close frame of one byte";
        return MW_WSFRAME_PROTOCOL_ERROR;
    }
    unsigned given = (unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1];
    if (!mw_wsframe_is_code(given)) {
        *why = "close code that must not be sent";
        return MW_WSFRAME_PROTOCOL_ERROR;
    }
    if (!mw_utf8_check_add(&check, payload + 2, size - 2) || !mw_utf8_check_ends(&check)) {
        *why = "close reason that is not UTF-8";
        return MW_WSFRAME_INVALID_DATA;
    }
    *code = given;
    return 0;
}

/* --- sending --- */

static size_t write_length(char *to, uint64_t size, size_t count) {
    for (size_t i = count; i > 0; i--) {
        to[i - 1] = (char)(size & 0xFF);
        size >>= 8;
    }
    return count;
}

size_t mw_wsframe_write_header(char header[MW_WSFRAME_HEADER], const struct mw_wsframe *frame, bool masked) {
    size_t length = 2;
    int form = frame->size < LENGTH_16 ? (int)frame->size : frame->size < 0x10000 ? LENGTH_16 : LENGTH_64;
    header[0] = (char)((frame->final ? FINAL : 0) | (frame->compressed ? COMPRESSED : 0) | frame->opcode);
    header[1] = (char)((masked ? MASKED : 0) | form);
    if (form >= LENGTH_16) {
        length += write_length(header + 2, frame->size, form == LENGTH_16 ? 2 : 8);
    }
    if (masked) {
        memcpy(header + length, frame->mask, sizeof frame->mask);
        length += sizeof frame->mask;
    }
    return length;
}

size_t mw_wsframe_write_close(char payload[MW_WSFRAME_CONTROL], unsigned code, const char *reason, size_t size) {
    if (code == MW_WSFRAME_NO_CODE) {
        return 0;
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xFF);
    memcpy(payload + 2, reason, size);
    return size + 2;
}
