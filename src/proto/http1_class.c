#include "proto/http1_internal.h"

/* Made of: tokens (RFC 9110 section 5.6.2); field values (section 5.5); targets: what RFC 3986 allows, and what browsers send
 * beyond it, but never a space, a control, a quote, <, >, # or a backslash; authorities (RFC 3986 section 3.2). */
const uint8_t mw_http1_classes[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     2, 15,  2,  3, 15,  7, 15, 15, 14, 14, 15, 15, 14, 15, 15,  6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31,  6, 14,  2, 14,  2,  6,
     6, 31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  2,  6,  7, 15,
     7, 31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
};

bool mw_http1_same(const char *bytes, const char *lower, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char byte = bytes[i];
        if ((byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte) != lower[i]) {
            return false;
        }
    }
    return true;
}

bool mw_http1_is_token(const char *bytes, size_t size) {
    return size > 0 && mw_http1_all(bytes, size, MW_HTTP1_TOKEN);
}

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t';
}

bool mw_http1_is_value(const char *bytes, size_t size) {
    return size == 0 ||
           (!is_space(bytes[0]) && !is_space(bytes[size - 1]) && mw_http1_all(bytes, size, MW_HTTP1_VALUE));
}

bool mw_http1_is_target(const char *bytes, size_t size) {
    return size > 0 && mw_http1_all(bytes, size, MW_HTTP1_TARGET);
}
