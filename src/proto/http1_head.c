/* What the heads of requests and responses have in common: their lines (RFC 9112 sections 2.2 and 5). */
#include "proto/http1_internal.h"

const struct mw_http1_limits mw_http1_default_limits = {.size = 16 * 1024, .target = 8 * 1024, .fields = 100};

/* Before `scanned` no LF is left but those of parsed lines: every byte is looked at once here. */
bool mw_http1_take_lines(struct mw_http1_head *head, const char *bytes, size_t size,
                         const struct mw_http1_limits *limits, struct mw_http1_lines *lines) {
    uint32_t most = size < limits->size ? (uint32_t)size : limits->size, from = head->parser.scanned;
    if (most <= from) {
        return false;
    }
    head->parser.scanned = most;
    const char *last = bytes + most - 1;
    if (*last != '\n') {
        last = memrchr(bytes + from, '\n', most - from);
    }
    if (!last) {
        return false;
    }
    *lines = (struct mw_http1_lines){.bytes = bytes, .at = bytes + head->parser.line, .stop = last + 1};
    head->parser.line = (uint32_t)(lines->stop - bytes);
    return true;
}

static enum mw_http1_result refuse_line(struct mw_http1_head *head, const char *line) {
    const char *why = "a line that is no field";
    if (mw_http1_is_space(*line)) {
        why = "a folded field";
    } else if (*line == '\n') {
        why = "a line that does not end with CRLF";
    }
    return mw_http1_refuse(head, 400, why);
}

enum mw_http1_result mw_http1_parse_fields(struct mw_http1_head *head, struct mw_http1_lines *lines,
                                           const struct mw_http1_limits *limits, bool is_request) {
    const char *at = lines->at, *next;
    for (; at < lines->stop; at = next) {
        if (at[0] == '\r' && at[1] == '\n') {
            head->size = (uint32_t)(at + 2 - lines->bytes);
            return mw_http1_decide(head);
        }
        struct mw_http1_field field;
        next = mw_http1_scan_field(at, lines->stop, &field);
        if (!next) {
            return refuse_line(head, at);
        }
        if (++head->field_count > limits->fields) {
            return mw_http1_refuse(head, 431, "too many fields");
        }
        if (mw_http1_note_field(head, lines->bytes, &field, is_request) == MW_HTTP1_BAD) {
            return MW_HTTP1_BAD;
        }
    }
    return MW_HTTP1_MORE;
}

enum mw_http1_result mw_http1_await(struct mw_http1_head *head, size_t size,
                                    const struct mw_http1_limits *limits, bool is_request) {
    if (size < limits->size) {
        return MW_HTTP1_MORE;
    }
    bool is_line = is_request && head->parser.phase != MW_HTTP1_FIELDS;
    return is_line ? mw_http1_refuse(head, 414, "a request line that is too long")
                   : mw_http1_refuse(head, 431, "a head that is too large");
}

enum mw_http1_result mw_http1_parse_version(struct mw_http1_head *head, const char *at, const char *stop) {
    if (stop - at < 8 || memcmp(at, "HTTP/", 5) != 0 || !mw_http1_is_digit(at[5]) || at[6] != '.' ||
        !mw_http1_is_digit(at[7])) {
        return mw_http1_refuse(head, 400, "no HTTP version");
    }
    if (at[5] != '1' || at[7] > '1') {
        return mw_http1_refuse(head, 505, "neither HTTP/1.0 nor HTTP/1.1");
    }
    head->minor = (uint8_t)(at[7] - '0');
    return MW_HTTP1_DONE;
}
