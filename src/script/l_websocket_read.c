/* Receiving: all ways share one course: take what is there, else claim the place of the stream's reader, wait, and look
 * again. Pings are answered and the silence of the peer is noticed here, by whoever receives. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_websocket_internal.h"
#include "script/sched.h"

#include <stdio.h>

struct reading {
    enum mw_ws_mode mode;
    lua_KFunction k;
    bool iterates; /* a clean end is nil, a fault is raised */
};

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->reader = NULL;
    if (stream->stream) {
        mw_stream_await_input(stream->stream, 0);
    }
}

static const struct mw_wait receive_wait = {.name = "receive", .abandon = abandon};

/* --- results --- */

/* nil, err, code on the stack: raised in an iterator. */
static int give_fault(lua_State *L, const struct reading *reading, int count) {
    if (!reading->iterates) {
        return count;
    }
    mw_push_fault_object(L, lua_tostring(L, -1), lua_tostring(L, -2));
    return lua_error(L);
}

/* The peer has closed, or we have. */
static int give_end(lua_State *L, const struct reading *reading, struct mw_l_websocket *ws) {
    bool was_closed = ws->state == MW_WS_CLOSED && ws->close_code != MW_WSFRAME_ABNORMAL;
    mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
    if (reading->mode == MW_WS_NOTHING) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (reading->iterates && was_closed) {
        lua_pushnil(L);
        return 1;
    }
    return give_fault(L, reading, mw_push_word(L, "closed"));
}

/* The connection has ended without a close frame. */
static int give_broken(lua_State *L, const struct reading *reading, struct mw_l_websocket *ws) {
    int error = mw_stream_input_fault(ws->stream->stream);
    int count = error ? mw_l_stream_push_fault(L, ws->stream, "receive", error) : mw_push_word(L, "eof");
    mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
    return give_fault(L, reading, count);
}

static int give_failure(lua_State *L, const struct reading *reading, const struct mw_l_websocket *ws,
                        const struct mw_ws_glance *glance) {
    struct mw_fault fault;
    char name[MW_ADDR_TEXT];
    if (mw_fault_everyday(glance->code)) {
        return give_fault(L, reading, mw_push_word(L, glance->code));
    }
    mw_l_stream_name(ws->stream, name, sizeof name);
    mw_fault_format(&fault, glance->code, "receive %s: %s", name, glance->why);
    return give_fault(L, reading, mw_push_fault(L, &fault));
}

static int give_message(lua_State *L, const struct reading *reading, struct mw_l_websocket *ws,
                        const struct mw_ws_glance *glance) {
    ws->parks = false;
    ws->pinged = false;
    ws->heard = mw_loop_now(mw_sched_of(L)->loop);
    if (glance->opcode == MW_WSFRAME_TEXT) {
        lua_pushliteral(L, "text");
    } else {
        lua_pushliteral(L, "binary");
    }
    if (reading->mode != MW_WS_PIECES) {
        return 2;
    }
    lua_pushboolean(L, glance->final);
    return 3;
}

/* --- waiting --- */

/* When something must happen although nothing comes. */
static double patience(lua_State *L, struct mw_l_websocket *ws, const struct reading *reading, bool first) {
    double now = mw_loop_now(mw_sched_of(L)->loop);
    if (reading->mode == MW_WS_NOTHING) {
        ws->due = first ? now + ws->limits.close_timeout : ws->due;
    } else if (ws->limits.ping_interval < MW_TIMER_NEVER) {
        ws->due = ws->pinged ? ws->due : ws->heard + ws->limits.ping_interval;
    } else if (first) {
        ws->due = now + ws->stream->profile->read_timeout;
    }
    return ws->due > now ? ws->due - now : 0;
}

static int wait_for_frames(lua_State *L, const struct reading *reading, struct mw_l_websocket *ws, bool first) {
    struct mw_task *task = mw_task_begin_wait(L, patience(L, ws, reading, first));
    size_t unread;
    mw_stream_unread(ws->stream->stream, &unread);
    mw_ws_park(ws, task, first);
    ws->stream->reader = task;
    mw_stream_await_input(ws->stream->stream, unread + 1);
    return mw_task_wait(task, &receive_wait, ws->stream, 0, reading->k);
}

static int look(lua_State *L, const struct reading *reading, bool first) {
    struct mw_l_websocket *ws = lua_touserdata(L, 1);
    struct mw_ws_glance glance; /* what it says of pong and failure is set with them */
    glance.mode = reading->mode;
    glance.was_pinged = false;
    if (mw_ws_is_over(ws)) {
        return give_end(L, reading, ws);
    }
    if (ws->stream->reader) {
        return give_fault(L, reading, mw_push_word(L, "busy"));
    }
    enum mw_ws_event event = mw_ws_advance(L, ws, &glance);
    mw_ws_answer_ping(ws, &glance);
    switch (event) {
    case MW_WS_MESSAGE: return give_message(L, reading, ws, &glance);
    case MW_WS_END: return give_end(L, reading, ws);
    case MW_WS_FAILED: return give_failure(L, reading, ws, &glance);
    default: break;
    }
    if (mw_stream_at_end(ws->stream->stream) || mw_stream_input_fault(ws->stream->stream)) {
        return give_broken(L, reading, ws);
    }
    return wait_for_frames(L, reading, ws, first);
}

/* The peer is silent. True: it is given up; else it was asked, and there is more to wait for. */
static bool is_given_up(lua_State *L, const struct reading *reading, struct mw_l_websocket *ws) {
    bool asks = ws->limits.ping_interval < MW_TIMER_NEVER && reading->mode != MW_WS_NOTHING;
    if (mw_ws_is_over(ws)) {
        return false;
    }
    if (asks && !ws->pinged) {
        ws->pinged = true;
        ws->due = mw_loop_now(mw_sched_of(L)->loop) + ws->limits.ping_timeout;
        mw_ws_queue_control(ws, MW_WSFRAME_PING, "", 0);
        mw_ws_deflate_rest(ws);
        return false;
    }
    if (asks || reading->mode == MW_WS_NOTHING) {
        mw_l_stream_abort(ws->stream);
        mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
    }
    return true;
}

static int look_again(lua_State *L, const struct reading *reading) {
    struct mw_l_websocket *ws = lua_touserdata(L, 1);
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        if (is_given_up(L, reading, ws)) {
            return give_fault(L, reading, mw_push_word(L, "timeout"));
        }
    } else {
        ws->heard = mw_loop_now(mw_sched_of(L)->loop);
        ws->pinged = false;
    }
    return look(L, reading, false);
}

static const struct reading whole, pieces, messages, closing;

static int whole_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &whole);
}

static int pieces_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &pieces);
}

static int messages_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &messages);
}

static int closing_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &closing);
}

static const struct reading whole = {.mode = MW_WS_WHOLE, .k = whole_k};
static const struct reading pieces = {.mode = MW_WS_PIECES, .k = pieces_k};
static const struct reading messages = {.mode = MW_WS_WHOLE, .k = messages_k, .iterates = true};
static const struct reading closing = {.mode = MW_WS_NOTHING, .k = closing_k};

/* ws:receive() → message, kind | nil, err, code */
int mw_l_websocket_receive(lua_State *L) {
    mw_ws_check(L, 1);
    lua_settop(L, 1);
    return look(L, &whole, true);
}

/* ws:receive_some() → piece, kind, whether it is the last one of its message | nil, err, code */
int mw_l_websocket_receive_some(lua_State *L) {
    mw_ws_check(L, 1);
    lua_settop(L, 1);
    return look(L, &pieces, true);
}

static int next_message(lua_State *L) {
    mw_ws_check(L, 1);
    lua_settop(L, 1);
    return look(L, &messages, true);
}

/* ws:messages() → iterator over message, kind */
int mw_l_websocket_messages(lua_State *L) {
    mw_ws_check(L, 1);
    lua_pushcfunction(L, next_message);
    lua_pushvalue(L, 1);
    return 2;
}

/* --- closing --- */

static void abandon_close(struct mw_task *task, void *subject) {
    struct mw_l_websocket *ws = subject;
    (void)task;
    ws->closer = NULL;
}

static const struct mw_wait close_wait = {.name = "close", .abandon = abandon_close};

static int closed(lua_State *L, int status, lua_KContext context) {
    struct mw_l_websocket *ws = lua_touserdata(L, 1);
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        mw_l_stream_abort(ws->stream);
        mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
        return mw_push_word(L, "timeout");
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Another task receives: it will see the peer's close frame. */
static int await_other(lua_State *L, struct mw_l_websocket *ws) {
    if (ws->closer) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, ws->limits.close_timeout);
    ws->closer = task;
    return mw_task_wait(task, &close_wait, ws, 0, closed);
}

/* ws:close(code?, reason?) → true | nil, err, code */
int mw_l_websocket_close(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    size_t size;
    lua_Integer code = luaL_optinteger(L, 2, MW_WSFRAME_NORMAL);
    const char *reason = luaL_optlstring(L, 3, "", &size);
    luaL_argcheck(L, code > 0 && code < 5000 && mw_wsframe_is_code((unsigned)code), 2, "not a close code to be sent");
    luaL_argcheck(L, size <= MW_WSFRAME_REASON, 3, "a reason has 123 bytes at most");
    if (size) {
        mw_ws_check_text(L, 3, MW_WSFRAME_TEXT);
    }
    if (mw_ws_is_over(ws)) {
        mw_ws_end(ws, MW_WSFRAME_ABNORMAL);
        lua_pushboolean(L, 1);
        return 1;
    }
    mw_ws_queue_close(ws, (unsigned)code, reason, size);
    lua_settop(L, 1);
    return ws->stream->reader ? await_other(L, ws) : look(L, &closing, true);
}
