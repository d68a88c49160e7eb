/* layers: proto base */
/* Any bytes as the frames of a peer, whole and cut anywhere: the messages are the same, and so is the fault. What was
 * read can be written again. */
#include "base/utf8.h"
#include "proto/wsframe.h"
#include "target.h"

#include <string.h>

/* What came of the bytes. */
struct outcome {
    const char *why;
    unsigned frames, messages;
    uint64_t sum;     /* over the bytes of payloads */
    bool bad_text;
};

struct peer {
    struct mw_wsframe_rules rules;
    struct mw_wsframe frame;
    struct mw_wsmessage message;
    struct mw_utf8_check utf8;
    bool in_frame;
    uint64_t done; /* bytes of its payload */
    struct outcome outcome;
};

static void check_header(const struct peer *peer, const char *bytes) {
    char header[MW_WSFRAME_HEADER];
    must(mw_wsframe_write_header(header, &peer->frame, peer->rules.masked) == peer->frame.header);
    must(memcmp(header, bytes, peer->frame.header) == 0);
}

static size_t begin_frame(struct peer *peer, const char *bytes, size_t size) {
    const char *why;
    enum mw_wsframe_result result = mw_wsframe_parse(&peer->frame, bytes, size, &peer->rules, &why);
    must((result == MW_WSFRAME_BAD) == (why != NULL));
    if (result != MW_WSFRAME_DONE) {
        peer->outcome.why = why;
        return 0;
    }
    check_header(peer, bytes);
    if (!mw_wsframe_is_control(&peer->frame) && !mw_wsmessage_add(&peer->message, &peer->frame, &why)) {
        peer->outcome.why = why;
        return 0;
    }
    peer->outcome.frames++;
    peer->in_frame = true;
    peer->done = 0;
    return peer->frame.header;
}

static void end_frame(struct peer *peer) {
    peer->in_frame = false;
    if (!mw_wsframe_is_control(&peer->frame) && peer->frame.final) {
        peer->outcome.bad_text |= peer->message.opcode == MW_WSFRAME_TEXT && !mw_utf8_check_ends(&peer->utf8);
        peer->message = (struct mw_wsmessage){.opcode = 0};
        peer->utf8 = (struct mw_utf8_check){.missing = 0};
        peer->outcome.messages++;
    }
}

static size_t take_payload(struct peer *peer, char *bytes, size_t size) {
    uint64_t left = peer->frame.size - peer->done;
    size_t part = left < size ? (size_t)left : size;
    mw_wsframe_mask(bytes, bytes, part, peer->frame.mask, peer->done);
    for (size_t i = 0; i < part; i++) {
        peer->outcome.sum = peer->outcome.sum * 31 + (unsigned char)bytes[i];
    }
    if (!mw_wsframe_is_control(&peer->frame) && peer->message.opcode == MW_WSFRAME_TEXT) {
        peer->outcome.bad_text |= !mw_utf8_check_add(&peer->utf8, bytes, part);
    }
    peer->done += part;
    return part;
}

/* Goes on in bytes that are there; how many were used. */
static size_t feed(struct peer *peer, char *bytes, size_t size) {
    size_t at = 0;
    while (!peer->outcome.why && !peer->outcome.bad_text) {
        if (!peer->in_frame) {
            size_t used = begin_frame(peer, bytes + at, size - at);
            if (used == 0) {
                break;
            }
            at += used;
        }
        at += take_payload(peer, bytes + at, size - at);
        if (peer->done < peer->frame.size) {
            break;
        }
        end_frame(peer);
    }
    return at;
}

static struct outcome run(const struct mw_wsframe_rules *rules, const uint8_t *bytes, size_t size, size_t piece) {
    struct peer peer = {.rules = *rules};
    char *copy = malloc(size ? size : 1);
    must(copy != NULL);
    if (size) {
        memcpy(copy, bytes, size);
    }
    for (size_t from = 0, to = 0; to < size;) {
        to = size - to < piece ? size : to + piece;
        from += feed(&peer, copy + from, to - from);
    }
    free(copy);
    return peer.outcome;
}

/* The first byte says what was agreed on and how it is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input input = {bytes, size};
    unsigned how = input_byte(&input), code;
    const char *why;
    struct mw_wsframe_rules rules = {.masked = how & 1, .deflated = how & 2};
    struct outcome whole = run(&rules, input.at, input.left, input.left ? input.left : 1);
    struct outcome pieces = run(&rules, input.at, input.left, 1 + (how >> 2));
    must(whole.why == pieces.why && whole.bad_text == pieces.bad_text);
    must(whole.frames == pieces.frames && (whole.bad_text || whole.messages == pieces.messages));
    must(whole.bad_text || whole.sum == pieces.sum);
    size_t taken;
    const char *payload = (const char *)input_take(&input, MW_WSFRAME_CONTROL, &taken);
    unsigned failure = mw_wsframe_read_close(payload, taken, &code, &why);
    must(!failure == !why && (failure || code == MW_WSFRAME_NO_CODE || mw_wsframe_is_code(code)));
    return 0;
}
