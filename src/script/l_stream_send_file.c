#include "script/l_stream_send_file.h"

#include "net/file.h"
#include "net/send_file.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_file.h"
#include "script/l_stream.h"
#include "script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.sending";

/* Lies on the stack of the waiting function, behind the stream, which
 * therefore outlives it. */
struct mw_l_sending {
    struct mw_send_file *send; /* NULL once it has ended */
    struct mw_task *task;
    struct mw_l_stream *stream;
    struct mw_loop *loop;
    struct mw_timer timer; /* looks whether bytes move */
    int file;              /* ours; -1: none */
    int error;             /* errno */
    int index;             /* on the stack of its function */
    uint64_t offset, length;
    uint64_t sent;
    uint64_t seen; /* what the stream had sent when the timer last looked */
};

/* --- the file --- */

/* 0 or errno: EINVAL for what is no regular file, or not open for reading. */
static int check_file(int fd, struct stat *status) {
    if (fstat(fd, status) != 0) {
        return errno;
    }
    int flags = fcntl(fd, F_GETFL);
    return S_ISREG(status->st_mode) && flags >= 0 && (flags & O_ACCMODE) != O_WRONLY ? 0 : EINVAL;
}

static int push_file_fault(lua_State *L, int error) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "of an open file";
    if (error != EINVAL) {
        return mw_push_errno(L, error, "send_file", name);
    }
    struct mw_fault fault;
    mw_fault_format(&fault, "invalid", "send_file %.200s: a regular file that can be read expected", name);
    return mw_push_fault(L, &fault);
}

/* Raises unless the argument is an open file or a path. */
static void check_source(lua_State *L) {
    const luaL_Stream *file = luaL_testudata(L, 2, LUA_FILEHANDLE);
    if (file) {
        luaL_argcheck(L, file->closef, 2, "this file is closed");
        return;
    }
    if (luaL_testudata(L, 2, MW_L_FILE_TYPE)) {
        return;
    }
    size_t length;
    luaL_argcheck(L, !mw_state_of(L)->sandboxed, 2, "no files in a sandbox");
    const char *path = luaL_checklstring(L, 2, &length);
    luaL_argcheck(L, strlen(path) == length, 2, "a path has no zero bytes");
}

/* An open file gets a second descriptor: the script may close its own meanwhile.
 * A FIFO without a writer, or a terminal, must not hold the process up. */
static int open_source(lua_State *L) {
    if (luaL_testudata(L, 2, MW_L_FILE_TYPE)) {
        return mw_l_file_duplicate(L, 2);
    }
    const luaL_Stream *file = luaL_testudata(L, 2, LUA_FILEHANDLE);
    return file ? fcntl(fileno(file->f), F_DUPFD_CLOEXEC, 0)
                : open(lua_tostring(L, 2), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* --- its way --- */

static void release(struct mw_l_sending *sending) {
    sending->send = NULL;
    mw_timer_remove(mw_loop_timers(sending->loop), &sending->timer);
    if (sending->file >= 0) {
        close(sending->file);
        sending->file = -1;
    }
}

static void conclude(struct mw_l_sending *sending, uint64_t sent, int error) {
    sending->sent = sent;
    sending->error = error;
    release(sending);
    /* Not ours any more: the stream was closed, and the task woken by that. */
    if (sending->stream->writer == sending->task) {
        sending->stream->writer = NULL;
        mw_task_ready(sending->task, 0);
    }
}

/* May be called from within the close of the stream by another task. */
static void on_done(void *context, uint64_t sent, int error) {
    conclude(context, sent, error);
}

static bool set_timer(struct mw_l_sending *sending, double last) {
    return mw_timer_set(mw_loop_timers(sending->loop), &sending->timer,
                        last + sending->stream->profile->write_timeout);
}

/* Bytes that moved since the last look put the end off. */
static void on_due(struct mw_timer *timer) {
    struct mw_l_sending *sending = mw_list_owner(timer, struct mw_l_sending, timer);
    struct mw_stream_counters counters;
    mw_stream_count(sending->stream->stream, &counters);
    int error = ETIMEDOUT;
    if (counters.sent != sending->seen) {
        sending->seen = counters.sent;
        error = set_timer(sending, counters.active) ? 0 : ENOMEM;
    }
    if (error) {
        conclude(sending, mw_send_file_cancel(sending->send), error);
    }
}

static void abandon_sending(struct mw_task *task, void *subject) {
    struct mw_l_sending *sending = subject;
    (void)task;
    mw_send_file_cancel(sending->send);
    sending->stream->writer = NULL;
    release(sending);
}

const struct mw_wait mw_l_stream_send_file_wait = {.name = "send_file", .abandon = abandon_sending, .sends = true};

static int sending_gc(lua_State *L) {
    struct mw_l_sending *sending = luaL_checkudata(L, 1, TYPE);
    if (sending->send) {
        mw_send_file_cancel(sending->send);
    }
    release(sending);
    return 0;
}

int mw_l_sending_result(lua_State *L, int index, uint64_t *bytes) {
    const struct mw_l_sending *sending = lua_touserdata(L, index);
    mw_task_outcome(L);
    *bytes = sending->sent;
    if (sending->error == ECANCELED) {
        return mw_push_word(L, "closed");
    }
    if (sending->error) {
        return mw_l_stream_push_fault(L, sending->stream, "send_file", sending->error);
    }
    lua_pushinteger(L, (lua_Integer)sending->sent);
    return 1;
}

static int sent(lua_State *L, int status, lua_KContext index) {
    uint64_t bytes;
    (void)status;
    return mw_l_sending_result(L, (int)index, &bytes);
}

static int start(struct mw_l_sending *sending) {
    struct mw_stream *transport = sending->stream->stream;
    struct mw_stream_counters counters;
    mw_stream_count(transport, &counters);
    sending->seen = counters.sent;
    if (!set_timer(sending, mw_loop_now(sending->loop))) {
        return ENOMEM;
    }
    sending->send = mw_send_file_start(transport, sending->file, sending->offset, sending->length, on_done, sending);
    return sending->send ? 0 : errno;
}

static struct mw_l_sending *push_sending(lua_State *L, struct mw_l_stream *stream) {
    struct mw_l_sending *sending = lua_newuserdatauv(L, sizeof *sending, 0);
    *sending = (struct mw_l_sending){.stream = stream, .loop = mw_sched_of(L)->loop, .file = -1};
    sending->index = lua_gettop(L);
    mw_timer_init(&sending->timer, on_due);
    luaL_setmetatable(L, TYPE);
    return sending;
}

/* A count of bytes, the default when there is none. */
static uint64_t check_bytes(lua_State *L, int index, lua_Integer otherwise) {
    return lua_isnoneornil(L, index) ? (uint64_t)otherwise : mw_check_count(L, index, 0, LUA_MAXINTEGER);
}

struct mw_l_sending *mw_l_sending_open(lua_State *L, struct mw_l_stream *stream, uint64_t *size) {
    uint64_t offset = check_bytes(L, 3, 0), length = check_bytes(L, 4, LUA_MAXINTEGER);
    struct stat status = {.st_size = 0};
    check_source(L);
    lua_settop(L, 2);
    struct mw_l_sending *sending = push_sending(L, stream);
    sending->task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    sending->offset = offset;
    sending->file = open_source(L);
    int error = sending->file < 0 ? errno : check_file(sending->file, &status);
    if (error) {
        release(sending);
        push_file_fault(L, error);
        return NULL;
    }
    uint64_t there = (uint64_t)status.st_size > offset ? (uint64_t)status.st_size - offset : 0;
    sending->length = size && there < length ? there : length;
    if (size) {
        *size = sending->length;
    }
    return sending;
}

void mw_l_sending_forget(struct mw_l_sending *sending) {
    release(sending);
}

ssize_t mw_l_sending_read(lua_State *L, char *bytes, size_t room) {
    uint64_t offset = check_bytes(L, 3, 0), length = check_bytes(L, 4, LUA_MAXINTEGER);
    int file = mw_l_file_readable(L, 2);
    mw_task_begin_wait(L, MW_TIMER_NEVER); /* raises where nobody may wait, whatever the size */
    if (file < 0 || (length >= room && length < LUA_MAXINTEGER) || offset > LUA_MAXINTEGER - room) {
        return -1;
    }
    ssize_t got = mw_file_read(file, bytes, length < room ? (size_t)length : room, (off_t)offset);
    return got < (ssize_t)room ? got : -1;
}

int mw_l_sending_start(lua_State *L, struct mw_l_sending *sending, lua_KFunction k) {
    int error = start(sending);
    if (error) {
        release(sending);
        return mw_l_stream_push_fault(L, sending->stream, "send_file", error);
    }
    sending->stream->writer = sending->task;
    return mw_task_wait(sending->task, &mw_l_stream_send_file_wait, sending, sending->index, k);
}

int mw_l_stream_send_file(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    check_source(L);
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (stream->writer) {
        return mw_push_word(L, "busy");
    }
    struct mw_l_sending *sending = mw_l_sending_open(L, stream, NULL);
    return sending ? mw_l_sending_start(L, sending, sent) : 3;
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", sending_gc}, {NULL, NULL}};

void mw_l_stream_send_file_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
