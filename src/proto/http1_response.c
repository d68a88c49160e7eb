/* Responses (RFC 9112 sections 4 and 6.3). */
#include "proto/http1_internal.h"

/* The space behind the status is owed even without a phrase, but servers leave it out. */
static enum mw_http1_result status_line(struct mw_http1_head *head, struct mw_http1_lines *lines) {
    const char *line = lines->at;
    if (mw_http1_parse_version(head, line, lines->stop) == MW_HTTP1_BAD) {
        return MW_HTTP1_BAD;
    }
    const char *code = line + 9;
    if (line[8] != ' ' || !mw_http1_is_digit(code[0]) || !mw_http1_is_digit(code[1]) ||
        !mw_http1_is_digit(code[2])) {
        return mw_http1_refuse(head, 400, "no status line");
    }
    head->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    if (head->status < 100 || head->status > 599) {
        return mw_http1_refuse(head, 400, "a status that is none");
    }
    const char *reason = code + 3, *end = reason;
    if (*reason == ' ') {
        end = mw_http1_skip(++reason, MW_HTTP1_VALUE);
    }
    if (end[0] != '\r' || end[1] != '\n') {
        return mw_http1_refuse(head, 400, "a bad status line");
    }
    head->reason = mw_http1_part(lines, reason, end);
    lines->at = end + 2;
    head->parser.phase = MW_HTTP1_FIELDS;
    head->fields = (uint32_t)(lines->at - lines->bytes);
    return MW_HTTP1_DONE;
}

/* Answers that end with their head, whatever its fields say of a body: should there be one, what comes next
 * is in doubt. */
static void end_with_head(struct mw_http1_head *head, bool is_promised) {
    if (!is_promised && (head->framing == MW_HTTP1_CHUNKED || head->length > 0)) {
        head->keeps_alive = false;
    }
    head->framing = MW_HTTP1_EMPTY;
}

static void frame(struct mw_http1_head *head, bool to_head, bool to_connect) {
    bool is_tunnel = to_connect && head->status / 100 == 2;
    if (to_head || is_tunnel || head->status < 200 || head->status == 204 || head->status == 304) {
        end_with_head(head, to_head || head->status == 304);
    } else if (head->framing == MW_HTTP1_EMPTY) {
        head->framing = MW_HTTP1_UNTIL_END;
        head->keeps_alive = false;
    }
}

enum mw_http1_result mw_http1_parse_response(struct mw_http1_head *head, const char *bytes, size_t size,
                                             const struct mw_http1_limits *limits, bool to_head,
                                             bool to_connect) {
    struct mw_http1_lines lines;
    enum mw_http1_result result = MW_HTTP1_MORE;
    if (mw_http1_take_lines(head, bytes, size, limits, &lines)) {
        result = head->parser.phase == MW_HTTP1_FIELDS ? MW_HTTP1_DONE : status_line(head, &lines);
        if (result == MW_HTTP1_DONE) {
            result = mw_http1_parse_fields(head, &lines, limits, false);
        }
    }
    if (result == MW_HTTP1_MORE) {
        return mw_http1_await(head, size, limits, false);
    }
    if (result == MW_HTTP1_DONE) {
        frame(head, to_head, to_connect);
    }
    return result;
}
