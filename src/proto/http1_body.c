/* Bodies (RFC 9112 sections 6 and 7). */
#include "proto/http1_internal.h"

enum { LINE_MAX = 1024, TRAILER_MAX = 8 * 1024, TRAILER_FIELDS = 100 }; /* bytes, and lines */

/* What the framing may take beside the data: a sender of single bytes needs six for each. */
enum { OVERHEAD_FREE = 64 * 1024, OVERHEAD_PER_BYTE = 16 };

enum { DIGITS_MAX = 16 }; /* of a chunk size */

enum { CHUNK_LINE, CHUNK_DATA, CHUNK_END, TRAILER };

void mw_http1_body_start(struct mw_http1_body *body, const struct mw_http1_head *head) {
    *body = (struct mw_http1_body){.framing = head->framing};
    if (head->framing == MW_HTTP1_LENGTH) {
        body->left = head->length;
    }
}

static enum mw_http1_result refuse(struct mw_http1_body *body, const char *why) {
    body->why = why;
    return MW_HTTP1_BAD;
}

/* --- lines of the framing --- */

/* The line from body->line on, `most` bytes of framing in all: DONE when it is complete, and behind it in
 * `*next`. What was looked at in earlier calls is not looked at again. */
static enum mw_http1_result find_line(struct mw_http1_body *body, const char *bytes, size_t size,
                                      uint32_t most, uint32_t *next) {
    uint32_t looked = size < most ? (uint32_t)size : most;
    const char *end =
        looked > body->scanned ? memchr(bytes + body->scanned, '\n', looked - body->scanned) : NULL;
    if (!end) {
        body->scanned = looked;
        return looked == most ? refuse(body, "a line of the chunked framing that is too long")
                              : MW_HTTP1_MORE;
    }
    *next = body->scanned = (uint32_t)(end - bytes) + 1;
    if (*next - body->line < 2 || end[-1] != '\r') {
        return refuse(body, "a line of the chunked framing that does not end with CRLF");
    }
    return MW_HTTP1_DONE;
}

static bool parse_size(struct mw_http1_body *body, const char *line, const char *end) {
    const char *at = line;
    body->left = 0;
    for (; mw_http1_is(*at, MW_HTTP1_HEX); at++) {
        body->left = body->left << 4 | (uint64_t)mw_http1_digit(*at);
    }
    return at > line && at - line <= DIGITS_MAX && body->left <= INT64_MAX &&
           mw_http1_are_extensions(at, (size_t)(end - at));
}

static enum mw_http1_result chunk_line(struct mw_http1_body *body, const char *bytes, size_t size,
                                       size_t *used) {
    uint32_t next;
    enum mw_http1_result result = find_line(body, bytes, size, LINE_MAX, &next);
    if (result != MW_HTTP1_DONE) {
        return result;
    }
    if (!parse_size(body, bytes, bytes + next - 2)) {
        return refuse(body, "a bad chunk size");
    }
    body->overhead += next + 2;
    if (body->overhead > OVERHEAD_FREE + OVERHEAD_PER_BYTE * body->data) {
        return refuse(body, "more chunk framing than data");
    }
    body->phase = body->left ? CHUNK_DATA : TRAILER;
    body->scanned = 0;
    *used = next;
    return MW_HTTP1_DONE;
}

static enum mw_http1_result chunk_end(struct mw_http1_body *body, const char *bytes, size_t size,
                                      size_t *used) {
    if ((size >= 1 && bytes[0] != '\r') || (size >= 2 && bytes[1] != '\n')) {
        return refuse(body, "a chunk that does not end with CRLF");
    }
    if (size < 2) {
        return MW_HTTP1_MORE;
    }
    body->phase = CHUNK_LINE;
    *used = 2;
    return MW_HTTP1_DONE;
}

/* --- trailers --- */

/* Fields that would change how the message is read, after it was (RFC 9110 section 6.5.1). */
static bool is_forbidden(const struct mw_http1_field *field) {
    static const char *const names[] = {"authorization",
                                        "connection",
                                        "content-encoding",
                                        "content-length",
                                        "content-range",
                                        "content-type",
                                        "cookie",
                                        "expect",
                                        "host",
                                        "set-cookie",
                                        "te",
                                        "trailer",
                                        "transfer-encoding",
                                        "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == field->name_size && mw_http1_same(field->name, names[i], field->name_size)) {
            return true;
        }
    }
    return false;
}

/* Nothing of the trailer section is used before all of it is there. */
static enum mw_http1_result trailer(struct mw_http1_body *body, const char *bytes, size_t size,
                                    struct mw_http1_run *run) {
    uint32_t next;
    enum mw_http1_result result;
    while ((result = find_line(body, bytes, size, TRAILER_MAX, &next)) == MW_HTTP1_DONE) {
        const char *line = bytes + body->line, *end = bytes + next;
        struct mw_http1_field field;
        if (end - line == 2) {
            run->trailer_at = run->used;
            run->trailer = body->line;
            run->used += next;
            return MW_HTTP1_DONE;
        }
        if (mw_http1_scan_field(line, end, &field) != end || is_forbidden(&field)) {
            return refuse(body, "a bad trailer field");
        }
        if (++body->fields > TRAILER_FIELDS) {
            return refuse(body, "too many trailer fields");
        }
        body->line = next;
    }
    return result;
}

/* --- data --- */

/* As much of the data as is there. */
static void take_data(struct mw_http1_body *body, size_t size, struct mw_http1_run *run) {
    run->start = run->used;
    run->data = size - run->used < body->left ? size - run->used : (size_t)body->left;
    run->used += run->data;
    body->data += run->data;
    body->left -= run->data;
}

/* The next run of data ends this call, so that what comes before it is used with the one before. */
static enum mw_http1_result next_chunked(struct mw_http1_body *body, const char *bytes, size_t size,
                                         struct mw_http1_run *run) {
    for (;;) {
        const char *rest = bytes + run->used;
        size_t there = size - run->used, used = 0;
        enum mw_http1_result result = MW_HTTP1_MORE;
        if (body->phase == CHUNK_LINE) {
            result = chunk_line(body, rest, there, &used);
        } else if (body->phase == CHUNK_END) {
            result = chunk_end(body, rest, there, &used);
        } else if (body->phase == TRAILER) {
            return trailer(body, rest, there, run);
        } else if (there && run->data == 0) {
            take_data(body, size, run);
            body->phase = body->left ? CHUNK_DATA : CHUNK_END;
            result = body->left ? MW_HTTP1_MORE : MW_HTTP1_DONE;
        }
        run->used += used;
        if (result != MW_HTTP1_DONE) {
            return result;
        }
    }
}

enum mw_http1_result mw_http1_body_next(struct mw_http1_body *body, const char *bytes, size_t size,
                                        struct mw_http1_run *run) {
    *run = (struct mw_http1_run){.used = 0};
    switch (body->framing) {
    case MW_HTTP1_CHUNKED:
        return next_chunked(body, bytes, size, run);
    case MW_HTTP1_LENGTH:
        take_data(body, size, run);
        return body->left ? MW_HTTP1_MORE : MW_HTTP1_DONE;
    case MW_HTTP1_UNTIL_END:
        run->data = run->used = size;
        body->data += size;
        return MW_HTTP1_MORE;
    default:
        return MW_HTTP1_DONE;
    }
}
