/* Bodies (RFC 9112 sections 6 and 7). */
#include "proto/http1_internal.h"

#include <string.h>

enum { LINE_MAX = 1024, TRAILER_MAX = 8 * 1024, TRAILER_FIELDS = 100 }; /* bytes, and lines */

/* What the framing may take beside the data: a sender of single bytes needs six for each. */
enum { OVERHEAD_FREE = 64 * 1024, OVERHEAD_PER_BYTE = 16 };

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

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static size_t skip_space(const char *text, size_t at, size_t size) {
    while (at < size && (text[at] == ' ' || text[at] == '\t')) {
        at++;
    }
    return at;
}

static size_t skip_token(const char *text, size_t at, size_t size) {
    while (at < size && mw_http1_is(text[at], MW_HTTP1_TOKEN)) {
        at++;
    }
    return at;
}

/* Behind the closing quote; 0 when it is none. */
static size_t skip_quoted(const char *text, size_t at, size_t size) {
    for (at++; at < size && text[at] != '"'; at++) {
        if (!mw_http1_is(text[at], MW_HTTP1_VALUE) || (text[at] == '\\' && ++at == size)) {
            return 0;
        }
    }
    return at < size ? at + 1 : 0;
}

/* chunk-ext of RFC 9112 section 7.1.1. */
static bool are_extensions(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        at = skip_space(text, at, size);
        if (at == size || text[at] != ';') {
            return false;
        }
        size_t name = skip_space(text, at + 1, size);
        at = skip_token(text, name, size);
        if (at == name) {
            return false;
        }
        size_t equals = skip_space(text, at, size);
        if (equals < size && text[equals] == '=') {
            size_t value = skip_space(text, equals + 1, size);
            at = value < size && text[value] == '"' ? skip_quoted(text, value, size) : skip_token(text, value, size);
            if (at <= value) {
                return false;
            }
        }
    }
    return true;
}

/* The line that begins at `bytes`: its length without CRLF in `*length`. */
static enum mw_http1_result find_line(struct mw_http1_body *body, const char *bytes, size_t size, size_t most,
                                      size_t *length) {
    size_t looked = size < most ? size : most;
    const char *end = looked ? memchr(bytes, '\n', looked) : NULL;
    if (!end) {
        return looked == most ? refuse(body, "a line of the chunked framing that is too long") : MW_HTTP1_MORE;
    }
    if (end == bytes || end[-1] != '\r') {
        return refuse(body, "a line of the chunked framing that does not end with CRLF");
    }
    *length = (size_t)(end - bytes) - 1;
    return memchr(bytes, '\r', *length) ? refuse(body, "a bare CR in the chunked framing") : MW_HTTP1_DONE;
}

static enum mw_http1_result chunk_line(struct mw_http1_body *body, const char *bytes, size_t size, size_t *used) {
    size_t length, digits = 0;
    enum mw_http1_result result = find_line(body, bytes, size, LINE_MAX, &length);
    if (result != MW_HTTP1_DONE) {
        return result;
    }
    body->left = 0;
    while (digits < length && digit(bytes[digits]) >= 0) {
        body->left = body->left * 16 + (uint64_t)digit(bytes[digits]);
        digits++;
    }
    if (digits == 0 || digits > 15 || !are_extensions(bytes + digits, length - digits)) {
        return refuse(body, "a bad chunk size");
    }
    body->overhead += length + 4;
    if (body->overhead > OVERHEAD_FREE + OVERHEAD_PER_BYTE * body->data) {
        return refuse(body, "more chunk framing than data");
    }
    body->phase = body->left ? CHUNK_DATA : TRAILER;
    *used = length + 2;
    return MW_HTTP1_DONE;
}

/* Fields that would change how the message is read, after it was (RFC 9110 section 6.5.1). */
static bool is_forbidden(const struct mw_http1_field *field) {
    static const char *const names[] = {"transfer-encoding", "content-length", "host", "trailer", "content-encoding",
                                        "content-type", "content-range", "connection", "upgrade", "expect", "te",
                                        "authorization", "cookie", "set-cookie"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == field->name_size && mw_http1_same(field->name, names[i], field->name_size)) {
            return true;
        }
    }
    return false;
}

/* Nothing of the trailer section is used before all of it is there. */
static enum mw_http1_result trailer(struct mw_http1_body *body, const char *bytes, size_t size, size_t *fields,
                                    size_t *used) {
    size_t at = 0, length;
    for (int count = 0; count <= TRAILER_FIELDS; count++) {
        struct mw_http1_field field;
        enum mw_http1_result result = find_line(body, bytes + at, size - at, TRAILER_MAX - at, &length);
        if (result != MW_HTTP1_DONE) {
            return result;
        }
        if (length == 0) {
            *fields = at;
            *used = at + 2;
            return MW_HTTP1_DONE;
        }
        if (!mw_http1_split_field(bytes + at, length, &field) || is_forbidden(&field)) {
            return refuse(body, "a bad trailer field");
        }
        at += length + 2;
    }
    return refuse(body, "too many trailer fields");
}

/* As much of the data as is there. */
static void take_data(struct mw_http1_body *body, size_t size, struct mw_http1_run *run) {
    run->start = run->used;
    run->data = size - run->used < body->left ? size - run->used : (size_t)body->left;
    run->used += run->data;
    body->data += run->data;
    body->left -= run->data;
}

static enum mw_http1_result next_chunked(struct mw_http1_body *body, const char *bytes, size_t size,
                                         struct mw_http1_run *run) {
    for (;;) {
        const char *rest = bytes + run->used;
        size_t there = size - run->used, used = 0;
        enum mw_http1_result result = MW_HTTP1_MORE;
        if (body->phase == CHUNK_LINE) {
            if (run->data) {
                return MW_HTTP1_MORE;
            }
            result = chunk_line(body, rest, there, &used);
        } else if (body->phase == CHUNK_DATA && there) {
            take_data(body, size, run);
            body->phase = body->left ? CHUNK_DATA : CHUNK_END;
            result = body->left ? MW_HTTP1_MORE : MW_HTTP1_DONE;
        } else if (body->phase == CHUNK_END && there >= 1) {
            if (rest[0] != '\r' || (there >= 2 && rest[1] != '\n')) {
                return refuse(body, "a chunk that does not end with CRLF");
            }
            used = there >= 2 ? 2 : 0;
            body->phase = there >= 2 ? CHUNK_LINE : CHUNK_END;
            result = there >= 2 ? MW_HTTP1_DONE : MW_HTTP1_MORE;
        } else if (body->phase == TRAILER) {
            run->trailer_at = run->used;
            result = trailer(body, rest, there, &run->trailer, &used);
            run->used += used;
            return result;
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

size_t mw_http1_chunk_line(char line[MW_HTTP1_CHUNK_LINE], size_t size) {
    static const char digits[] = "0123456789abcdef";
    size_t length = 1;
    for (size_t rest = size >> 4; rest; rest >>= 4) {
        length++;
    }
    for (size_t i = length; i > 0; i--, size >>= 4) {
        line[i - 1] = digits[size & 15];
    }
    line[length] = '\r';
    line[length + 1] = '\n';
    return length + 2;
}
