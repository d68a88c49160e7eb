/* What the heads of requests and responses have in common: their lines, and the fields that decide about the
 * connection and the body (RFC 9112 sections 2.2, 5, 6, 9). */
#include "proto/http1_internal.h"

#include <string.h>

const struct mw_http1_limits mw_http1_default_limits = {.size = 16 * 1024, .target = 8 * 1024, .fields = 100};

enum { START, START_AFTER_EMPTY, FIELDS };

enum mw_http1_result mw_http1_parse_version(struct mw_http1_head *head, const char *bytes) {
    if (memcmp(bytes, "HTTP/", 5) != 0 || bytes[5] < '0' || bytes[5] > '9' || bytes[6] != '.' || bytes[7] < '0' ||
        bytes[7] > '9') {
        return mw_http1_refuse(head, 400, "no HTTP version");
    }
    if (bytes[5] != '1' || bytes[7] > '1') {
        return mw_http1_refuse(head, 505, "neither HTTP/1.0 nor HTTP/1.1");
    }
    head->minor = (uint8_t)(bytes[7] - '0');
    return MW_HTTP1_DONE;
}

/* --- fields that decide something --- */

/* The bit of a field that may be there once. False when it was there already. */
static bool see(struct mw_http1_head *head, uint8_t bit) {
    bool is_new = !(head->parser.seen & bit);
    head->parser.seen |= bit;
    return is_new;
}

static struct mw_http1_part part_of(const char *bytes, const struct mw_http1_field *field) {
    return (struct mw_http1_part){.at = (uint32_t)(field->value - bytes), .size = (uint32_t)field->value_size};
}

static enum mw_http1_result note_length(struct mw_http1_head *head, const struct mw_http1_field *field) {
    uint64_t length = 0;
    if (!see(head, MW_HTTP1_SEEN_LENGTH)) {
        return mw_http1_refuse(head, 400, "Content-Length twice");
    }
    if (field->value_size == 0 || field->value_size > 18) {
        return mw_http1_refuse(head, 400, "bad Content-Length");
    }
    for (size_t i = 0; i < field->value_size; i++) {
        if (field->value[i] < '0' || field->value[i] > '9') {
            return mw_http1_refuse(head, 400, "bad Content-Length");
        }
        length = length * 10 + (uint64_t)(field->value[i] - '0');
    }
    head->length = length;
    return MW_HTTP1_DONE;
}

static enum mw_http1_result note_coding(struct mw_http1_head *head, const struct mw_http1_field *field) {
    if (!see(head, MW_HTTP1_SEEN_CODING)) {
        return mw_http1_refuse(head, 400, "Transfer-Encoding twice");
    }
    if (field->value_size == 7 && mw_http1_same(field->value, "chunked", 7)) {
        return MW_HTTP1_DONE;
    }
    bool is_list = memchr(field->value, ',', field->value_size) != NULL;
    bool is_name = mw_http1_is_token(field->value, field->value_size);
    if (is_name || (is_list && mw_http1_has_token(field->value, field->value_size, "chunked") == false)) {
        return mw_http1_refuse(head, 501, "a transfer coding other than chunked");
    }
    return mw_http1_refuse(head, is_list ? 501 : 400, "a transfer coding other than chunked");
}

static enum mw_http1_result note_host(struct mw_http1_head *head, const char *bytes, const struct mw_http1_field *field) {
    if (!see(head, MW_HTTP1_SEEN_HOST)) {
        return mw_http1_refuse(head, 400, "Host twice");
    }
    if (!mw_http1_is_authority(field->value, field->value_size)) {
        return mw_http1_refuse(head, 400, "bad Host");
    }
    struct mw_http1_part host = part_of(bytes, field);
    const char *target = bytes + head->host.at;
    if (head->host.size && (head->host.size != host.size || strncasecmp(target, field->value, host.size) != 0)) {
        return mw_http1_refuse(head, 400, "Host and target differ");
    }
    head->host = host;
    return MW_HTTP1_DONE;
}

static void note_connection(struct mw_http1_head *head, const struct mw_http1_field *field) {
    static const struct {
        const char *token;
        uint8_t bit;
    } tokens[] = {
        {"close", MW_HTTP1_SEEN_CLOSE}, {"keep-alive", MW_HTTP1_SEEN_KEEP_ALIVE}, {"upgrade", MW_HTTP1_SEEN_UPGRADE}};
    for (size_t i = 0; i < 3; i++) {
        if (mw_http1_has_token(field->value, field->value_size, tokens[i].token)) {
            head->parser.seen |= tokens[i].bit;
        }
    }
}

static enum mw_http1_result note_expect(struct mw_http1_head *head, const struct mw_http1_field *field) {
    if (!see(head, MW_HTTP1_SEEN_EXPECT) || field->value_size != 12 || !mw_http1_same(field->value, "100-continue", 12)) {
        return mw_http1_refuse(head, 417, "an unknown expectation");
    }
    head->expects_continue = true;
    return MW_HTTP1_DONE;
}

static enum mw_http1_result note_protocol(struct mw_http1_head *head, const char *bytes,
                                          const struct mw_http1_field *field) {
    if (see(head, MW_HTTP1_SEEN_PROTOCOL)) {
        head->upgrade = part_of(bytes, field);
    }
    return MW_HTTP1_DONE;
}

/* Names are told apart by their length first: most fields decide nothing. */
static enum mw_http1_result note_field(struct mw_http1_head *head, const char *bytes, const struct mw_http1_field *field,
                                       bool is_request) {
    const char *name = field->name;
    switch (field->name_size) {
    case 4:
        return is_request && mw_http1_same(name, "host", 4) ? note_host(head, bytes, field) : MW_HTTP1_DONE;
    case 6:
        return is_request && mw_http1_same(name, "expect", 6) ? note_expect(head, field) : MW_HTTP1_DONE;
    case 7:
        return mw_http1_same(name, "upgrade", 7) ? note_protocol(head, bytes, field) : MW_HTTP1_DONE;
    case 10:
        if (mw_http1_same(name, "connection", 10)) {
            note_connection(head, field);
        }
        return MW_HTTP1_DONE;
    case 14:
        return mw_http1_same(name, "content-length", 14) ? note_length(head, field) : MW_HTTP1_DONE;
    case 17:
        return mw_http1_same(name, "transfer-encoding", 17) ? note_coding(head, field) : MW_HTTP1_DONE;
    default:
        return MW_HTTP1_DONE;
    }
}

/* --- lines --- */

static enum mw_http1_result field_line(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size,
                                       const struct mw_http1_limits *limits, bool is_request) {
    struct mw_http1_field field;
    if (bytes[at] == ' ' || bytes[at] == '\t') {
        return mw_http1_refuse(head, 400, "a folded field");
    }
    if (!mw_http1_split_field(bytes + at, size, &field)) {
        return mw_http1_refuse(head, 400, "a line that is no field");
    }
    if (++head->field_count > limits->fields) {
        return mw_http1_refuse(head, 431, "too many fields");
    }
    return note_field(head, bytes, &field, is_request);
}

/* What all messages owe: one framing, and an Upgrade that Connection names. */
static enum mw_http1_result conclude(struct mw_http1_head *head) {
    uint8_t seen = head->parser.seen;
    if ((seen & MW_HTTP1_SEEN_CODING) && (seen & MW_HTTP1_SEEN_LENGTH)) {
        return mw_http1_refuse(head, 400, "Transfer-Encoding with Content-Length");
    }
    if ((seen & MW_HTTP1_SEEN_CODING) && head->minor == 0) {
        return mw_http1_refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
    }
    if (!(seen & MW_HTTP1_SEEN_UPGRADE) || head->minor == 0) {
        head->upgrade.size = 0;
    }
    head->keeps_alive = head->minor ? !(seen & MW_HTTP1_SEEN_CLOSE)
                                    : (seen & MW_HTTP1_SEEN_KEEP_ALIVE) && !(seen & MW_HTTP1_SEEN_CLOSE);
    return MW_HTTP1_DONE;
}

static enum mw_http1_result one_line(struct mw_http1_head *head, const char *bytes, uint32_t at, uint32_t size,
                                     const struct mw_http1_limits *limits, const struct mw_http1_grammar *grammar) {
    if (head->parser.phase == FIELDS) {
        return field_line(head, bytes, at, size, limits, grammar->skips_empty);
    }
    if (size == 0) {
        if (!grammar->skips_empty || head->parser.phase == START_AFTER_EMPTY) {
            return mw_http1_refuse(head, 400, "empty lines before the message");
        }
        head->parser.phase = START_AFTER_EMPTY;
        return MW_HTTP1_DONE;
    }
    head->parser.phase = FIELDS;
    head->fields = at + size + 2;
    return grammar->first_line(head, bytes, at, size, limits);
}

enum mw_http1_result mw_http1_parse_lines(struct mw_http1_head *head, const char *bytes, size_t size,
                                          const struct mw_http1_limits *limits, const struct mw_http1_grammar *grammar) {
    size_t most = size < limits->size ? size : limits->size;
    while (head->parser.scanned < most) {
        uint32_t at = head->parser.line;
        const char *end = memchr(bytes + head->parser.scanned, '\n', most - head->parser.scanned);
        if (!end) {
            head->parser.scanned = (uint32_t)most;
            break;
        }
        uint32_t next = (uint32_t)(end - bytes) + 1;
        if (next - at < 2 || end[-1] != '\r') {
            return mw_http1_refuse(head, 400, "a line that does not end with CRLF");
        }
        head->parser.line = head->parser.scanned = next;
        if (next - at == 2 && head->parser.phase == FIELDS) {
            head->size = next;
            return conclude(head);
        }
        if (one_line(head, bytes, at, next - at - 2, limits, grammar) == MW_HTTP1_BAD) {
            return MW_HTTP1_BAD;
        }
    }
    if (size < limits->size) {
        return MW_HTTP1_MORE;
    }
    return mw_http1_refuse(head, head->parser.phase == FIELDS ? 431 : grammar->too_long, "a head that is too large");
}
