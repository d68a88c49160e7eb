/* HTTP/1.1 messages as bytes (RFC 9112): heads, and the framing of bodies. Strict: what two parsers could read
 * differently is refused. Nothing is allocated or copied; results are places in the bytes that were given. */
#ifndef MW_PROTO_HTTP1_H
#define MW_PROTO_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum mw_http1_result {
    MW_HTTP1_BAD = -1, /* refused: the connection cannot go on */
    MW_HTTP1_MORE,     /* more bytes are needed */
    MW_HTTP1_DONE,
};

/* --- heads --- */

struct mw_http1_limits {
    uint32_t size;    /* bytes of the start line and all fields */
    uint32_t target;  /* bytes of the request target */
    uint32_t fields;  /* how many */
};

extern const struct mw_http1_limits mw_http1_default_limits; /* 16 KiB, 8 KiB, 100 */

/* A part of the head: `size` bytes from `at` on. */
struct mw_http1_part {
    uint32_t at, size;
};

/* How the body behind a head is delimited (RFC 9112 section 6.3). */
enum mw_http1_framing { MW_HTTP1_EMPTY, MW_HTTP1_LENGTH, MW_HTTP1_CHUNKED, MW_HTTP1_UNTIL_END };

/* Zeroed before the first byte. The fields are valid once a parser has answered MW_HTTP1_DONE. */
struct mw_http1_head {
    uint32_t size;                          /* of the head with its empty line */
    struct mw_http1_part method, target;    /* of a request */
    struct mw_http1_part path, query;       /* of its target: "/a%20b"; behind the '?', empty without one */
    struct mw_http1_part host;              /* the authority: of an absolute target, else of the Host field */
    struct mw_http1_part reason;            /* of a response */
    struct mw_http1_part upgrade;           /* value of the Upgrade field, if Connection names it; else empty */
    uint32_t fields;                        /* where the first field line begins */
    uint32_t field_count;
    uint64_t length;                        /* bytes of the body with MW_HTTP1_LENGTH */
    uint16_t status;                        /* of a response */
    uint8_t minor;                          /* 0 or 1: of the version */
    uint8_t framing;                        /* enum mw_http1_framing */
    bool has_query;                         /* a '?' was there */
    bool keeps_alive;                       /* the connection may go on after this message */
    bool expects_continue;                  /* Expect: 100-continue */
    uint16_t refusal;                       /* of MW_HTTP1_BAD: answer with 400, 414, 417, 431, 501, 505 */
    const char *why;                        /* and what is wrong, in a few words for the log */
    struct {                                /* between calls */
        uint32_t scanned;                   /* bytes that were looked at */
        uint32_t line;                      /* where the present line begins */
        uint8_t phase;
        uint8_t seen;                       /* fields that decide something, as bits */
    } parser;
};

/* Looks at the first `size` bytes of a connection, among them those of earlier calls, unchanged (they may lie
 * elsewhere). Bad bytes are refused as soon as their line is complete, or the limits are passed. A head needs one
 * pass over its bytes, however they are cut. One empty line before a request is skipped (RFC 9112 section 2.2):
 * `head->size` includes it. */
enum mw_http1_result mw_http1_parse_request(struct mw_http1_head *head, const char *bytes, size_t size,
                                            const struct mw_http1_limits *limits);

/* The same for a response. `to_head` says that the request was HEAD, `to_connect` that it was CONNECT: their answers
 * have no body (2xx for the latter). */
enum mw_http1_result mw_http1_parse_response(struct mw_http1_head *head, const char *bytes, size_t size,
                                             const struct mw_http1_limits *limits, bool to_head, bool to_connect);

/* A field line: the name as it was sent, the value without the white space around it. */
struct mw_http1_field {
    const char *name, *value;
    size_t name_size, value_size;
};

/* The field at `*at` of a parsed head (or trailer section) that lies at `bytes` and ends at `end`; `*at` moves on.
 * Starts with head->fields and ends at head->size. False when there is none left. */
bool mw_http1_next_field(const char *bytes, uint32_t end, uint32_t *at, struct mw_http1_field *field);

/* The first field of that name (any case) from `*at` on; `*at` moves behind it. */
bool mw_http1_find_field(const char *bytes, uint32_t end, uint32_t *at, const char *name, size_t name_size,
                         struct mw_http1_field *field);

/* Whether a comma-separated value has the token (any case). */
bool mw_http1_has_token(const char *value, size_t size, const char *token);

/* --- bodies --- */

struct mw_http1_body {
    uint64_t left;     /* bytes of data: of the body, or of the present chunk */
    uint64_t data;     /* decoded so far */
    uint64_t overhead; /* bytes of chunk framing so far: capped in proportion to the data */
    uint32_t scanned;  /* bytes of unfinished framing that were looked at */
    uint32_t line;     /* where the present line of the trailers begins in them */
    uint8_t framing, phase, fields;
    const char *why;   /* of MW_HTTP1_BAD */
};

void mw_http1_body_start(struct mw_http1_body *body, const struct mw_http1_head *head);

/* Goes on in `size` unread bytes, the unused ones of the last call among them: `used` of them are done with; `data`
 * of those are the body's and begin at `start`; what stands around them is framing. One call gives one run of data
 * at most. MW_HTTP1_DONE: the body is complete with this run, and `trailer` bytes from `trailer_at` on, behind the
 * data, are its trailer fields, to be walked with mw_http1_next_field (0 without any). MW_HTTP1_MORE: call again,
 * with more bytes unless `data` or `used` say that it went on. The end of the connection is the end of
 * MW_HTTP1_UNTIL_END, and a fault of the others, which the caller sees. */
struct mw_http1_run {
    size_t used, start, data, trailer_at, trailer;
};
enum mw_http1_result mw_http1_body_next(struct mw_http1_body *body, const char *bytes, size_t size,
                                        struct mw_http1_run *run);

/* --- what is sent --- */

/* The line before a chunk of that size: "1a\r\n". Its length; at most MW_HTTP1_CHUNK_LINE. */
enum { MW_HTTP1_CHUNK_LINE = 18 };
size_t mw_http1_chunk_line(char line[MW_HTTP1_CHUNK_LINE], size_t size);

/* Whether the bytes can be sent as a field name (a token), a field value (RFC 9110 section 5.5: no CR, LF, NUL or
 * other control but tab, no space around it), a request target. */
bool mw_http1_is_token(const char *bytes, size_t size);
bool mw_http1_is_value(const char *bytes, size_t size);
bool mw_http1_is_target(const char *bytes, size_t size);

/* The standard phrase of a status: "Not Found"; "" for one that is not registered. */
const char *mw_http1_reason(int status);

/* An HTTP date (RFC 9110 section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", written with a NUL. Parsing takes the three
 * forms that the RFC names; false for anything else. */
enum { MW_HTTP1_DATE = 30 };
void mw_http1_date(char text[MW_HTTP1_DATE], time_t moment);
bool mw_http1_parse_date(const char *text, size_t size, time_t *moment);

/* Decodes the path of a target: %XX, then dot segments and empty ones resolved ("/a//b/../c" is "/a/c"). `path` has
 * room for `size` bytes, and for one if there are none: an empty path is "/". Its new length is the result, 0 when
 * the path is bad: an incomplete or wrong escape, a NUL, or dots that lead above the root; the path of a parsed
 * request is not. An escaped slash stays "%2F", as it was written. */
size_t mw_http1_decode_path(char *path, const char *bytes, size_t size);

#endif
