/* Sending. A frame is queued whole, so that answers to pings may stand between any two; a sender waits only while more
 * than the high mark is queued. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_websocket_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum {
    SHORT = 1024,           /* bytes that are masked on the stack */
    KEPT = 64 * 1024,       /* of the buffer for more */
    MASKS = 1024,           /* drawn from the kernel at once */
};

/* --- frames --- */

/* Nobody who has seen earlier masks can tell the next one (RFC 6455 section 10.3): each is the kernel's. */
static void draw_mask(unsigned char mask[4]) {
    static unsigned char drawn[MASKS * 4];
    static size_t left;
    if (left == 0) {
        size_t got = 0;
        while (got < sizeof drawn) {
            ssize_t count = getrandom(drawn + got, sizeof drawn - got, 0);
            got += count > 0 ? (size_t)count : 0;
        }
        left = MASKS;
    }
    left--;
    memcpy(mask, drawn + left * 4, 4);
    memset(drawn + left * 4, 0, 4);
}

static int queue_pieces(struct mw_l_websocket *ws, char *header, size_t length, const char *bytes, size_t size) {
    struct iovec pieces[2] = {{.iov_base = header, .iov_len = length},
                              {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size}};
    return mw_stream_queue_pieces(ws->stream->stream, pieces, size ? 2 : 1);
}

/* The payload is masked on its way into the queue. */
static int queue_masked(struct mw_l_websocket *ws, const struct mw_wsframe *frame, const char *bytes) {
    static struct mw_text masked;
    char header[MW_WSFRAME_HEADER], brief[SHORT], *place = brief;
    size_t size = (size_t)frame->size, length = mw_wsframe_write_header(header, frame, true);
    if (size > SHORT) {
        masked.size = 0;
        place = mw_text_reserve(&masked, size);
    }
    if (!place) {
        mw_text_free(&masked);
        return ENOMEM;
    }
    mw_wsframe_mask(place, bytes, size, frame->mask, 0);
    int error = queue_pieces(ws, header, length, place, size);
    if (masked.room > KEPT) {
        mw_text_free(&masked);
    }
    return error;
}

int mw_ws_queue(struct mw_l_websocket *ws, struct mw_wsframe *frame, const char *bytes, size_t size) {
    char header[MW_WSFRAME_HEADER];
    frame->size = size;
    if (ws->is_client) {
        draw_mask(frame->mask);
        return queue_masked(ws, frame, bytes);
    }
    return queue_pieces(ws, header, mw_wsframe_write_header(header, frame, false), bytes, size);
}

void mw_ws_queue_control(struct mw_l_websocket *ws, uint8_t opcode, const char *bytes, size_t size) {
    struct mw_wsframe frame = {.opcode = opcode, .final = true};
    if (mw_stream_pending(ws->stream->stream) <= ws->stream->profile->marks.high) {
        mw_ws_queue(ws, &frame, bytes, size);
    }
}

void mw_ws_queue_close(struct mw_l_websocket *ws, unsigned code, const char *reason, size_t size) {
    char payload[MW_WSFRAME_CONTROL];
    struct mw_wsframe frame = {.opcode = MW_WSFRAME_CLOSE, .final = true};
    if (ws->state == MW_WS_OPEN && ws->stream->stream) {
        mw_ws_queue(ws, &frame, payload, mw_wsframe_write_close(payload, code, reason, size));
        ws->state = MW_WS_CLOSING;
    }
}

/* --- whole messages --- */

const char *mw_ws_word(int error) {
    return error == 0 ? NULL : error == ENOBUFS ? "too_large" : mw_fault_code(error);
}

const char *mw_ws_obstacle(struct mw_l_websocket *ws, bool waits) {
    struct mw_l_stream *stream = ws->stream;
    if (ws->state != MW_WS_OPEN || !stream->stream) {
        return "closed";
    }
    if (ws->output.order.opcode || (waits && stream->writer)) {
        return "busy";
    }
    size_t high = stream->profile->marks.high;
    if (!waits && mw_stream_pending(stream->stream) > high && !mw_stream_output_fault(stream->stream)) {
        mw_stream_flush(stream->stream);
        return mw_stream_pending(stream->stream) > high ? "busy" : NULL;
    }
    return NULL;
}

const char *mw_ws_post(struct mw_l_websocket *ws, uint8_t opcode, const char *bytes, size_t size) {
    struct mw_wsframe frame = {.opcode = opcode, .final = true};
    struct mw_text *coded;
    if (ws->deflate && mw_ws_deflate(ws, bytes, size, &coded)) {
        frame.compressed = true;
        return mw_ws_word(mw_ws_queue(ws, &frame, coded->bytes, coded->size));
    }
    return mw_ws_word(mw_ws_queue(ws, &frame, bytes, size));
}

uint8_t mw_ws_check_kind(lua_State *L, int index) {
    static const char *const kinds[] = {"text", "binary", NULL};
    if (lua_isnoneornil(L, index)) {
        return MW_WSFRAME_TEXT;
    }
    return luaL_checkoption(L, index, NULL, kinds) == 0 ? MW_WSFRAME_TEXT : MW_WSFRAME_BINARY;
}

void mw_ws_check_text(lua_State *L, int index, uint8_t opcode) {
    struct mw_utf8_check utf8 = {.missing = 0};
    size_t size;
    const char *bytes = lua_tolstring(L, index, &size);
    if (opcode == MW_WSFRAME_TEXT && !(mw_utf8_check_add(&utf8, bytes, size) && mw_utf8_check_ends(&utf8))) {
        luaL_argerror(L, index, "not UTF-8: send it as \"binary\"");
    }
}

/* --- waiting for room --- */

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->writer = NULL;
    if (stream->stream) {
        mw_stream_forget_output(stream->stream);
    }
}

static const struct mw_wait send_wait = {.name = "send", .abandon = abandon, .sends = true};
static const struct mw_wait flush_wait = {.name = "flush", .abandon = abandon, .sends = true};

static int give_state(lua_State *L, const struct mw_l_stream *stream) {
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    int error = mw_stream_output_fault(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "send", error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int sent(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return give_state(L, mw_ws_check(L, 1)->stream);
}

static int drain_to(lua_State *L, struct mw_l_stream *stream, size_t above, size_t level, const struct mw_wait *wait) {
    if (mw_stream_flush(stream->stream) || mw_stream_pending(stream->stream) <= above) {
        return give_state(L, stream);
    }
    struct mw_task *task = mw_task_begin_wait(L, stream->profile->write_timeout);
    stream->writer = task;
    mw_stream_await_output(stream->stream, level);
    return mw_task_wait(task, wait, stream, 0, sent);
}

/* --- methods --- */

static int give_word(lua_State *L, const struct mw_l_websocket *ws, const char *word) {
    int error = ws->stream->stream ? mw_stream_output_fault(ws->stream->stream) : 0;
    return error ? mw_l_stream_push_fault(L, ws->stream, "send", error) : mw_push_word(L, word);
}

/* What was queued, or why it was not. */
static int leave(lua_State *L, struct mw_l_websocket *ws, const char *word, bool waits) {
    if (word) {
        return give_word(L, ws, word);
    }
    const struct mw_stream_marks *marks = &ws->stream->profile->marks;
    if (waits && mw_stream_pending(ws->stream->stream) > marks->high) {
        return drain_to(L, ws->stream, marks->high, marks->low, &send_wait);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int send_message(lua_State *L, bool waits) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    struct mw_ws_prepared *prepared = mw_ws_test_prepared(L, 2);
    const char *word;
    if (prepared) {
        word = mw_ws_obstacle(ws, waits);
        word = word ? word : mw_ws_post_prepared(ws, prepared);
    } else {
        size_t size;
        const char *bytes = luaL_checklstring(L, 2, &size);
        uint8_t opcode = mw_ws_check_kind(L, 3);
        mw_ws_check_text(L, 2, opcode);
        word = mw_ws_obstacle(ws, waits);
        word = word ? word : mw_ws_post(ws, opcode, bytes, size);
    }
    return leave(L, ws, word, waits);
}

/* ws:send(message, kind?) → true | nil, err, code */
int mw_l_websocket_send(lua_State *L) {
    return send_message(L, true);
}

int mw_l_websocket_try_send(lua_State *L) {
    return send_message(L, false);
}

/* A piece of a message; of a text, characters may be cut between two. */
static const char *post_piece(struct mw_l_websocket *ws, uint8_t opcode, const char *bytes, size_t size, bool final) {
    struct mw_ws_message *output = &ws->output;
    struct mw_text *coded;
    bool begins = output->order.opcode == 0;
    struct mw_wsframe frame = {.opcode = begins ? opcode : MW_WSFRAME_CONTINUATION, .final = final};
    if (begins) {
        output->order.opcode = opcode;
        output->order.compressed = ws->deflate != NULL;
        frame.compressed = output->order.compressed;
    }
    if (output->order.compressed) {
        if (!mw_ws_deflate_piece(ws, bytes, size, final, &coded)) {
            return "memory";
        }
        bytes = coded->bytes;
        size = coded->size;
    }
    const char *word = mw_ws_word(mw_ws_queue(ws, &frame, bytes, size));
    if (final) {
        *output = (struct mw_ws_message){.order.opcode = 0};
    }
    return word;
}

/* The word for why no piece can be sent now. */
static const char *piece_obstacle(const struct mw_l_websocket *ws) {
    if (ws->state != MW_WS_OPEN || !ws->stream->stream) {
        return "closed";
    }
    return ws->stream->writer ? "busy" : NULL;
}

static int send_piece(lua_State *L, struct mw_l_websocket *ws, uint8_t opcode, bool final) {
    size_t size;
    const char *bytes = luaL_optlstring(L, 2, "", &size);
    const char *word = piece_obstacle(ws);
    if (word) {
        return give_word(L, ws, word);
    }
    struct mw_utf8_check *utf8 = &ws->output.utf8;
    if (opcode == MW_WSFRAME_TEXT &&
        (!mw_utf8_check_add(utf8, bytes, size) || (final && !mw_utf8_check_ends(utf8)))) {
        mw_ws_queue_close(ws, MW_WSFRAME_INTERNAL_ERROR, "", 0); /* what was sent cannot be a message any more */
        return luaL_argerror(L, 2, "not UTF-8: write it as \"binary\"");
    }
    return leave(L, ws, post_piece(ws, opcode, bytes, size, final), true);
}

/* ws:write(piece, kind?) → true | nil, err, code */
int mw_l_websocket_write(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    uint8_t begun = ws->output.order.opcode;
    luaL_checkstring(L, 2);
    uint8_t opcode = begun && lua_isnoneornil(L, 3) ? begun : mw_ws_check_kind(L, 3);
    luaL_argcheck(L, !begun || begun == opcode, 3, "the message has begun as one of the other kind");
    return send_piece(L, ws, opcode, false);
}

/* ws:finish(piece?) → true | nil, err, code */
int mw_l_websocket_finish(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    luaL_argcheck(L, ws->output.order.opcode || mw_ws_is_over(ws), 1, "no message was begun with 'write'");
    return send_piece(L, ws, ws->output.order.opcode, true);
}

/* ws:flush() → true | nil, err, code */
int mw_l_websocket_flush(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    const char *word = !ws->stream->stream ? "closed" : ws->stream->writer ? "busy" : NULL;
    return word ? mw_push_word(L, word) : drain_to(L, ws->stream, 0, 0, &flush_wait);
}

/* ws:ping(payload?) → true | nil, err, code */
int mw_l_websocket_ping(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    struct mw_wsframe frame = {.opcode = MW_WSFRAME_PING, .final = true};
    size_t size;
    const char *bytes = luaL_optlstring(L, 2, "", &size);
    luaL_argcheck(L, size <= MW_WSFRAME_CONTROL, 2, "125 bytes at most");
    if (ws->state != MW_WS_OPEN || !ws->stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (mw_stream_pending(ws->stream->stream) > ws->stream->profile->marks.high) {
        return mw_push_word(L, "busy");
    }
    return leave(L, ws, mw_ws_word(mw_ws_queue(ws, &frame, bytes, size)), false);
}
