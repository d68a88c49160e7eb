/* Field lines (RFC 9112 section 5). */
#include "proto/http1_internal.h"

#include <endian.h>

#define EACH(byte) ((uint64_t)0x0101010101010101U * (byte))

/* The first byte that cannot stand in a value; an LF must come before `stop`. Eight bytes at a time: those
 * below a space and DEL leave their highest bit, and the lowest of such bits is right (the others may be
 * borrows). */
static inline const char *skip_value(const char *at, const char *stop) {
    while (stop - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word = le64toh(word);
        uint64_t other = word ^ EACH(0x7f);
        uint64_t found = (((word - EACH(0x20)) & ~word) | ((other - EACH(1)) & ~other)) & EACH(0x80);
        if (found == 0) {
            at += 8;
            continue;
        }
        at += __builtin_ctzll(found) / 8;
        if (*at != '\t') {
            return at;
        }
        at++;
    }
    return mw_http1_skip(at, MW_HTTP1_VALUE);
}

const char *mw_http1_scan_field(const char *at, const char *stop, struct mw_http1_field *field) {
    const char *colon = mw_http1_skip(at, MW_HTTP1_TOKEN);
    if (colon == at || *colon != ':') {
        return NULL;
    }
    const char *value = colon + 1;
    while (mw_http1_is_space(*value)) {
        value++;
    }
    const char *end = skip_value(value, stop), *last = end;
    if (end[0] != '\r' || end[1] != '\n') {
        return NULL;
    }
    while (last > value && mw_http1_is_space(last[-1])) {
        last--;
    }
    *field = (struct mw_http1_field){
        .name = at, .value = value, .name_size = (size_t)(colon - at), .value_size = (size_t)(last - value)};
    return end + 2;
}

/* --- fields of a parsed head: its lines were judged, only their places are looked for --- */

/* The line at `*at`, without its end; `*at` moves behind it. NULL: none is left. */
static const char *next_line(const char *bytes, uint32_t end, uint32_t *at, size_t *size) {
    if (*at >= end) {
        return NULL;
    }
    const char *line = bytes + *at;
    const char *stop = memchr(line, '\n', end - *at);
    if (!stop || stop - line < 2) {
        return NULL;
    }
    *size = (size_t)(stop - line) - 1;
    *at = (uint32_t)(stop - bytes) + 1;
    return line;
}

static bool split(const char *line, size_t size, size_t name_size, struct mw_http1_field *field) {
    const char *value = line + name_size + 1, *end = line + size;
    while (value < end && mw_http1_is_space(*value)) {
        value++;
    }
    while (end > value && mw_http1_is_space(end[-1])) {
        end--;
    }
    *field = (struct mw_http1_field){
        .name = line, .value = value, .name_size = name_size, .value_size = (size_t)(end - value)};
    return true;
}

bool mw_http1_next_field(const char *bytes, uint32_t end, uint32_t *at, struct mw_http1_field *field) {
    size_t size;
    const char *line = next_line(bytes, end, at, &size);
    const char *colon = line ? memchr(line, ':', size) : NULL;
    return colon && split(line, size, (size_t)(colon - line), field);
}

bool mw_http1_find_field(const char *bytes, uint32_t end, uint32_t *at, const char *name, size_t name_size,
                         struct mw_http1_field *field) {
    size_t size;
    for (const char *line; (line = next_line(bytes, end, at, &size));) {
        if (size > name_size && line[name_size] == ':' && mw_http1_same(line, name, name_size) &&
            !memchr(name, ':', name_size)) {
            return split(line, size, name_size, field);
        }
    }
    return false;
}

bool mw_http1_has_token(const char *value, size_t size, const char *token) {
    size_t length = strlen(token), at = 0;
    while (at < size) {
        const char *comma = memchr(value + at, ',', size - at);
        size_t end = comma ? (size_t)(comma - value) : size, last = end;
        while (at < last && mw_http1_is_space(value[at])) {
            at++;
        }
        while (last > at && mw_http1_is_space(value[last - 1])) {
            last--;
        }
        if (last - at == length && mw_http1_same(value + at, token, length)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}
