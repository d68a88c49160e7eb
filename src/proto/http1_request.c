/* Requests (RFC 9112 section 3). */
#include "proto/http1_internal.h"

#include <string.h>

/* --- the authority --- */

static bool is_port(const char *bytes, size_t size) {
    unsigned port = 0;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < '0' || bytes[i] > '9' || port > 65535) {
            return false;
        }
        port = port * 10 + (unsigned)(bytes[i] - '0');
    }
    return port <= 65535;
}

/* An address in brackets: hexadecimal digits, colons, and dots of an IPv4 tail. */
static bool is_bracketed(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!mw_http1_is(bytes[i], MW_HTTP1_HEX) && bytes[i] != ':' && bytes[i] != '.') {
            return false;
        }
    }
    return size >= 2 && memchr(bytes, ':', size);
}

/* Escapes in names are possible, but nobody uses them for anything good. */
bool mw_http1_is_authority(const char *bytes, size_t size) {
    const char *end = bytes + size, *port;
    if (size && *bytes == '[') {
        const char *bracket = memchr(bytes, ']', size);
        if (!bracket || !is_bracketed(bytes + 1, (size_t)(bracket - bytes) - 1)) {
            return false;
        }
        port = bracket + 1;
    } else {
        port = memchr(bytes, ':', size);
        port = port ? port : end;
        if (port == bytes || !mw_http1_all(bytes, (size_t)(port - bytes), MW_HTTP1_NAME)) {
            return false;
        }
    }
    return port == end || (*port == ':' && is_port(port + 1, (size_t)(end - port) - 1));
}

/* --- the target --- */

static void split_query(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size) {
    const char *mark = size ? memchr(bytes + at, '?', size) : NULL;
    uint32_t path = mark ? (uint32_t)(mark - bytes) - at : size;
    head->path = (struct mw_http1_part){.at = at, .size = path};
    head->has_query = mark != NULL;
    if (mark) {
        head->query = (struct mw_http1_part){.at = at + path + 1, .size = size - path - 1};
    }
}

static enum mw_http1_result check_path(struct mw_http1_head *head, const char *bytes) {
    const char *path = bytes + head->path.at;
    return mw_http1_is_path(path, head->path.size) ? MW_HTTP1_DONE
                                                               : mw_http1_refuse(head, 400, "a bad path in the target");
}

/* The scheme's bytes with "://", 0 for one that is not ours. */
static uint32_t scheme_size(const char *target, uint32_t size) {
    if (size > 7 && mw_http1_same(target, "http://", 7)) {
        return 7;
    }
    return size > 8 && mw_http1_same(target, "https://", 8) ? 8 : 0;
}

static enum mw_http1_result absolute_target(struct mw_http1_head *head, const char *bytes) {
    const char *target = bytes + head->target.at;
    uint32_t scheme = scheme_size(target, head->target.size), end = scheme;
    if (scheme == 0) {
        return mw_http1_refuse(head, 400, "a target that is neither a path nor a URL");
    }
    while (end < head->target.size && target[end] != '/' && target[end] != '?') {
        end++;
    }
    if (!mw_http1_is_authority(target + scheme, end - scheme)) {
        return mw_http1_refuse(head, 400, "a bad authority in the target");
    }
    head->host = (struct mw_http1_part){.at = head->target.at + scheme, .size = end - scheme};
    split_query(head, bytes, head->target.at + end, head->target.size - end);
    return check_path(head, bytes);
}

static bool is_method(const struct mw_http1_head *head, const char *bytes, const char *method) {
    return head->method.size == strlen(method) && memcmp(bytes + head->method.at, method, head->method.size) == 0;
}

/* The four forms of RFC 9112 section 3.2. */
static enum mw_http1_result parse_target(struct mw_http1_head *head, const char *bytes) {
    const char *target = bytes + head->target.at;
    if (is_method(head, bytes, "CONNECT")) {
        if (!mw_http1_is_authority(target, head->target.size) || target[head->target.size - 1] == ']' ||
            !memrchr(target, ':', head->target.size)) {
            return mw_http1_refuse(head, 400, "CONNECT without host and port");
        }
        head->host = head->target;
        return MW_HTTP1_DONE;
    }
    if (*target == '/') {
        split_query(head, bytes, head->target.at, head->target.size);
        return check_path(head, bytes);
    }
    if (head->target.size == 1 && *target == '*') {
        return is_method(head, bytes, "OPTIONS") ? MW_HTTP1_DONE
                                                 : mw_http1_refuse(head, 400, "the target * is for OPTIONS");
    }
    return absolute_target(head, bytes);
}

/* --- the request line --- */

static enum mw_http1_result request_line(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size,
                                         const struct mw_http1_limits *limits) {
    const char *line = bytes + at;
    uint32_t method = 0;
    while (method < size && mw_http1_is(line[method], MW_HTTP1_TOKEN)) {
        method++;
    }
    if (method == 0 || method == size || line[method] != ' ') {
        return mw_http1_refuse(head, 400, "no request line");
    }
    uint32_t target = method + 1, end = target;
    while (end < size && mw_http1_is(line[end], MW_HTTP1_TARGET)) {
        end++;
    }
    if (end - target > limits->target) {
        return mw_http1_refuse(head, 414, "a target that is too long");
    }
    if (end == target || end == size || line[end] != ' ' || size - end != 9) {
        return mw_http1_refuse(head, 400, "a bad request line");
    }
    head->method = (struct mw_http1_part){.at = at, .size = method};
    head->target = (struct mw_http1_part){.at = at + target, .size = end - target};
    enum mw_http1_result result = mw_http1_parse_version(head, line + end + 1);
    return result == MW_HTTP1_DONE ? parse_target(head, bytes) : result;
}

static const struct mw_http1_grammar grammar = {.first_line = request_line, .too_long = 414, .skips_empty = true};

enum mw_http1_result mw_http1_parse_request(struct mw_http1_head *head, const char *bytes, size_t size,
                                            const struct mw_http1_limits *limits) {
    enum mw_http1_result result = mw_http1_parse_lines(head, bytes, size, limits, &grammar);
    if (result != MW_HTTP1_DONE) {
        return result;
    }
    if (head->minor && !(head->parser.seen & MW_HTTP1_SEEN_HOST)) {
        return mw_http1_refuse(head, 400, "no Host");
    }
    if (head->parser.seen & MW_HTTP1_SEEN_CODING) {
        head->framing = MW_HTTP1_CHUNKED;
    } else if (head->length) {
        head->framing = MW_HTTP1_LENGTH;
    } else {
        head->framing = (head->parser.seen & MW_HTTP1_SEEN_LENGTH) ? MW_HTTP1_LENGTH : MW_HTTP1_EMPTY;
    }
    if (head->minor == 0) {
        head->expects_continue = false;
    }
    return MW_HTTP1_DONE;
}
