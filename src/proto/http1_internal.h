/* What the parts of the HTTP/1.1 parser share. */
#ifndef MW_PROTO_HTTP1_INTERNAL_H
#define MW_PROTO_HTTP1_INTERNAL_H

#include "proto/http1.h"

#include <string.h>

/* Classes of bytes. CR and LF are in none: what goes on while bytes are of a class ends with their line. */
enum {
    MW_HTTP1_TOKEN = 1,  /* of a token (RFC 9110 section 5.6.2) */
    MW_HTTP1_VALUE = 2,  /* of a field value: visible, obs-text, space, tab */
    MW_HTTP1_TARGET = 4, /* of a request target */
    MW_HTTP1_NAME = 8,   /* of the name in an authority: no port, no brackets, no escapes */
    MW_HTTP1_HEX = 16,
    MW_HTTP1_PATH = 32,    /* of a request target before its query */
    MW_HTTP1_SPECIAL = 64, /* '%' and '.': a path with them needs a closer look */
};

extern const uint8_t mw_http1_classes[256];

static inline bool mw_http1_is(char byte, int class) {
    return mw_http1_classes[(unsigned char)byte] & class;
}

/* The first byte that is not of that class; there must be one. */
static inline const char *mw_http1_skip(const char *at, int class) {
    while (mw_http1_is(*at, class)) {
        at++;
    }
    return at;
}

/* Whether all bytes are of that class. */
static inline bool mw_http1_all(const char *bytes, size_t size, int class) {
    uint8_t all = (uint8_t) class;
    for (size_t i = 0; i < size; i++) {
        all &= mw_http1_classes[(unsigned char)bytes[i]];
    }
    return all != 0;
}

static inline bool mw_http1_is_space(char byte) {
    return byte == ' ' || byte == '\t';
}

static inline bool mw_http1_is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* The value of a hexadecimal digit; -1: it is none. */
static inline int mw_http1_digit(char byte) {
    if (!mw_http1_is(byte, MW_HTTP1_HEX)) {
        return -1;
    }
    return mw_http1_is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10;
}

/* Equality of two texts of `size` bytes, whatever the case of letters. */
static inline bool mw_http1_same(const char *bytes, const char *other, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char a = (unsigned char)bytes[i], b = (unsigned char)other[i];
        unsigned char letter = a | 0x20;
        if (a != b && ((a ^ b) != 0x20 || letter < 'a' || letter > 'z')) {
            return false;
        }
    }
    return true;
}

/* Whether a name of as many bytes, all of a token, is that one. `lower` is a literal of letters and '-',
 * whose bit 0x20 is set in lower case: no other byte of a token becomes one of them by it. */
#define MW_HTTP1_IS_NAME(name, lower) mw_http1_is_name(name, lower, sizeof(lower) - 1)

static inline uint32_t mw_http1_fold_4(const char *bytes) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    return word | 0x20202020U;
}

static inline uint64_t mw_http1_fold_8(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word | 0x2020202020202020U;
}

/* Words from the front, the last one overlapping: at least four bytes. */
static inline bool mw_http1_is_name(const char *name, const char *lower, size_t size) {
    if (size < 8) {
        return mw_http1_fold_4(name) == mw_http1_fold_4(lower) &&
               mw_http1_fold_4(name + size - 4) == mw_http1_fold_4(lower + size - 4);
    }
    const size_t last = size - 8;
    for (size_t at = 0; at < last; at += 8) {
        if (mw_http1_fold_8(name + at) != mw_http1_fold_8(lower + at)) {
            return false;
        }
    }
    return mw_http1_fold_8(name + last) == mw_http1_fold_8(lower + last);
}

/* Fields that were seen: bits of parser.seen. */
enum {
    MW_HTTP1_SEEN_HOST = 1,
    MW_HTTP1_SEEN_LENGTH = 2,
    MW_HTTP1_SEEN_CODING = 4,
    MW_HTTP1_SEEN_CLOSE = 8,
    MW_HTTP1_SEEN_KEEP_ALIVE = 16,
    MW_HTTP1_SEEN_UPGRADE = 32, /* named by Connection */
    MW_HTTP1_SEEN_EXPECT = 64,
    MW_HTTP1_SEEN_PROTOCOL = 128, /* an Upgrade field */
};

/* What parser.phase says: nothing but an empty line has come; the start line has. */
enum { MW_HTTP1_START, MW_HTTP1_START_AFTER_EMPTY, MW_HTTP1_FIELDS };

/* Sets why the head is refused. */
static inline enum mw_http1_result mw_http1_refuse(struct mw_http1_head *head, uint16_t status,
                                                   const char *why) {
    head->refusal = status;
    head->why = why;
    return MW_HTTP1_BAD;
}

/* Complete lines that are to be parsed: from `at` on; the last byte before `stop` is an LF. */
struct mw_http1_lines {
    const char *bytes; /* of the whole head */
    const char *at, *stop;
};

static inline struct mw_http1_part mw_http1_part(const struct mw_http1_lines *lines, const char *at,
                                                 const char *end) {
    return (struct mw_http1_part){.at = (uint32_t)(at - lines->bytes), .size = (uint32_t)(end - at)};
}

/* The lines that were completed since the last call. False: none. */
bool mw_http1_take_lines(struct mw_http1_head *head, const char *bytes, size_t size,
                         const struct mw_http1_limits *limits, struct mw_http1_lines *lines);

/* The fields among the lines, up to the empty line: DONE. MORE: the lines have run out. */
enum mw_http1_result mw_http1_parse_fields(struct mw_http1_head *head, struct mw_http1_lines *lines,
                                           const struct mw_http1_limits *limits, bool is_request);

/* The lines have run out: MORE, or BAD when the head is as large as it may be. */
enum mw_http1_result mw_http1_await(struct mw_http1_head *head, size_t size,
                                    const struct mw_http1_limits *limits, bool is_request);

/* The version "HTTP/1.x" at `at`, somewhere before the end of a line: sets head->minor. */
enum mw_http1_result mw_http1_parse_version(struct mw_http1_head *head, const char *at, const char *stop);

/* The field line at `at`: what comes behind it. NULL when it is none: a bad name, space before the colon,
 * folding, control bytes, an end other than CRLF. An LF must come before `stop`. */
const char *mw_http1_scan_field(const char *at, const char *stop, struct mw_http1_field *field);

/* Takes note of what a field decides about the connection and the body. */
enum mw_http1_result mw_http1_note_field(struct mw_http1_head *head, const char *bytes,
                                         const struct mw_http1_field *field, bool is_request);

/* What the noted fields come to. */
enum mw_http1_result mw_http1_decide(struct mw_http1_head *head);

/* Whether the bytes are an authority: a name or an address, with a port or without; `*port` is where the ':'
 * of the port would stand. What comes behind them must not be of a name. */
bool mw_http1_is_authority(const char *bytes, size_t size, const char **port);

/* Judges head->target by its form. `path_end`: where the path of a target without scheme would end;
 * `needs_look`: that path has special bytes. */
enum mw_http1_result mw_http1_parse_target(struct mw_http1_head *head, const struct mw_http1_lines *lines,
                                           const char *path_end, bool needs_look);

/* Whether a path can be decoded. */
bool mw_http1_is_path(const char *bytes, size_t size);

/* Whether what comes behind the size in a chunk line is extensions (RFC 9112 section 7.1.1). */
bool mw_http1_are_extensions(const char *text, size_t size);

#endif
