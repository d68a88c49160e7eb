/* Writing to a stream. Bytes are queued and leave when the task waits or ends;
 * a writer waits only above the high mark. */
#include "net/stream.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream.h"
#include "script/l_stream_relay.h"
#include "script/l_stream_send_file.h"

#include <errno.h>

static void abandon_write(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->writer = NULL;
    if (stream->stream) {
        mw_stream_forget_output(stream->stream);
    }
}

static const struct mw_wait write_wait = {.name = "write", .abandon = abandon_write, .sends = true};
static const struct mw_wait flush_wait = {.name = "flush", .abandon = abandon_write, .sends = true};

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

/* Joins more arguments than the stream takes at once into one. */
static void join_pieces(lua_State *L) {
    luaL_Buffer buffer;
    int count = lua_gettop(L);
    luaL_buffinit(L, &buffer);
    for (int i = 2; i <= count; i++) {
        size_t size;
        const char *bytes = luaL_checklstring(L, i, &size);
        luaL_addlstring(&buffer, bytes, size);
    }
    luaL_pushresult(&buffer);
    lua_replace(L, 2);
    lua_settop(L, 2);
}

/* Gathers the arguments from 2 on; raises, before anything is queued, when one
 * is neither a string nor a number. Their number. */
static int gather(lua_State *L, struct iovec pieces[MW_STREAM_PIECES]) {
    int count = lua_gettop(L) - 1;
    if (count > MW_STREAM_PIECES) {
        join_pieces(L);
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        pieces[i].iov_base = (char *)(uintptr_t)lua_tolstring(L, i + 2, &pieces[i].iov_len);
        if (!pieces[i].iov_base) {
            luaL_typeerror(L, i + 2, "string or number");
        }
    }
    return count;
}

/* ENOBUFS of a queue at its cap is for scripts what an over-long read is. */
static int give_refusal(lua_State *L, const struct mw_l_stream *stream, int error) {
    if (error == ENOBUFS) {
        return mw_push_word(L, "too_large");
    }
    return mw_l_stream_push_fault(L, stream, "write", error);
}

int mw_l_stream_write(lua_State *L) {
    struct iovec pieces[MW_STREAM_PIECES];
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    int count = gather(L, pieces);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->writer) {
        return mw_push_word(L, "busy");
    }
    int error = mw_stream_queue_pieces(stream->stream, pieces, count);
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

/* Whether a file or a relay has the output: what else is queued would stand in its middle. */
static bool is_driven(const struct mw_l_stream *stream) {
    const struct mw_wait *wait = stream->writer ? stream->writer->wait : NULL;
    return wait && (wait == &mw_l_stream_send_file_wait || wait == &mw_l_stream_relay_wait);
}

int mw_l_stream_try_write(lua_State *L) {
    struct iovec pieces[MW_STREAM_PIECES];
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    int count = gather(L, pieces);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (is_driven(stream)) {
        return mw_push_word(L, "busy");
    }
    size_t high = stream->profile->marks.high;
    if (mw_stream_pending(stream->stream) > high && !mw_stream_output_fault(stream->stream)) {
        mw_stream_flush(stream->stream);
        if (mw_stream_pending(stream->stream) > high) {
            return mw_push_word(L, "busy");
        }
    }
    int error = mw_stream_queue_pieces(stream->stream, pieces, count);
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
    if (is_driven(stream)) {
        return mw_push_word(L, "busy");
    }
    int error = mw_stream_shutdown(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "shutdown_write", error);
    }
    lua_pushboolean(L, 1);
    return 1;
}
