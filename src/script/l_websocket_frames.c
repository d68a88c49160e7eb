/* From the unread bytes of a WebSocket to messages. A message of one frame that has arrived whole is taken where it
 * lies; anything else is collected piece by piece, checked as it comes. */
#include "script/l_websocket_internal.h"

#include "script/sched.h"

#include <lauxlib.h>
#include <string.h>

enum {
    CHUNK = 4096,       /* bytes of a compressed payload that are unmasked at once */
    PIECE = 64 * 1024,  /* bytes that a piece of a message has at most */
    SLACK = 1024,       /* that the end of compressed data may add to it */
    SPARE = 64 * 1024,  /* of a buffer that is worth keeping for the next message */
};

/* A buffer that waits for the next message of any WebSocket: so those that come in pieces, or compressed, seldom
 * allocate. */
static struct mw_text spare;

static void lend_buffer(struct mw_l_websocket *ws) {
    if (!ws->collected.bytes) {
        ws->collected = spare;
        spare = (struct mw_text){.bytes = NULL};
    }
}

static void return_buffer(struct mw_l_websocket *ws) {
    if (spare.bytes || ws->collected.room > SPARE || ws->collected.failed) {
        mw_text_free(&ws->collected);
        return;
    }
    ws->collected.size = 0;
    spare = ws->collected;
    ws->collected = (struct mw_text){.bytes = NULL};
}

/* --- failures --- */

/* The connection ends, and the peer hears why. */
static enum mw_ws_event fail(struct mw_l_websocket *ws, struct mw_ws_glance *glance, unsigned code, const char *why) {
    glance->why = why;
    glance->code = code == MW_WSFRAME_TOO_BIG ? "too_large" : code == MW_WSFRAME_INTERNAL_ERROR ? "memory" : "invalid";
    mw_ws_queue_close(ws, code, why, strlen(why));
    mw_ws_end(ws, code);
    return MW_WS_FAILED;
}

static enum mw_ws_event too_big(struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    return fail(ws, glance, MW_WSFRAME_TOO_BIG, "message above the limit");
}

static enum mw_ws_event not_text(struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    return fail(ws, glance, MW_WSFRAME_INVALID_DATA, "text that is not UTF-8");
}

/* --- control frames --- */

void mw_ws_answer_ping(struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    if (glance->was_pinged && ws->state == MW_WS_OPEN) {
        glance->was_pinged = false;
        mw_ws_queue_control(ws, MW_WSFRAME_PONG, glance->pong, glance->pong_size);
    }
}

static enum mw_ws_event take_close(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance,
                                   const char *payload, size_t size) {
    unsigned code;
    const char *why;
    unsigned failure = mw_wsframe_read_close(payload, size, &code, &why);
    if (failure) {
        return fail(ws, glance, failure, why);
    }
    lua_pushlstring(L, size > 2 ? payload + 2 : "", size > 2 ? size - 2 : 0);
    lua_setiuservalue(L, 1, MW_WS_REASON);
    mw_ws_answer_ping(ws, glance);
    mw_ws_queue_close(ws, code, "", 0);
    mw_ws_end(ws, code);
    return MW_WS_END;
}

/* One whole control frame. Only the last ping before an answer counts (RFC 6455 section 5.5.3). */
static enum mw_ws_event take_control(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance,
                                     const struct mw_wsframe *frame, const char *bytes) {
    char payload[MW_WSFRAME_CONTROL];
    size_t size = (size_t)frame->size;
    mw_wsframe_mask(payload, bytes + frame->header, size, frame->mask, 0);
    mw_stream_take(ws->stream->stream, frame->header + size);
    if (frame->opcode == MW_WSFRAME_CLOSE) {
        return take_close(L, ws, glance, payload, size);
    }
    if (frame->opcode == MW_WSFRAME_PING && ws->state == MW_WS_OPEN) {
        glance->was_pinged = true;
        glance->pong_size = (uint8_t)size;
        memcpy(glance->pong, payload, size);
    }
    return MW_WS_MORE;
}

/* --- a message that is there whole --- */

/* Pushes it. Taking the mask off changes bytes of the stream: should pushing raise, nothing of it can be read again,
 * and the WebSocket is over. */
static enum mw_ws_event take_whole(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance,
                                   const struct mw_wsframe *frame, char *bytes) {
    struct mw_utf8_check utf8 = {.missing = 0};
    size_t size = (size_t)frame->size;
    uint8_t state = ws->state;
    char *payload = bytes + frame->header;
    if (ws->rules.masked) {
        mw_wsframe_mask(payload, payload, size, frame->mask, 0);
    }
    if (frame->opcode == MW_WSFRAME_TEXT && !(mw_utf8_check_add(&utf8, payload, size) && mw_utf8_check_ends(&utf8))) {
        return not_text(ws, glance);
    }
    ws->state = MW_WS_CLOSED;
    lua_pushlstring(L, payload, size);
    ws->state = state;
    mw_stream_take(ws->stream->stream, frame->header + size);
    glance->opcode = frame->opcode;
    glance->final = true;
    return MW_WS_MESSAGE;
}

/* --- a message that comes bit by bit --- */

static void forget_message(struct mw_l_websocket *ws) {
    ws->input = (struct mw_ws_message){.order.opcode = 0};
    return_buffer(ws);
}

/* The most that may be collected at once. */
static size_t limit(const struct mw_l_websocket *ws, const struct mw_ws_glance *glance) {
    return glance->mode == MW_WS_PIECES ? PIECE : ws->limits.message;
}

/* The same for a decoder, which is stopped by what is too much. */
static size_t decoding_limit(const struct mw_l_websocket *ws, const struct mw_ws_glance *glance) {
    return glance->mode == MW_WS_PIECES ? PIECE : ws->limits.message + 1;
}

/* Pushes what was collected. A last piece ends the message. */
static enum mw_ws_event give(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance, bool final) {
    glance->opcode = ws->input.order.opcode;
    glance->final = final;
    lua_pushlstring(L, ws->collected.bytes ? ws->collected.bytes : "", ws->collected.size);
    if (final) {
        forget_message(ws);
    } else {
        ws->collected.size = 0;
    }
    return MW_WS_MESSAGE;
}

static enum mw_ws_event end_message(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    size_t before = ws->collected.size;
    if (glance->mode == MW_WS_NOTHING) {
        forget_message(ws);
        return MW_WS_MORE;
    }
    if (ws->input.order.compressed) {
        enum mw_ws_inflation result = mw_ws_inflate_end(ws, decoding_limit(ws, glance) + SLACK);
        if (glance->mode == MW_WS_WHOLE && ws->collected.size > ws->limits.message) {
            result = MW_WS_TOO_MUCH;
        }
        if (result != MW_WS_INFLATED) {
            return result == MW_WS_TOO_MUCH ? too_big(ws, glance)
                                            : fail(ws, glance, MW_WSFRAME_INVALID_DATA, "bad compressed data");
        }
    }
    if (ws->input.order.opcode == MW_WSFRAME_TEXT) {
        const char *bytes = ws->collected.bytes ? ws->collected.bytes + before : "";
        struct mw_utf8_check *utf8 = &ws->input.utf8;
        if (!mw_utf8_check_add(utf8, bytes, ws->collected.size - before) || !mw_utf8_check_ends(utf8)) {
            return not_text(ws, glance);
        }
    }
    return give(L, ws, glance, true);
}

/* Takes some of a compressed payload; how much is in `*used`. */
static enum mw_ws_event decode(struct mw_l_websocket *ws, struct mw_ws_glance *glance, const char *bytes, size_t size,
                               size_t *used) {
    char plain[CHUNK];
    size_t part = size < CHUNK ? size : CHUNK;
    mw_wsframe_mask(plain, bytes, part, ws->frame.mask, ws->done);
    switch (mw_ws_inflate(ws, plain, part, decoding_limit(ws, glance), used)) {
    case MW_WS_INFLATED: return MW_WS_MORE;
    case MW_WS_TOO_MUCH: return glance->mode == MW_WS_PIECES ? MW_WS_MESSAGE : too_big(ws, glance);
    case MW_WS_NO_MEMORY: return fail(ws, glance, MW_WSFRAME_INTERNAL_ERROR, "not enough memory");
    default: return fail(ws, glance, MW_WSFRAME_INVALID_DATA, "bad compressed data");
    }
}

static enum mw_ws_event copy(struct mw_l_websocket *ws, struct mw_ws_glance *glance, const char *bytes, size_t size,
                             size_t *used) {
    size_t room = limit(ws, glance) - ws->collected.size;
    *used = size < room ? size : room;
    char *place = mw_text_reserve(&ws->collected, *used);
    if (!place) {
        return fail(ws, glance, MW_WSFRAME_INTERNAL_ERROR, "not enough memory");
    }
    mw_wsframe_mask(place, bytes, *used, ws->frame.mask, ws->done);
    ws->collected.size += *used;
    return *used < size ? MW_WS_MESSAGE : MW_WS_MORE; /* there is more than one piece has room for */
}

/* Takes what is there of the payload, at least some. MW_WS_MESSAGE: a piece is full. */
static enum mw_ws_event take_payload(struct mw_l_websocket *ws, struct mw_ws_glance *glance, const char *bytes,
                                     size_t size) {
    uint64_t left = ws->frame.size - ws->done;
    size_t before = ws->collected.size, part = left < size ? (size_t)left : size, used = part;
    enum mw_ws_event event = MW_WS_MORE;
    if (glance->mode != MW_WS_NOTHING) {
        lend_buffer(ws);
        bool is_coded = ws->input.order.compressed;
        event = (is_coded ? decode : copy)(ws, glance, bytes, part, &used);
        if (event == MW_WS_FAILED) {
            return event;
        }
        const char *added = ws->collected.bytes + before;
        if (ws->input.order.opcode == MW_WSFRAME_TEXT &&
            !mw_utf8_check_add(&ws->input.utf8, added, ws->collected.size - before)) {
            return not_text(ws, glance);
        }
    }
    ws->done += used;
    mw_stream_take(ws->stream->stream, used);
    return event;
}

/* A data frame begins: its header is taken. */
static enum mw_ws_event begin_frame(struct mw_l_websocket *ws, struct mw_ws_glance *glance,
                                    const struct mw_wsframe *frame) {
    const char *why;
    if (!mw_wsmessage_add(&ws->input.order, frame, &why)) {
        return fail(ws, glance, MW_WSFRAME_PROTOCOL_ERROR, why);
    }
    bool collects = glance->mode == MW_WS_WHOLE && !ws->input.order.compressed;
    if ((collects && frame->size > ws->limits.message - ws->collected.size) ||
        ws->input.order.frames > ws->limits.frames) {
        return too_big(ws, glance);
    }
    ws->frame = *frame;
    ws->in_frame = true;
    ws->done = 0;
    mw_stream_take(ws->stream->stream, frame->header);
    return MW_WS_MORE;
}

/* Whether what is there is worth being looked at once more. */
static bool go_on_in_frame(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance, const char *bytes,
                           size_t size, enum mw_ws_event *event) {
    *event = size && ws->done < ws->frame.size ? take_payload(ws, glance, bytes, size) : MW_WS_MORE;
    if (*event == MW_WS_MESSAGE) {
        *event = give(L, ws, glance, false);
    } else if (*event == MW_WS_MORE && ws->done == ws->frame.size) {
        ws->in_frame = false;
        if (ws->frame.final) {
            *event = end_message(L, ws, glance);
        }
        return *event == MW_WS_MORE;
    } else if (*event == MW_WS_MORE) {
        return size > 0; /* a chunk of it was decoded */
    }
    return false;
}

static bool begin(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance, const char *bytes, size_t size,
                  enum mw_ws_event *event) {
    struct mw_wsframe frame;
    const char *why;
    enum mw_wsframe_result result = mw_wsframe_parse(&frame, bytes, size, &ws->rules, &why);
    *event = MW_WS_MORE;
    if (result != MW_WSFRAME_DONE) {
        *event = result == MW_WSFRAME_BAD ? fail(ws, glance, MW_WSFRAME_PROTOCOL_ERROR, why) : MW_WS_MORE;
        return false;
    }
    bool is_whole = frame.size <= size - frame.header;
    if (mw_wsframe_is_control(&frame)) {
        *event = is_whole ? take_control(L, ws, glance, &frame, bytes) : MW_WS_MORE;
        return is_whole && *event == MW_WS_MORE;
    }
    if (is_whole && frame.final && frame.opcode && !frame.compressed && ws->input.order.opcode == 0 &&
        frame.size <= limit(ws, glance) && glance->mode != MW_WS_NOTHING) {
        *event = take_whole(L, ws, glance, &frame, (char *)(uintptr_t)bytes);
        return false;
    }
    *event = begin_frame(ws, glance, &frame);
    return *event == MW_WS_MORE;
}

/* A piece that came and fills none is given when nothing more is there: nobody waits with it. */
static enum mw_ws_event give_piece(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    return glance->mode == MW_WS_PIECES && ws->collected.size ? give(L, ws, glance, false) : MW_WS_MORE;
}

enum mw_ws_event mw_ws_advance(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance) {
    enum mw_ws_event event = MW_WS_MORE;
    size_t size;
    bool goes_on = glance->mode != MW_WS_PIECES || ws->collected.size < PIECE; /* more may have come as a whole */
    while (goes_on) {
        const char *bytes = mw_stream_unread(ws->stream->stream, &size);
        if (!ws->in_frame && size == 0) {
            break;
        }
        goes_on = ws->in_frame ? go_on_in_frame(L, ws, glance, bytes, size, &event)
                               : begin(L, ws, glance, bytes, size, &event);
    }
    return event == MW_WS_MORE ? give_piece(L, ws, glance) : event;
}
