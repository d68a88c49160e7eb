/* Responses (RFC 9112 sections 4 and 6.3). */
#include "proto/http1_internal.h"

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* The space behind the status is owed even without a phrase, but servers leave it out. */
static enum mw_http1_result status_line(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size,
                                        const struct mw_http1_limits *limits) {
    const char *line = bytes + at;
    (void)limits;
    if (size < 12 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (size > 12 && line[12] != ' ')) {
        return mw_http1_refuse(head, 400, "no status line");
    }
    head->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (head->status < 100 || head->status > 599) {
        return mw_http1_refuse(head, 400, "a status that is none");
    }
    if (size > 13) {
        head->reason = (struct mw_http1_part){.at = at + 13, .size = size - 13};
        if (!mw_http1_all(line + 13, size - 13, MW_HTTP1_VALUE)) {
            return mw_http1_refuse(head, 400, "control bytes in the status line");
        }
    }
    return mw_http1_parse_version(head, line);
}

static const struct mw_http1_grammar grammar = {.first_line = status_line, .too_long = 431};

enum mw_http1_result mw_http1_parse_response(struct mw_http1_head *head, const char *bytes, size_t size,
                                             const struct mw_http1_limits *limits, bool to_head, bool to_connect) {
    enum mw_http1_result result = mw_http1_parse_lines(head, bytes, size, limits, &grammar);
    if (result != MW_HTTP1_DONE) {
        return result;
    }
    bool is_tunnel = to_connect && head->status / 100 == 2;
    if (to_head || is_tunnel || head->status < 200 || head->status == 204 || head->status == 304) {
        head->framing = MW_HTTP1_EMPTY;
    } else if (head->parser.seen & MW_HTTP1_SEEN_CODING) {
        head->framing = MW_HTTP1_CHUNKED;
    } else if (head->parser.seen & MW_HTTP1_SEEN_LENGTH) {
        head->framing = head->length ? MW_HTTP1_LENGTH : MW_HTTP1_EMPTY;
    } else {
        head->framing = MW_HTTP1_UNTIL_END;
        head->keeps_alive = false;
    }
    return MW_HTTP1_DONE;
}
