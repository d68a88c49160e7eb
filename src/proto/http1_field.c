/* Field lines (RFC 9112 section 5). */
#include "proto/http1_internal.h"

#include <string.h>

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t';
}

bool mw_http1_split_field(const char *line, size_t size, struct mw_http1_field *field) {
    size_t name = 0;
    while (name < size && mw_http1_is(line[name], MW_HTTP1_TOKEN)) {
        name++;
    }
    if (name == 0 || name == size || line[name] != ':') {
        return false;
    }
    const char *value = line + name + 1, *end = line + size;
    while (value < end && is_space(*value)) {
        value++;
    }
    while (end > value && is_space(end[-1])) {
        end--;
    }
    field->name = line;
    field->name_size = name;
    field->value = value;
    field->value_size = (size_t)(end - value);
    return mw_http1_all(value, field->value_size, MW_HTTP1_VALUE);
}

/* The lines were judged when they were parsed: only their places are looked for. */
bool mw_http1_next_field(const char *bytes, uint32_t end, uint32_t *at, struct mw_http1_field *field) {
    if (*at >= end) {
        return false;
    }
    const char *line = bytes + *at;
    const char *stop = memchr(line, '\n', end - *at);
    size_t size = stop ? (size_t)(stop - line) : end - *at;
    size_t text = size && line[size - 1] == '\r' ? size - 1 : size;
    if (text == 0) {
        return false;
    }
    *at += (uint32_t)size + 1;
    return mw_http1_split_field(line, text, field);
}

static bool same_name(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char x = a[i], y = b[i];
        x = (char)(x >= 'A' && x <= 'Z' ? x + ('a' - 'A') : x);
        y = (char)(y >= 'A' && y <= 'Z' ? y + ('a' - 'A') : y);
        if (x != y) {
            return false;
        }
    }
    return true;
}

bool mw_http1_find_field(const char *bytes, uint32_t end, uint32_t *at, const char *name, size_t name_size,
                         struct mw_http1_field *field) {
    struct mw_http1_field found;
    while (mw_http1_next_field(bytes, end, at, &found)) {
        if (found.name_size == name_size && same_name(found.name, name, name_size)) {
            *field = found;
            return true;
        }
    }
    return false;
}

bool mw_http1_has_token(const char *value, size_t size, const char *token) {
    size_t length = strlen(token), at = 0;
    while (at < size) {
        const char *comma = memchr(value + at, ',', size - at);
        size_t end = comma ? (size_t)(comma - value) : size, last = end;
        while (at < last && is_space(value[at])) {
            at++;
        }
        while (last > at && is_space(value[last - 1])) {
            last--;
        }
        if (last - at == length && same_name(value + at, token, length)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}
