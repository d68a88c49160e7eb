/* Paths of targets (RFC 3986 sections 2.1 and 5.2.4). */
#include "proto/http1_internal.h"

#include <limits.h>
#include <string.h>

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Escapes are resolved once. A NUL and a slash must not come out of one: what looks like one segment is one. */
static size_t unescape(char *path, const char *bytes, size_t size) {
    size_t length = 0;
    for (size_t at = 0; at < size; at++) {
        char byte = bytes[at];
        if (byte == '%') {
            int high = at + 2 < size ? digit(bytes[at + 1]) : -1, low = at + 2 < size ? digit(bytes[at + 2]) : -1;
            if (high < 0 || low < 0) {
                return 0;
            }
            byte = (char)(high * 16 + low);
            if (byte == '\0' || byte == '/') {
                return 0;
            }
            at += 2;
        }
        path[length++] = byte;
    }
    return length;
}

/* The segment that begins at `*at`, behind its slash; `*at` moves to the next slash. */
static size_t segment_end(const char *path, size_t at, size_t size) {
    const char *slash = memchr(path + at, '/', size - at);
    return slash ? (size_t)(slash - path) : size;
}

/* Dot segments and empty ones, in place. 0: above the root. */
static size_t resolve(char *path, size_t size) {
    size_t length = 0, at = 0;
    bool is_folder = false;
    while (at < size) {
        size_t begin = at + 1, end = segment_end(path, begin, size), text = end - begin;
        bool is_dot = text == 1 && path[begin] == '.';
        bool is_up = text == 2 && path[begin] == '.' && path[begin + 1] == '.';
        is_folder = text == 0 || is_dot || is_up;
        if (is_up) {
            if (length == 0) {
                return 0;
            }
            while (path[--length] != '/') {
            }
        } else if (!is_folder) {
            path[length++] = '/';
            memmove(path + length, path + begin, text);
            length += text;
        }
        at = end;
    }
    if (is_folder || length == 0) {
        path[length++] = '/';
    }
    return length;
}

size_t mw_http1_decode_path(char *path, const char *bytes, size_t size) {
    if (size == 0 || *bytes != '/') {
        return 0;
    }
    size_t length = unescape(path, bytes, size);
    return length ? resolve(path, length) : 0;
}

/* The next byte of a path, unescaped; `*at` moves behind it. -1: a bad escape, or one for what must not come of one. */
static int next_byte(const char *bytes, size_t size, size_t *at) {
    unsigned char byte = (unsigned char)bytes[(*at)++];
    if (byte != '%') {
        return byte;
    }
    int high = *at + 1 < size ? digit(bytes[*at]) : -1, low = *at + 1 < size ? digit(bytes[*at + 1]) : -1;
    int value = high * 16 + low;
    *at += 2;
    return high < 0 || low < 0 || value == '/' ? -1 : value > 0 ? value : -1;
}

/* How a segment changes the depth; `*at` moves to the slash behind it. INT_MIN: it is bad. */
static int depth_of(const char *bytes, size_t size, size_t *at) {
    int length = 0, dots = 0;
    while (*at < size && bytes[*at] != '/') {
        int byte = next_byte(bytes, size, at);
        if (byte < 0) {
            return INT_MIN;
        }
        dots += byte == '.';
        length++;
    }
    if (length == 0 || (length == 1 && dots == 1)) {
        return 0;
    }
    return length == 2 && dots == 2 ? -1 : 1;
}

bool mw_http1_is_path(const char *bytes, size_t size) {
    long depth = 0;
    size_t at = 0;
    while (at < size) {
        at++;
        int change = depth_of(bytes, size, &at);
        if (change == INT_MIN || (depth += change) < 0) {
            return false;
        }
    }
    return true;
}
