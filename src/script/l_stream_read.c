/* Reading from a stream. All reads share one course: take what is there, else
 * claim the stream's one place for a reader, wait, and look again. What a read
 * did not get stays in the queue, also after a timeout. */
#include "net/stream.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream.h"
#include "script/sched.h"

#include <errno.h>
#include <string.h>

enum {
    SOME_DEFAULT = 64 * 1024,   /* bytes, of read_some, peek_some and chunks */
    LINE_DEFAULT = 64 * 1024,   /* of read_line, lines and read_until */
    ALL_DEFAULT = 1024 * 1024,  /* of read_all */
    SHORT_LINE = 256,           /* see next_line_quick */
    MOST = 1 << 30,             /* what may be asked for at all */
    ALL_STEP = 64 * 1024,       /* how far read_all reads ahead */
};

/* Unread bytes, and what a kind of read makes of them. */
struct view {
    const char *bytes;
    size_t size;
    size_t wanted;  /* set by take: unread bytes that are worth another look */
    size_t scanned; /* bytes in which an earlier look found no end */
    size_t taken;   /* set by take: bytes that are used up */
};

struct reading {
    /* Pushes results and returns their number, or 0 with `wanted` set. */
    int (*take)(lua_State *L, struct view *view, size_t limit);
    lua_KFunction k;
    bool iterates; /* a clean end is nil, a fault is raised; the limit is the first upvalue */
};

static void abandon_read(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->reader = NULL;
    if (stream->stream) {
        mw_stream_await_input(stream->stream, 0);
    }
}

static const struct mw_wait read_wait = {.name = "read", .abandon = abandon_read};

void mw_l_stream_on_readable(void *owner) {
    struct mw_l_stream *stream = owner;
    struct mw_task *task = stream->reader;
    if (task) {
        stream->reader = NULL;
        task->sched->served = stream;
        mw_stream_await_input(stream->stream, 0);
        mw_task_resume(task, 0);
    } else if (stream->role) {
        stream->role->on_unread(stream);
    }
}

/* nil, err, code on the stack: raised in an iterator. */
static int give_fault(lua_State *L, const struct reading *reading, int count) {
    if (!reading->iterates) {
        return count;
    }
    mw_push_fault_object(L, lua_tostring(L, -1), lua_tostring(L, -2));
    return lua_error(L);
}

/* Nothing more will come: the end of data or a fault. */
static int give_end(lua_State *L, const struct reading *reading, const struct mw_l_stream *stream, size_t unread) {
    int error = mw_stream_input_fault(stream->stream);
    if (error) {
        return give_fault(L, reading, mw_l_stream_push_fault(L, stream, "read", error));
    }
    if (reading->iterates && unread == 0) {
        lua_pushnil(L);
        return 1;
    }
    return give_fault(L, reading, mw_push_word(L, "eof"));
}

static int wait_for_input(lua_State *L, const struct reading *reading, struct mw_l_stream *stream,
                          const struct view *view, bool first) {
    double now = mw_loop_now(mw_sched_of(L)->loop);
    if (first) {
        stream->read_due = now + stream->profile->read_timeout;
    }
    struct mw_task *task = mw_task_begin_wait(L, stream->read_due > now ? stream->read_due - now : 0);
    stream->reader = task;
    mw_stream_await_input(stream->stream, view->wanted);
    return mw_task_wait(task, &read_wait, stream, (lua_KContext)view->size, reading->k);
}

static int look(lua_State *L, const struct reading *reading, lua_KContext scanned, bool first) {
    struct mw_l_stream *stream = first ? mw_l_stream_check(L, 1) : lua_touserdata(L, 1);
    if (!stream->stream) {
        return give_fault(L, reading, mw_push_word(L, "closed"));
    }
    if (stream->reader) {
        return give_fault(L, reading, mw_push_word(L, "busy"));
    }
    struct view view = {.wanted = 1, .scanned = (size_t)scanned};
    view.bytes = mw_stream_unread(stream->stream, &view.size);
    if (view.size) {
        size_t limit = (size_t)lua_tointeger(L, reading->iterates ? lua_upvalueindex(1) : 2);
        int results = reading->take(L, &view, limit);
        if (results) {
            if (view.taken) {
                mw_stream_take(stream->stream, view.taken);
            }
            return results == 3 ? give_fault(L, reading, 3) : results;
        }
    }
    if (mw_stream_at_end(stream->stream) || mw_stream_input_fault(stream->stream)) {
        return give_end(L, reading, stream, view.size);
    }
    return wait_for_input(L, reading, stream, &view, first);
}

static int look_again(lua_State *L, const struct reading *reading, lua_KContext scanned) {
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return give_fault(L, reading, mw_push_word(L, "timeout"));
    }
    return look(L, reading, scanned, false);
}

/* --- the kinds --- */

static int take_some(lua_State *L, struct view *view, size_t limit) {
    view->taken = view->size < limit ? view->size : limit;
    lua_pushlstring(L, view->bytes, view->taken);
    return 1;
}

static int take_exactly(lua_State *L, struct view *view, size_t limit) {
    view->wanted = limit;
    if (view->size < limit) {
        return 0;
    }
    view->taken = limit;
    lua_pushlstring(L, view->bytes, limit);
    return 1;
}

static int take_peek(lua_State *L, struct view *view, size_t limit) {
    int results = take_exactly(L, view, limit);
    view->taken = 0;
    return results;
}

static int take_glance(lua_State *L, struct view *view, size_t limit) {
    int results = take_some(L, view, limit);
    view->taken = 0;
    return results;
}

static int take_line(lua_State *L, struct view *view, size_t limit) {
    size_t most = limit + 2 < view->size ? limit + 2 : view->size;
    const char *end = view->scanned < most
                          ? memchr(view->bytes + view->scanned, '\n', most - view->scanned)
                          : NULL;
    if (!end) {
        view->wanted = view->size + 1;
        return view->size >= limit + 2 ? mw_push_word(L, "too_large") : 0;
    }
    size_t length = (size_t)(end - view->bytes);
    size_t text = length && end[-1] == '\r' ? length - 1 : length;
    if (text > limit) {
        return mw_push_word(L, "too_large");
    }
    view->taken = length + 1;
    lua_pushlstring(L, view->bytes, text);
    return 1;
}

static int take_until(lua_State *L, struct view *view, size_t limit) {
    size_t length;
    const char *delimiter = lua_tolstring(L, 3, &length);
    size_t from = view->scanned > length ? view->scanned - length : 0;
    size_t most = limit + length < view->size ? limit + length : view->size;
    const char *end = from < most ? memmem(view->bytes + from, most - from, delimiter, length) : NULL;
    if (!end) {
        view->wanted = view->size + 1;
        return view->size >= limit + length ? mw_push_word(L, "too_large") : 0;
    }
    view->taken = (size_t)(end - view->bytes) + length;
    lua_pushlstring(L, view->bytes, view->taken - length);
    return 1;
}

static const struct reading some, exactly, peek, glance, line, until, lines, chunks;

static int some_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &some, scanned);
}

static int exactly_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &exactly, scanned);
}

static int peek_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &peek, scanned);
}

static int glance_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &glance, scanned);
}

static int line_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &line, scanned);
}

static int until_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &until, scanned);
}

static int lines_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &lines, scanned);
}

static int chunks_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    return look_again(L, &chunks, scanned);
}

static const struct reading some = {.take = take_some, .k = some_k};
static const struct reading exactly = {.take = take_exactly, .k = exactly_k};
static const struct reading peek = {.take = take_peek, .k = peek_k};
static const struct reading glance = {.take = take_glance, .k = glance_k};
static const struct reading line = {.take = take_line, .k = line_k};
static const struct reading until = {.take = take_until, .k = until_k};
static const struct reading lines = {.take = take_line, .k = lines_k, .iterates = true};
static const struct reading chunks = {.take = take_some, .k = chunks_k, .iterates = true};

/* --- the methods --- */

/* Puts the limit at stack index 2, the default when none was given. */
static void settle_limit(lua_State *L, lua_Integer otherwise) {
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushinteger(L, otherwise);
    } else {
        mw_check_count(L, 2, 1, MOST);
    }
}

/* Nothing is there at once, whatever state the stream is in. */
static int read_or_nothing(lua_State *L, const struct reading *reading) {
    if (mw_check_count(L, 2, 0, MOST) == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    return look(L, reading, 0, true);
}

int mw_l_stream_read(lua_State *L) {
    return read_or_nothing(L, &exactly);
}

int mw_l_stream_peek(lua_State *L) {
    return read_or_nothing(L, &peek);
}

int mw_l_stream_read_some(lua_State *L) {
    settle_limit(L, SOME_DEFAULT);
    return look(L, &some, 0, true);
}

int mw_l_stream_peek_some(lua_State *L) {
    settle_limit(L, SOME_DEFAULT);
    return look(L, &glance, 0, true);
}

int mw_l_stream_read_line(lua_State *L) {
    settle_limit(L, LINE_DEFAULT);
    return look(L, &line, 0, true);
}

int mw_l_stream_read_until(lua_State *L) {
    size_t length;
    luaL_checklstring(L, 2, &length);
    luaL_argcheck(L, length > 0, 2, "empty delimiter");
    lua_Integer limit = lua_isnoneornil(L, 3) ? LINE_DEFAULT : (lua_Integer)mw_check_count(L, 3, 1, MOST);
    lua_settop(L, 2);
    lua_pushinteger(L, limit);
    lua_insert(L, 2);
    return look(L, &until, 0, true);
}

/* An iterator: for in the caller's loop, `max` bytes at most in a piece. */
static int push_iterator(lua_State *L, lua_CFunction next, lua_Integer otherwise) {
    static const char *const known[] = {"max", NULL};
    mw_l_stream_check(L, 1);
    mw_check_options(L, 2, known);
    lua_pushinteger(L, mw_option_integer(L, 2, "max", 1, MOST, otherwise));
    lua_pushcclosure(L, next, 1);
    lua_pushvalue(L, 1);
    return 2;
}

static int next_line(lua_State *L) {
    return look(L, &lines, 0, true);
}

/* The same for a limit of SHORT_LINE or more: a shorter line that is complete
 * in the queue, as all but the first of a pipelined batch are, needs no look at
 * limits, faults and deadlines. */
static int next_line_quick(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    size_t size = 0;
    const char *bytes = stream->stream ? mw_stream_unread(stream->stream, &size) : NULL;
    const char *end = size ? memchr(bytes, '\n', size < SHORT_LINE ? size : SHORT_LINE) : NULL;
    if (!end) {
        return look(L, &lines, 0, true);
    }
    size_t length = (size_t)(end - bytes);
    lua_pushlstring(L, bytes, length && end[-1] == '\r' ? length - 1 : length);
    mw_stream_take(stream->stream, length + 1);
    return 1;
}

static int next_chunk(lua_State *L) {
    return look(L, &chunks, 0, true);
}

int mw_l_stream_lines(lua_State *L) {
    int results = push_iterator(L, next_line, LINE_DEFAULT);
    lua_getupvalue(L, -2, 1);
    if (lua_tointeger(L, -1) >= SHORT_LINE) {
        lua_pushcclosure(L, next_line_quick, 1);
        lua_replace(L, -3);
    } else {
        lua_pop(L, 1);
    }
    return results;
}

int mw_l_stream_chunks(lua_State *L) {
    return push_iterator(L, next_chunk, SOME_DEFAULT);
}

/* --- everything up to the end: the one read whose success is the end --- */

static int all_k(lua_State *L, int status, lua_KContext scanned);

static const struct reading all = {.k = all_k};

static int look_for_all(lua_State *L, bool first) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->reader) {
        return mw_push_word(L, "busy");
    }
    size_t limit = (size_t)lua_tointeger(L, 2);
    struct view view = {.wanted = 1};
    view.bytes = mw_stream_unread(stream->stream, &view.size);
    if (view.size > limit) {
        return mw_push_word(L, "too_large");
    }
    int error = mw_stream_input_fault(stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, stream, "read", error);
    }
    if (mw_stream_at_end(stream->stream)) {
        lua_pushlstring(L, view.size ? view.bytes : "", view.size);
        if (view.size) {
            mw_stream_take(stream->stream, view.size);
        }
        return 1;
    }
    view.wanted = view.size + ALL_STEP < limit ? view.size + ALL_STEP : limit + 1;
    return wait_for_input(L, &all, stream, &view, first);
}

static int all_k(lua_State *L, int status, lua_KContext scanned) {
    (void)status;
    (void)scanned;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return look_for_all(L, false);
}

int mw_l_stream_read_all(lua_State *L) {
    settle_limit(L, ALL_DEFAULT);
    return look_for_all(L, true);
}
