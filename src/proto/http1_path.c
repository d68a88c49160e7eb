/* Paths of targets (RFC 3986 sections 2.1 and 5.2.4). */
#include "proto/http1_internal.h"

#include <string.h>

/* The byte that an escape stands for; -1: it is none. */
static int escaped(const char *at, const char *end) {
    int high = end - at > 2 ? mw_http1_digit(at[1]) : -1, low = high >= 0 ? mw_http1_digit(at[2]) : -1;
    return low >= 0 ? high * 16 + low : -1;
}

/* Escapes are resolved once. One of a slash stays what it is: what is one segment does not become two. A NUL
 * must not come out of one. */
static size_t unescape(char *path, const char *bytes, size_t size) {
    const char *end = bytes + size;
    size_t length = 0;
    for (const char *at = bytes; at < end; at++) {
        char byte = *at;
        if (byte == '%') {
            int number = escaped(at, end);
            if (number <= 0) {
                return 0;
            }
            if (number != '/') {
                byte = (char)number;
                at += 2;
            }
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
    if (size == 0) {
        *path = '/';
        return 1;
    }
    size_t length = *bytes == '/' ? unescape(path, bytes, size) : 0;
    return length ? resolve(path, length) : 0;
}

/* What a segment is that is more than dots, or has a bad escape. */
enum { MORE_THAN_DOTS = -1, BAD_ESCAPE = -2 };

/* The dots that the segment at `*at` is made of, written as they are or escaped; `*at` moves behind it. */
static int count_dots(const char **at, const char *end) {
    int dots = 0;
    bool only = true;
    for (; *at < end && **at != '/'; (*at)++) {
        int byte = (unsigned char)**at;
        if (byte == '%') {
            byte = escaped(*at, end);
            if (byte <= 0) {
                return BAD_ESCAPE;
            }
            *at += 2;
        }
        dots++;
        only = only && byte == '.';
    }
    return only ? dots : MORE_THAN_DOTS;
}

/* Goes down with each segment and up with each "..", which must find one. */
bool mw_http1_is_path(const char *bytes, size_t size) {
    const char *end = bytes + size, *at = bytes;
    size_t depth = 0;
    while (at < end) {
        at++;
        int dots = count_dots(&at, end);
        if (dots == BAD_ESCAPE || (dots == 2 && depth == 0)) {
            return false;
        }
        if (dots == 2) {
            depth--;
        } else if (dots == MORE_THAN_DOTS || dots > 2) {
            depth++;
        }
    }
    return true;
}
