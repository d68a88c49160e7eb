/* Lines before chunks (RFC 9112 section 7.1). */
#include "proto/http1_internal.h"

static const char *skip_space(const char *at, const char *end) {
    while (at < end && mw_http1_is_space(*at)) {
        at++;
    }
    return at;
}

static const char *skip_token(const char *at, const char *end) {
    while (at < end && mw_http1_is(*at, MW_HTTP1_TOKEN)) {
        at++;
    }
    return at;
}

/* Behind the closing quote; NULL when there is none, or a byte that cannot stand before it. */
static const char *skip_quoted(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && ++at == end) {
            return NULL;
        }
        if (!mw_http1_is(*at, MW_HTTP1_VALUE)) {
            return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

/* The value of an extension; NULL when there is none. */
static const char *skip_value(const char *at, const char *end) {
    if (at < end && *at == '"') {
        return skip_quoted(at, end);
    }
    const char *stop = skip_token(at, end);
    return stop > at ? stop : NULL;
}

bool mw_http1_are_extensions(const char *text, size_t size) {
    const char *at = text, *end = text + size;
    while (at < end) {
        at = skip_space(at, end);
        if (at == end || *at != ';') {
            return false;
        }
        const char *name = skip_space(at + 1, end);
        at = skip_token(name, end);
        if (at == name) {
            return false;
        }
        const char *equals = skip_space(at, end);
        if (equals < end && *equals == '=') {
            at = skip_value(skip_space(equals + 1, end), end);
            if (!at) {
                return false;
            }
        }
    }
    return true;
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
