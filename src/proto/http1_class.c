#include "proto/http1_internal.h"

/* Made of: tokens (RFC 9110 section 5.6.2); field values (section 5.5); targets: what RFC 3986 allows, and
 * what browsers send beyond it ([ ] ^ ` { | }), but never a space, a control, a quote, <, >, # or a
 * backslash; names of hosts (RFC 3986 section 3.2.2). */
/* clang-format off */
const uint8_t mw_http1_classes[256] = {
      0,   0,   0,   0,   0,   0,   0,   0,   0,   2,   0,   0,   0,   0,   0,   0,
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
      2,  47,   2,   3,  47, 103,  47,  47,  46,  46,  47,  47,  46,  47, 111,  38,
     63,  63,  63,  63,  63,  63,  63,  63,  63,  63,  38,  46,   2,  46,   2,   6,
     38,  63,  63,  63,  63,  63,  63,  47,  47,  47,  47,  47,  47,  47,  47,  47,
     47,  47,  47,  47,  47,  47,  47,  47,  47,  47,  47,  38,   2,  38,  39,  47,
     39,  63,  63,  63,  63,  63,  63,  47,  47,  47,  47,  47,  47,  47,  47,  47,
     47,  47,  47,  47,  47,  47,  47,  47,  47,  47,  47,  38,  39,  38,  47,   0,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
      2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,   2,
};
/* clang-format on */

bool mw_http1_is_token(const char *bytes, size_t size) {
    return size > 0 && mw_http1_all(bytes, size, MW_HTTP1_TOKEN);
}

bool mw_http1_is_value(const char *bytes, size_t size) {
    return size == 0 || (!mw_http1_is_space(bytes[0]) && !mw_http1_is_space(bytes[size - 1]) &&
                         mw_http1_all(bytes, size, MW_HTTP1_VALUE));
}

bool mw_http1_is_target(const char *bytes, size_t size) {
    return size > 0 && mw_http1_all(bytes, size, MW_HTTP1_TARGET);
}
