/* The fields that decide about the connection and the body (RFC 9112 sections 3.2, 6 and 9, RFC 9110
 * sections 7.8 and 10.1.1). */
#include "proto/http1_internal.h"

/* The bit of a field that may be there once. False when it was there already. */
static bool see(struct mw_http1_head *head, uint8_t bit) {
    bool is_new = !(head->parser.seen & bit);
    head->parser.seen |= bit;
    return is_new;
}

static struct mw_http1_part part_of(const char *bytes, const struct mw_http1_field *field) {
    return (struct mw_http1_part){.at = (uint32_t)(field->value - bytes),
                                  .size = (uint32_t)field->value_size};
}

static enum mw_http1_result note_length(struct mw_http1_head *head, const struct mw_http1_field *field) {
    enum { DIGITS_MAX = 18 };
    const char *at = field->value, *end = at + field->value_size;
    uint64_t length = 0;
    if (!see(head, MW_HTTP1_SEEN_LENGTH)) {
        return mw_http1_refuse(head, 400, "Content-Length twice");
    }
    while (end - at > 1 && *at == '0') {
        at++;
    }
    if (at == end || end - at > DIGITS_MAX) {
        return mw_http1_refuse(head, 400, "bad Content-Length");
    }
    for (; at < end; at++) {
        if (!mw_http1_is_digit(*at)) {
            return mw_http1_refuse(head, 400, "bad Content-Length");
        }
        length = length * 10 + (uint64_t)(*at - '0');
    }
    head->length = length;
    return MW_HTTP1_DONE;
}

/* One that is known and last is the only coding that frames a body; others may be right, but are not done
 * here. */
static enum mw_http1_result note_coding(struct mw_http1_head *head, const struct mw_http1_field *field) {
    const char *value = field->value;
    size_t size = field->value_size;
    if (!see(head, MW_HTTP1_SEEN_CODING)) {
        return mw_http1_refuse(head, 400, "Transfer-Encoding twice");
    }
    if (size == 7 && mw_http1_same(value, "chunked", 7)) {
        return MW_HTTP1_DONE;
    }
    const char *comma = size ? memrchr(value, ',', size) : NULL;
    size_t before = comma ? (size_t)(comma - value) : 0;
    bool is_known = comma && mw_http1_has_token(comma, size - before, "chunked") &&
                    !mw_http1_has_token(value, before, "chunked");
    if (is_known || mw_http1_is_token(value, size)) {
        return mw_http1_refuse(head, 501, "a transfer coding other than chunked");
    }
    return mw_http1_refuse(head, 400, "bad Transfer-Encoding");
}

/* The authority of an absolute target must be the same; that of CONNECT may have its port left out. */
static bool is_of_target(const struct mw_http1_head *head, const char *bytes,
                         const struct mw_http1_field *field, size_t name_size) {
    const char *target = bytes + head->host.at;
    size_t size = field->value_size;
    if (size == head->host.size) {
        return mw_http1_same(target, field->value, size);
    }
    bool is_connect = head->host.at == head->target.at;
    return is_connect && size == name_size && size < head->host.size && target[size] == ':' &&
           mw_http1_same(target, field->value, size);
}

/* An empty Host stands for a target without an authority. */
static enum mw_http1_result note_host(struct mw_http1_head *head, const char *bytes,
                                      const struct mw_http1_field *field) {
    const char *port = field->value;
    if (!see(head, MW_HTTP1_SEEN_HOST)) {
        return mw_http1_refuse(head, 400, "Host twice");
    }
    if (field->value_size && !mw_http1_is_authority(field->value, field->value_size, &port)) {
        return mw_http1_refuse(head, 400, "bad Host");
    }
    if (head->host.size) {
        return is_of_target(head, bytes, field, (size_t)(port - field->value))
                   ? MW_HTTP1_DONE
                   : mw_http1_refuse(head, 400, "Host and target differ");
    }
    head->host = part_of(bytes, field);
    return MW_HTTP1_DONE;
}

static void note_connection(struct mw_http1_head *head, const struct mw_http1_field *field) {
    static const struct {
        char token[16];
        uint8_t bit;
    } tokens[] = {{"close", MW_HTTP1_SEEN_CLOSE},
                  {"keep-alive", MW_HTTP1_SEEN_KEEP_ALIVE},
                  {"upgrade", MW_HTTP1_SEEN_UPGRADE}};
    for (size_t i = 0; i < 3; i++) {
        if (mw_http1_has_token(field->value, field->value_size, tokens[i].token)) {
            head->parser.seen |= tokens[i].bit;
        }
    }
}

/* HTTP/1.0 knows no expectations (RFC 9110 section 10.1.1). */
static enum mw_http1_result note_expect(struct mw_http1_head *head, const struct mw_http1_field *field) {
    if (head->minor == 0) {
        return MW_HTTP1_DONE;
    }
    if (!see(head, MW_HTTP1_SEEN_EXPECT) || field->value_size != 12 ||
        !mw_http1_same(field->value, "100-continue", 12)) {
        return mw_http1_refuse(head, 417, "an unknown expectation");
    }
    head->expects_continue = true;
    return MW_HTTP1_DONE;
}

static void note_protocol(struct mw_http1_head *head, const char *bytes, const struct mw_http1_field *field) {
    if (see(head, MW_HTTP1_SEEN_PROTOCOL)) {
        head->upgrade = part_of(bytes, field);
    }
}

/* Names are told apart by their length first: most fields decide nothing. */
enum mw_http1_result mw_http1_note_field(struct mw_http1_head *head, const char *bytes,
                                         const struct mw_http1_field *field, bool is_request) {
    const char *name = field->name;
    switch (field->name_size) {
    case 4:
        return is_request && MW_HTTP1_IS_NAME(name, "host") ? note_host(head, bytes, field) : MW_HTTP1_DONE;
    case 6:
        return is_request && MW_HTTP1_IS_NAME(name, "expect") ? note_expect(head, field) : MW_HTTP1_DONE;
    case 7:
        if (MW_HTTP1_IS_NAME(name, "upgrade")) {
            note_protocol(head, bytes, field);
        }
        return MW_HTTP1_DONE;
    case 10:
        if (MW_HTTP1_IS_NAME(name, "connection")) {
            note_connection(head, field);
        }
        return MW_HTTP1_DONE;
    case 14:
        return MW_HTTP1_IS_NAME(name, "content-length") ? note_length(head, field) : MW_HTTP1_DONE;
    case 17:
        return MW_HTTP1_IS_NAME(name, "transfer-encoding") ? note_coding(head, field) : MW_HTTP1_DONE;
    default:
        return MW_HTTP1_DONE;
    }
}

enum mw_http1_result mw_http1_decide(struct mw_http1_head *head) {
    uint8_t seen = head->parser.seen;
    if (seen & MW_HTTP1_SEEN_CODING) {
        if (seen & MW_HTTP1_SEEN_LENGTH) {
            return mw_http1_refuse(head, 400, "Transfer-Encoding with Content-Length");
        }
        if (head->minor == 0) {
            return mw_http1_refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
        }
        head->framing = MW_HTTP1_CHUNKED;
    } else if (seen & MW_HTTP1_SEEN_LENGTH) {
        head->framing = MW_HTTP1_LENGTH;
    }
    if (!(seen & MW_HTTP1_SEEN_UPGRADE) || head->minor == 0) {
        head->upgrade.size = 0;
    }
    head->keeps_alive = !(seen & MW_HTTP1_SEEN_CLOSE) && (head->minor || (seen & MW_HTTP1_SEEN_KEEP_ALIVE));
    return MW_HTTP1_DONE;
}
