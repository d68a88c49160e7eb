/* The targets of requests (RFC 9112 section 3.2) and their authorities (RFC 3986 section 3.2). */
#include "proto/http1_internal.h"

#include <arpa/inet.h>

/* --- the authority --- */

/* Digits, none of them allowed, of a number that a port can have. */
static bool is_port(const char *at, const char *end) {
    unsigned port = 0;
    for (; at < end; at++) {
        if (!mw_http1_is_digit(*at) || port > 65535) {
            return false;
        }
        port = port * 10 + (unsigned)(*at - '0');
    }
    return port <= 65535;
}

static bool is_zero(const char *at, const char *end) {
    while (at < end && *at == '0') {
        at++;
    }
    return at == end;
}

/* "v1.address": a form for addresses that are not yet invented. */
static bool is_future(const char *at, const char *end) {
    const char *digits = at + 1;
    for (at = digits; at < end && mw_http1_is(*at, MW_HTTP1_HEX); at++) {
    }
    if (at == digits || end - at < 2 || *at != '.') {
        return false;
    }
    for (at++; at < end && (mw_http1_is(*at, MW_HTTP1_NAME) || *at == ':'); at++) {
    }
    return at == end;
}

/* What stands between brackets. (Its array must not cost every Host a look at the stack's end.) */
static __attribute__((noinline)) bool is_address(const char *at, const char *end) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t size = (size_t)(end - at);
    if (size && (*at == 'v' || *at == 'V')) {
        return is_future(at, end);
    }
    if (size >= sizeof text || memchr(at, '\0', size)) {
        return false;
    }
    memcpy(text, at, size);
    text[size] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* Behind the name: letters, digits, some marks, and escapes. */
static inline const char *skip_name(const char *at, const char *end) {
    for (;;) {
        at = mw_http1_skip(at, MW_HTTP1_NAME);
        if (*at != '%' || end - at < 3 || !mw_http1_is(at[1], MW_HTTP1_HEX) ||
            !mw_http1_is(at[2], MW_HTTP1_HEX)) {
            return at;
        }
        at += 3;
    }
}

/* Behind the address in brackets; NULL when there is none. */
static const char *skip_address(const char *at, const char *end) {
    const char *bracket = memchr(at, ']', (size_t)(end - at));
    return bracket && is_address(at + 1, bracket) ? bracket + 1 : NULL;
}

bool mw_http1_is_authority(const char *bytes, size_t size, const char **port) {
    const char *end = bytes + size, *at = *bytes == '[' ? skip_address(bytes, end) : skip_name(bytes, end);
    *port = at;
    return at && at > bytes && (at == end || (*at == ':' && is_port(at + 1, end)));
}

/* --- the target --- */

static enum mw_http1_result take_path(struct mw_http1_head *head, const struct mw_http1_lines *lines,
                                      const char *path, const char *path_end, bool needs_look) {
    const char *end = lines->bytes + head->target.at + head->target.size;
    if (needs_look && !mw_http1_is_path(path, (size_t)(path_end - path))) {
        return mw_http1_refuse(head, 400, "a bad path");
    }
    head->path = mw_http1_part(lines, path, path_end);
    if (path_end < end) {
        head->has_query = true;
        head->query = mw_http1_part(lines, path_end + 1, end);
    }
    return MW_HTTP1_DONE;
}

/* The scheme's bytes with "://", 0 for one that is not ours. */
static size_t scheme_size(const char *target, size_t size) {
    if (size > 7 && mw_http1_same(target, "http://", 7)) {
        return 7;
    }
    return size > 8 && mw_http1_same(target, "https://", 8) ? 8 : 0;
}

static enum mw_http1_result absolute_target(struct mw_http1_head *head, const struct mw_http1_lines *lines,
                                            const char *path_end) {
    const char *target = lines->bytes + head->target.at, *port;
    size_t scheme = scheme_size(target, head->target.size);
    if (scheme == 0) {
        return mw_http1_refuse(head, 400, "a target that is neither a path nor a URL");
    }
    const char *host = target + scheme, *end = host;
    while (end < path_end && *end != '/') {
        end++;
    }
    if (!mw_http1_is_authority(host, (size_t)(end - host), &port)) {
        return mw_http1_refuse(head, 400, "a bad authority in the target");
    }
    head->host = mw_http1_part(lines, host, end);
    return take_path(head, lines, end, path_end, true);
}

/* The one form of CONNECT: host and port, and the port no empty or impossible one (RFC 9110 section 9.3.6).
 */
static enum mw_http1_result connect_target(struct mw_http1_head *head, const char *target) {
    const char *end = target + head->target.size, *port;
    if (!mw_http1_is_authority(target, head->target.size, &port) || end - port < 2 ||
        is_zero(port + 1, end)) {
        return mw_http1_refuse(head, 400, "CONNECT without host and port");
    }
    head->host = head->target;
    return MW_HTTP1_DONE;
}

static bool is_method(const struct mw_http1_head *head, const char *bytes, const char *method) {
    return head->method.size == strlen(method) &&
           memcmp(bytes + head->method.at, method, head->method.size) == 0;
}

enum mw_http1_result mw_http1_parse_target(struct mw_http1_head *head, const struct mw_http1_lines *lines,
                                           const char *path_end, bool needs_look) {
    const char *target = lines->bytes + head->target.at;
    if (is_method(head, lines->bytes, "CONNECT")) {
        return connect_target(head, target);
    }
    if (*target == '/') {
        return take_path(head, lines, target, path_end, needs_look);
    }
    if (head->target.size == 1 && *target == '*') {
        return is_method(head, lines->bytes, "OPTIONS")
                   ? MW_HTTP1_DONE
                   : mw_http1_refuse(head, 400, "the target * is for OPTIONS");
    }
    return absolute_target(head, lines, path_end);
}
