/* Sending a response: whole, piece by piece, from a file, or giving the connection to another protocol. */
#include "script/l_http_internal.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream_send_file.h"
#include "script/task_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Why nothing can be sent: the results are pushed, their number in `*count`. */
static bool is_over(lua_State *L, const struct mw_http_response *response, int *count) {
    if (!response->request || !response->request->stream.stream) {
        *count = mw_push_word(L, "closed");
    } else if (response->request->stream.writer) {
        *count = mw_push_word(L, "busy");
    } else if (response->phase == MW_HTTP_FINISHED) {
        *count = luaL_error(L, "the response is finished already");
    } else {
        return false;
    }
    return true;
}

static int push_error(lua_State *L, struct mw_http_response *response, int error) {
    if (error == EMSGSIZE || error == ENOBUFS) {
        return mw_push_word(L, "too_large");
    }
    return mw_l_stream_push_fault(L, &response->request->stream, "write response", error);
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

static const struct mw_wait wait_for_room = {.name = "write response", .abandon = abandon, .sends = true};

static int give_state(lua_State *L, struct mw_http_response *response) {
    if (!response->request || !response->request->stream.stream) {
        return mw_push_word(L, "closed");
    }
    int error = mw_stream_output_fault(response->request->stream.stream);
    if (error) {
        return push_error(L, response, error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int there_is_room(lua_State *L, int status, lua_KContext context) {
    struct mw_http_response *response = lua_touserdata(L, 1);
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return give_state(L, response);
}

/* Sends what is queued when it is more than `above`, and waits until `level` bytes are left. */
static int drain(lua_State *L, struct mw_http_response *response, size_t above, size_t level) {
    struct mw_l_stream *stream = &response->request->stream;
    if (mw_stream_pending(stream->stream) <= above || mw_stream_flush(stream->stream) ||
        mw_stream_pending(stream->stream) <= above) {
        return give_state(L, response);
    }
    lua_settop(L, 1);
    struct mw_task *task = mw_task_begin_wait(L, stream->profile->write_timeout);
    stream->writer = task;
    mw_stream_await_output(stream->stream, level);
    return mw_task_wait(task, &wait_for_room, stream, 0, there_is_room);
}

static int leave(lua_State *L, struct mw_http_response *response) {
    const struct mw_stream_marks *marks = &response->request->stream.profile->marks;
    return drain(L, response, marks->high, marks->low);
}

/* --- whole --- */

/* The body at index 2; none is an empty one. */
static const char *check_body(lua_State *L, size_t *size) {
    const char *body = lua_tolstring(L, 2, size);
    if (!body && !lua_isnoneornil(L, 2)) {
        return luaL_checklstring(L, 2, size); /* raises */
    }
    return body ? body : "";
}

int mw_http_response_send(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    int count;
    const char *body = check_body(L, &size);
    if (is_over(L, response, &count)) {
        return count;
    }
    if (response->phase == MW_HTTP_STREAMING) {
        return luaL_error(L, "the response is being written already: use write and finish");
    }
    int error = mw_http_response_begin(response, body, size, true);
    return error ? push_error(L, response, error) : leave(L, response);
}

/* --- piece by piece --- */

/* Nothing of the body is sent to HEAD and the like, though all the same is counted. */
static bool has_room(const struct mw_http_response *response) {
    return !response->request->is_head && response->framing != MW_HTTP1_EMPTY;
}

int mw_http_response_piece(struct mw_http_response *response, const char *bytes, size_t size) {
    struct mw_stream *transport = response->request->stream.stream;
    char line[MW_HTTP1_CHUNK_LINE];
    if (response->phase == MW_HTTP_FRESH) {
        return mw_http_response_begin(response, bytes, size, false);
    }
    if (response->framing == MW_HTTP1_LENGTH && size > response->length - response->sent) {
        return EMSGSIZE;
    }
    response->sent += size;
    if (size == 0 || !has_room(response)) {
        return 0;
    }
    if (response->framing != MW_HTTP1_CHUNKED) {
        return mw_stream_queue(transport, bytes, size);
    }
    struct iovec pieces[3] = {{.iov_base = line, .iov_len = mw_http1_chunk_line(line, size)},
                              {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    return mw_stream_queue_pieces(transport, pieces, 3);
}

/* Several arguments become one piece, and so one chunk. */
static const char *join(lua_State *L, size_t *size) {
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) {
        luaL_checklstring(L, i, NULL);
    }
    if (count > 2) {
        lua_concat(L, count - 1);
    } else if (count < 2) {
        lua_pushliteral(L, "");
    }
    return lua_tolstring(L, 2, size);
}

int mw_http_response_write(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    int count;
    const char *bytes = join(L, &size);
    if (is_over(L, response, &count)) {
        return count;
    }
    if (response->phase == MW_HTTP_FRESH && response->has_length && size > response->length) {
        return mw_push_word(L, "too_large");
    }
    int error = mw_http_response_piece(response, bytes, size);
    return error ? push_error(L, response, error) : leave(L, response);
}

/* The head leaves, too, if nothing has yet. */
int mw_http_response_flush(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    int count;
    if (response->phase != MW_HTTP_FINISHED && is_over(L, response, &count)) {
        return count;
    }
    if (!response->request || !response->request->stream.stream) {
        return mw_push_word(L, "closed");
    }
    if (response->request->stream.writer) {
        return mw_push_word(L, "busy");
    }
    int error = response->phase == MW_HTTP_FRESH ? mw_http_response_begin(response, "", 0, false) : 0;
    return error ? push_error(L, response, error) : drain(L, response, 0, 0);
}

/* Raises before anything is sent for names and values that cannot be. */
static void gather_trailers(lua_State *L, struct mw_text *lines) {
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 2, "names of fields expected");
        mw_http_fields_add(L, lines, lua_gettop(L) - 1, lua_gettop(L));
        lua_pop(L, 1);
    }
}

/* The lines of the trailers lie where those of the head did: whatever is raised, they are freed with the response. */
int mw_http_response_finish(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    int count;
    if (is_over(L, response, &count)) {
        return count;
    }
    int error = response->phase == MW_HTTP_FRESH ? mw_http_response_begin(response, "", 0, lua_isnoneornil(L, 2)) : 0;
    if (error || response->phase == MW_HTTP_FINISHED) {
        return error ? push_error(L, response, error) : leave(L, response);
    }
    response->fields.size = 0;
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        gather_trailers(L, &response->fields);
    }
    error = mw_http_response_complete(response, response->fields.bytes, response->fields.size);
    return error ? push_error(L, response, error) : leave(L, response);
}

/* --- from a file --- */

static int file_sent(lua_State *L, int status, lua_KContext index) {
    struct mw_http_response *response = lua_touserdata(L, 1);
    uint64_t sent;
    int count = mw_l_sending_result(L, (int)index, &sent);
    (void)status;
    if (!response->request) {
        return mw_push_word(L, "closed");
    }
    response->sent = sent;
    if (count == 1 && sent == response->length) {
        response->phase = MW_HTTP_FINISHED;
        return 1;
    }
    response->failed = response->closes = true;
    return count == 1 ? mw_push_word(L, "eof") : count;
}

enum { SMALL_FILE = 16 * 1024 }; /* bytes below which a file leaves with its head: one call, one segment less */

/* Sends a file that is small. False: it is not, and nothing was sent. */
static bool send_small(lua_State *L, struct mw_http_response *response, int *count) {
    char bytes[SMALL_FILE];
    ssize_t size = response->request->is_head ? -1 : mw_l_sending_read(L, bytes, sizeof bytes);
    if (size < 0) {
        return false;
    }
    response->has_length = response->has_type = true; /* a type that nobody has set is none */
    response->length = (uint64_t)size;
    int error = mw_http_response_begin(response, bytes, (size_t)size, true);
    *count = error ? push_error(L, response, error) : leave(L, response);
    return true;
}

/* The length is announced before the first byte leaves: the file has to keep it. */
int mw_http_response_send_file(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    struct mw_l_sending *sending;
    int count;
    uint64_t size;
    if (is_over(L, response, &count)) {
        return count;
    }
    luaL_argcheck(L, response->phase == MW_HTTP_FRESH, 1, "the head was sent already");
    lua_settop(L, 4);
    if (send_small(L, response, &count)) {
        return count;
    }
    sending = mw_l_sending_open(L, &response->request->stream, &size);
    if (!sending) {
        return 3;
    }
    response->has_length = true;
    response->length = size;
    int error = mw_http_response_begin(response, "", 0, size == 0 || response->request->is_head);
    if (error || !has_room(response) || size == 0) {
        mw_l_sending_forget(sending);
        response->phase = MW_HTTP_FINISHED;
        return error ? push_error(L, response, error) : leave(L, response);
    }
    return mw_l_sending_start(L, sending, file_sent);
}

/* --- to another protocol --- */

/* The stream is the task's, as if it had served it from the start; the connection is none of HTTP any more. */
static int hand_over(lua_State *L, struct mw_http_request *request) {
    struct mw_task *task = request->task;
    struct mw_http_connection *connection = request->connection;
    struct mw_l_stream *stream = mw_l_stream_push(L);
    struct mw_sched *sched = task->sched;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task); /* the handler may forget it, which is open until it returns */
    task->anchors = true;
    request->stream.role = NULL;
    mw_l_stream_pass(&request->stream, stream);
    mw_list_append(&task->owned, &stream->resource.node);
    stream->task = task;
    task->connection = stream;
    request->response->request = NULL;
    mw_http_response_close(request->response);
    mw_l_http_body_close(&request->body);
    request->connection = NULL;
    sched->connections++;
    mw_http_connection_free(connection);
    return 1;
}

/* response:upgrade(protocol) → stream (RFC 9110 section 7.8) */
int mw_http_response_upgrade(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    int count;
    const char *protocol = luaL_checklstring(L, 2, &size);
    luaL_argcheck(L, size < 100 && mw_http1_is_token(protocol, size), 2, "a protocol such as 'websocket' expected");
    if (is_over(L, response, &count)) {
        return count;
    }
    luaL_argcheck(L, response->phase == MW_HTTP_FRESH, 1, "the head was sent already");
    struct mw_http_request *request = response->request;
    if (lua_touserdata(L, 1) && mw_task_of(L) != request->task) {
        return luaL_error(L, "only the task of the request takes its connection over");
    }
    char head[200];
    int length = snprintf(head, sizeof head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n",
                          protocol);
    struct iovec pieces[3] = {{.iov_base = head, .iov_len = (size_t)length},
                              {.iov_base = response->fields.bytes, .iov_len = response->fields.size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    int error = mw_stream_queue_pieces(request->stream.stream, pieces, 3);
    return error ? push_error(L, response, error) : hand_over(L, request);
}
