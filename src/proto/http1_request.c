/* Requests (RFC 9112 section 3). */
#include "proto/http1_internal.h"

static enum mw_http1_result line_end(struct mw_http1_head *head, const char *version, const char *stop) {
    if (stop - version >= 10 && memcmp(version, "HTTP/1.1\r\n", 10) == 0) {
        head->minor = 1;
        return MW_HTTP1_DONE;
    }
    enum mw_http1_result result = mw_http1_parse_version(head, version, stop);
    if (result == MW_HTTP1_DONE && (version[8] != '\r' || version[9] != '\n')) {
        return mw_http1_refuse(head, 400, "a bad request line");
    }
    return result;
}

static enum mw_http1_result request_line(struct mw_http1_head *head, struct mw_http1_lines *lines,
                                         const struct mw_http1_limits *limits) {
    const char *method = lines->at, *space = mw_http1_skip(method, MW_HTTP1_TOKEN);
    if (space == method || *space != ' ') {
        return mw_http1_refuse(head, 400, "no request line");
    }
    const char *target = space + 1, *end = target;
    uint8_t marks = 0;
    for (; mw_http1_is(*end, MW_HTTP1_PATH); end++) {
        marks |= mw_http1_classes[(unsigned char)*end];
    }
    const char *path_end = end;
    end = mw_http1_skip(end, MW_HTTP1_TARGET);
    if ((size_t)(end - target) > limits->target) {
        return mw_http1_refuse(head, 414, "a target that is too long");
    }
    if (end == target || *end != ' ') {
        return mw_http1_refuse(head, 400, "a bad target");
    }
    head->method = mw_http1_part(lines, method, space);
    head->target = mw_http1_part(lines, target, end);
    lines->at = end + 11;
    if (line_end(head, end + 1, lines->stop) == MW_HTTP1_BAD) {
        return MW_HTTP1_BAD;
    }
    return mw_http1_parse_target(head, lines, path_end, marks & MW_HTTP1_SPECIAL);
}

/* One empty line may come before a request: MORE when there is nothing else. */
static enum mw_http1_result first_lines(struct mw_http1_head *head, struct mw_http1_lines *lines,
                                        const struct mw_http1_limits *limits) {
    if (lines->at[0] == '\r' && lines->at[1] == '\n' && head->parser.phase == MW_HTTP1_START) {
        head->parser.phase = MW_HTTP1_START_AFTER_EMPTY;
        lines->at += 2;
        if (lines->at == lines->stop) {
            return MW_HTTP1_MORE;
        }
    }
    enum mw_http1_result result = request_line(head, lines, limits);
    head->parser.phase = MW_HTTP1_FIELDS;
    head->fields = (uint32_t)(lines->at - lines->bytes);
    return result;
}

enum mw_http1_result mw_http1_parse_request(struct mw_http1_head *head, const char *bytes, size_t size,
                                            const struct mw_http1_limits *limits) {
    struct mw_http1_lines lines;
    enum mw_http1_result result = MW_HTTP1_MORE;
    if (mw_http1_take_lines(head, bytes, size, limits, &lines)) {
        result = head->parser.phase == MW_HTTP1_FIELDS ? MW_HTTP1_DONE : first_lines(head, &lines, limits);
        if (result == MW_HTTP1_DONE) {
            result = mw_http1_parse_fields(head, &lines, limits, true);
        }
    }
    if (result == MW_HTTP1_MORE) {
        return mw_http1_await(head, size, limits, true);
    }
    if (result == MW_HTTP1_DONE && head->minor && !(head->parser.seen & MW_HTTP1_SEEN_HOST)) {
        return mw_http1_refuse(head, 400, "no Host");
    }
    return result;
}
