/* What the parts of the HTTP/1.1 parser share. */
#ifndef MW_PROTO_HTTP1_INTERNAL_H
#define MW_PROTO_HTTP1_INTERNAL_H

#include "proto/http1.h"

/* Classes of bytes. */
enum {
    MW_HTTP1_TOKEN = 1,  /* of a token (RFC 9110 section 5.6.2) */
    MW_HTTP1_VALUE = 2,  /* of a field value: visible, obs-text, space, tab */
    MW_HTTP1_TARGET = 4, /* of a request target */
    MW_HTTP1_NAME = 8,   /* of the name in an authority: no port, no brackets, no escapes */
    MW_HTTP1_HEX = 16,
};

extern const uint8_t mw_http1_classes[256];

static inline bool mw_http1_is(char byte, int class) {
    return mw_http1_classes[(unsigned char)byte] & class;
}

/* Whether all bytes are of that class. */
static inline bool mw_http1_all(const char *bytes, size_t size, int class) {
    uint8_t all = (uint8_t)class;
    for (size_t i = 0; i < size; i++) {
        all &= mw_http1_classes[(unsigned char)bytes[i]];
    }
    return all != 0;
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

/* Sets why the head is refused. */
static inline enum mw_http1_result mw_http1_refuse(struct mw_http1_head *head, uint16_t status, const char *why) {
    head->refusal = status;
    head->why = why;
    return MW_HTTP1_BAD;
}

/* Case-insensitive equality with a lower-case text of `size` bytes. */
bool mw_http1_same(const char *bytes, const char *lower, size_t size);

/* Splits a field line without its end. False when it is none: a bad name, space before the colon, folding, control bytes. */
bool mw_http1_split_field(const char *line, size_t size, struct mw_http1_field *field);

/* Goes over the lines of a head. `first_line` parses the start line [at, at + size): DONE, or BAD; `finish` decides when the
 * empty line has come. */
struct mw_http1_grammar {
    enum mw_http1_result (*first_line)(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size,
                                       const struct mw_http1_limits *limits);
    uint16_t too_long; /* the status for a start line that does not end */
    bool skips_empty;  /* one empty line before it is allowed */
};
enum mw_http1_result mw_http1_parse_lines(struct mw_http1_head *head, const char *bytes, size_t size,
                                          const struct mw_http1_limits *limits, const struct mw_http1_grammar *grammar);

/* The version "HTTP/1.x" in 8 bytes: sets head->minor. */
enum mw_http1_result mw_http1_parse_version(struct mw_http1_head *head, const char *bytes);

/* Whether the bytes are an authority: a name or an address, with a port or without. */
bool mw_http1_is_authority(const char *bytes, size_t size);

#endif
