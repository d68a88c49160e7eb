/* Writing to a stream. Bytes are queued and leave when the task waits or ends;
 * a writer waits only above the high mark. */
#include "net/stream.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream.h"

#include <errno.h>

static void abandon_write(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->writer = NULL;
    if (stream->stream) {
        mw_stream_forget_output(stream->stream);
    }
}

static const struct mw_wait write_wait = {.name = "write", .abandon = abandon_write};
static const struct mw_wait flush_wait = {.name = "flush", .abandon = abandon_write};

void mw_l_stream_on_writable(void *owner) {
    struct mw_l_stream *stream = owner;
    struct mw_task *task = stream->writer;
    if (task) {
        stream->writer = NULL;
        mw_task_resume(task, 0);
    }
}

/* true, or what the stream died of. */
static int give_state(lua_State *L, const struct mw_l_stream *stream) {
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    int error = mw_stream_output_fault(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "write", error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int written(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return give_state(L, lua_touserdata(L, 1));
}

/* Sends what is queued; waits while more than `level` bytes remain. */
static int drain_to(lua_State *L, struct mw_l_stream *stream, size_t above, size_t level, const struct mw_wait *wait) {
    if (mw_stream_flush(stream->stream) || mw_stream_pending(stream->stream) <= above) {
        return give_state(L, stream);
    }
    struct mw_task *task = mw_task_begin_wait(L, stream->profile->write_timeout);
    stream->writer = task;
    mw_stream_await_output(stream->stream, level);
    return mw_task_wait(task, wait, stream, 0, written);
}

static void check_pieces(lua_State *L) {
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) {
        int type = lua_type(L, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            luaL_typeerror(L, i, "string or number");
        }
    }
}

/* Queues the arguments from 2 on. 0 or errno. */
static int queue_pieces(lua_State *L, struct mw_stream *transport) {
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) {
        size_t size;
        const char *bytes = lua_tolstring(L, i, &size);
        int error = mw_stream_queue(transport, bytes, size);
        if (error) {
            return error;
        }
    }
    return 0;
}

/* ENOBUFS of a queue at its cap is for scripts what an over-long read is. */
static int give_refusal(lua_State *L, const struct mw_l_stream *stream, int error) {
    if (error == ENOBUFS) {
        return mw_push_word(L, "too_large");
    }
    return mw_l_stream_push_fault(L, stream, "write", error);
}

int mw_l_stream_write(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    check_pieces(L);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->writer) {
        return mw_push_word(L, "busy");
    }
    int error = queue_pieces(L, stream->stream);
    if (error) {
        return give_refusal(L, stream, error);
    }
    size_t high = stream->profile->marks.high;
    if (mw_stream_pending(stream->stream) > high) {
        return drain_to(L, stream, high, stream->profile->marks.low, &write_wait);
    }
    lua_pushboolean(L, 1);
    return 1;
}

int mw_l_stream_try_write(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    check_pieces(L);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    size_t high = stream->profile->marks.high;
    if (mw_stream_pending(stream->stream) > high && !mw_stream_output_fault(stream->stream)) {
        mw_stream_flush(stream->stream);
        if (mw_stream_pending(stream->stream) > high) {
            return mw_push_word(L, "busy");
        }
    }
    int error = queue_pieces(L, stream->stream);
    if (error) {
        return give_refusal(L, stream, error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

int mw_l_stream_flush(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->writer) {
        return mw_push_word(L, "busy");
    }
    return drain_to(L, stream, 0, 0, &flush_wait);
}

int mw_l_stream_shutdown_write(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    int error = mw_stream_shutdown(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "shutdown_write", error);
    }
    lua_pushboolean(L, 1);
    return 1;
}
