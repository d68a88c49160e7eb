/* A request and its answer: from the head to what becomes of the connection. */
#include "script/l_http_internal.h"

#include "base/log.h"
#include "script/service.h"
#include "script/task_internal.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { CLIENT_LEFT = 499 }; /* for the log: nobody is there to answer to */

enum { REQUESTS_A_TASK = 32 }; /* that came at once */

enum { SKIP_AT_MOST = 64 * 1024 }; /* bytes of a body that nobody reads are worth waiting for */

/* --- answers that no script gives --- */

/* A short answer in plain text, behind which the connection ends. */
static void queue_plain(struct mw_stream *transport, int status, bool is_head, uint64_t id) {
    char head[320], body[128], date[MW_HTTP1_DATE];
    const char *reason = mw_http1_reason(status);
    int size = snprintf(body, sizeof body, "%d %s\n", status, reason);
    if (id) {
        size += snprintf(body + size, sizeof body - (size_t)size, "request %016" PRIx64 "\n", id);
    }
    mw_http1_date(date, time(NULL));
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "Content-Length: %d\r\nConnection: close\r\n\r\n",
                          status, reason, date, size);
    struct iovec pieces[2] = {{.iov_base = head, .iov_len = (size_t)length}, {.iov_base = body, .iov_len = (size_t)size}};
    mw_stream_queue_pieces(transport, pieces, is_head ? 1 : 2);
}

void mw_http_refuse(struct mw_http_connection *connection, int status, const char *why) {
    char name[MW_ADDR_TEXT];
    struct mw_addr peer;
    mw_endpoint_unpack(&peer, &connection->peer);
    mw_log(MW_LOG_INFO, "service %s: http %s: request refused with %d: %s", connection->server->handler.sched->name,
           mw_addr_format(&peer, name), status, why ? why : "bad request");
    queue_plain(connection->transport, status, false, 0);
    mw_http_connection_end(connection, MW_HTTP_LINGER);
}

/* --- the beginning --- */

/* What a task finds when it begins: it is on the stack of whoever started it. */
struct arrival {
    struct mw_http_connection *connection;
    const struct mw_http1_head *head;
    struct mw_task *task; /* set on success */
};

static void on_unread(struct mw_l_stream *stream);

static uint64_t id_of(struct mw_l_stream *stream) {
    return mw_http_request_id(mw_list_owner(stream, struct mw_http_request, stream));
}

static const struct mw_l_stream_role role = {.on_unread = on_unread, .on_left = mw_http_exchange_left, .id = id_of};

/* Upvalues of `run`: quicker than the registry. */
enum { FUNCTION = 1, CONTEXT, REQUEST_TYPE, RESPONSE_TYPE, UPVALUES = RESPONSE_TYPE };

/* The request takes the connection over. Nothing raises behind the first lines. */
static struct mw_http_request *begin(lua_State *L, struct mw_http_connection *connection,
                                     const struct mw_http1_head *head) {
    const struct mw_l_handler *handler = &connection->server->handler;
    struct mw_stream *transport = connection->transport;
    struct mw_task *task = handler->sched->running;
    size_t size;
    struct mw_http_request *request = mw_http_request_push(L, connection, head, mw_stream_unread(transport, &size),
                                                           lua_upvalueindex(REQUEST_TYPE));
    lua_pushvalue(L, lua_upvalueindex(FUNCTION));
    lua_pushvalue(L, 1);
    request->response = mw_http_response_push(L, request, lua_upvalueindex(RESPONSE_TYPE));
    lua_pushvalue(L, lua_upvalueindex(CONTEXT));
    request->task = task;
    mw_stream_take(transport, head->size);
    mw_http_connection_lend(connection, request);
    mw_l_stream_hold(&request->stream, transport, NULL, handler->profile);
    request->stream.role = &role;
    request->stream.task = task;
    task->connection = &request->stream;
    return request;
}

/* Whether the task can serve another request as if it were a new one. */
static bool is_like_new(const struct mw_task *task) {
    return !task->group && !task->handle && !task->cancelled && !task->lends && mw_list_empty(&task->owned);
}

/* A task with a connection of its own has one value below its results: see mw_l_handler_new_task. */
static int leave(const struct mw_task *task) {
    return task->connection != NULL;
}

static int answered(lua_State *L, int status, lua_KContext context);

/* Requests that have come at once are served by one task: a pipelined one costs no task of its own. The request lies at
 * index 1: as long as its handler runs it does, and what it embeds. */
static int serve(lua_State *L, struct mw_http_connection *connection, const struct mw_http1_head *head) {
    struct mw_http1_head next;
    for (int count = 1;; count++) {
        struct mw_http_request *request = begin(L, connection, head);
        struct mw_task *task = request->task;
        lua_callk(L, 3, 0, 0, answered);
        connection = mw_http_exchange_end(request, task);
        if (!connection || count == REQUESTS_A_TASK || !is_like_new(task) ||
            !mw_http_connection_look(connection, &next)) {
            return leave(task);
        }
        lua_settop(L, 0);
        head = &next;
    }
}

static int answered(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    mw_http_exchange_end(lua_touserdata(L, 1), mw_task_of(L));
    return leave(mw_task_of(L));
}

/* What the task of a request runs. */
static int run(lua_State *L) {
    const struct arrival *arrival = lua_touserdata(L, 1);
    lua_settop(L, 0);
    return serve(L, arrival->connection, arrival->head);
}

void mw_http_exchange_push_entry(lua_State *L, const struct mw_l_handler *handler) {
    luaL_checkstack(L, UPVALUES, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->function);
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->context);
    luaL_getmetatable(L, mw_http_request_type);
    luaL_getmetatable(L, mw_http_response_type);
    lua_pushcclosure(L, run, UPVALUES);
}

/* Protected, on the main thread. */
static int make_task(lua_State *L) {
    struct arrival *arrival = lua_touserdata(L, 1);
    const struct mw_l_handler *handler = &arrival->connection->server->handler;
    arrival->task = mw_task_new(L, handler->sched, handler->group);
    return 0;
}

void mw_http_exchange_start(struct mw_http_connection *connection, const struct mw_http1_head *head) {
    const struct mw_l_handler *handler = &connection->server->handler;
    struct mw_sched *sched = handler->sched; /* the server may be gone when the task has run */
    struct arrival arrival = {.connection = connection, .head = head};
    if (mw_list_empty(&sched->spare)) {
        mw_task_protected(sched, make_task, &arrival);
    } else {
        arrival.task = mw_task_new(sched->L, sched, handler->group); /* raises nothing: a thread is there */
    }
    if (arrival.task) {
        uint64_t before = connection->requests;
        lua_rawgeti(arrival.task->thread, LUA_REGISTRYINDEX, connection->server->entry);
        lua_pushlightuserdata(arrival.task->thread, &arrival);
        mw_task_resume(arrival.task, 1);
        if (sched->http_served != connection || connection->requests != before) {
            return;
        }
    }
    mw_http_refuse(connection, 503, "not enough memory");
}

/* --- the middle: the client leaves --- */

/* Something came that nobody reads: a next request, which waits, or the end. A client that has ended its sending
 * direction may still read what is on its way to it. */
static void on_unread(struct mw_l_stream *stream) {
    struct mw_http_request *request = mw_list_owner(stream, struct mw_http_request, stream);
    const struct mw_stream *transport = stream->stream;
    struct mw_task *task = request->task;
    bool sends = mw_stream_pending(transport) > 0 || (task->state == MW_TASK_WAITING && task->wait->sends);
    bool is_gone = mw_stream_at_end(transport) && !sends && !mw_stream_transport(transport)->two_ends;
    if (mw_stream_input_fault(transport) || is_gone) {
        mw_task_cancel(task);
    }
}

/* --- the end --- */

/* What is left of the body: 0, or how much is worth skipping; UINT64_MAX: too much, or nobody knows. */
static uint64_t left_of(const struct mw_l_http_body *body) {
    if (body->ended) {
        return body->ready + body->behind;
    }
    if (body->awaits_continue || body->why || body->decoder.framing != MW_HTTP1_LENGTH) {
        return UINT64_MAX;
    }
    return body->decoder.left + body->ready;
}

bool mw_http_goes_on(const struct mw_http_request *request) {
    const struct mw_http_connection *connection = request->connection;
    const struct mw_http_server *server = connection->server;
    const struct mw_sched *sched = server->handler.sched;
    return request->head.keeps_alive && !server->closing && (!sched->retired || sched->successor) &&
           server->rules.keep_alive > 0 && connection->requests < server->rules.requests &&
           left_of(&request->body) <= SKIP_AT_MOST;
}

/* A handler that has returned or died without an answer. */
static void answer_error(struct mw_http_request *request) {
    struct mw_http_response *response = request->response;
    response->status = request->body.blame ? request->body.blame : 500;
    response->closes = true;
    response->phase = MW_HTTP_FINISHED;
    queue_plain(request->stream.stream, response->status, request->is_head, mw_http_request_id(request));
}

/* Settles what the handler has left open. True: the answer is whole. */
static bool settle(struct mw_http_request *request, const struct mw_task *task, bool ok) {
    struct mw_http_response *response = request->response;
    if (response->phase == MW_HTTP_FRESH) {
        if (ok) {
            mw_log(MW_LOG_ERROR, "service %s: request %016" PRIx64 ": the handler returned without an answer",
                   task->sched->name, mw_http_request_id(request));
        }
        if (!task->cancelled) {
            answer_error(request);
        } else {
            response->status = CLIENT_LEFT;
        }
        return true;
    }
    if (response->phase == MW_HTTP_STREAMING && ok && !response->failed) {
        mw_http_response_complete(response, NULL, 0);
    }
    return response->phase == MW_HTTP_FINISHED;
}

/* Takes the transport back out of the request, whose values stay as they are, for the log and for scripts. */
static void recover(struct mw_http_request *request) {
    struct mw_stream *transport = request->stream.stream;
    struct mw_sched *sched = request->task->sched;
    if (transport) {
        request->stream.stream = NULL;
        mw_l_profile_release(request->stream.profile);
        mw_stream_await_input(transport, 0);
        mw_stream_forget_output(transport);
    }
    if (sched->served == &request->stream) {
        sched->served = NULL;
    }
}

static void close_values(struct mw_http_request *request) {
    mw_http_response_close(request->response);
    mw_l_http_body_close(&request->body);
    request->response = NULL;
    request->connection = NULL;
    request->stream.task = NULL;
}

/* Between two requests the connection is at a checkpoint: it goes where new ones go. True: it stays. */
static bool go_on(struct mw_http_connection *connection, struct mw_stream *transport) {
    const struct mw_sched *sched = connection->server->handler.sched;
    mw_http_connection_rest(connection, transport);
    if (!sched->retired) {
        return true;
    }
    struct mw_http_server *next = mw_service_next_http(sched, connection->server);
    if (next) {
        mw_http_connection_pass(connection, next);
    } else {
        mw_http_connection_end(connection, MW_HTTP_LINGER);
    }
    return false;
}

/* The end of a request, by whatever; `ok`: its handler has returned. The connection, if it rests now and is still of this
 * server; NULL: it is gone from here. */
static struct mw_http_connection *conclude(struct mw_http_request *request, struct mw_task *task, bool ok) {
    struct mw_http_connection *connection = request->connection;
    struct mw_stream *transport = request->stream.stream;
    bool whole = transport && settle(request, task, ok);
    bool goes_on = whole && !task->cancelled && !request->response->closes && mw_http_goes_on(request) &&
                   !mw_stream_output_fault(transport);
    bool is_cut = !whole && request->response->framing == MW_HTTP1_UNTIL_END;
    if (connection->server->rules.access_log) {
        mw_http_log_access(request, request->response);
    }
    if (goes_on && !mw_l_http_body_skip(&request->body)) {
        connection->skips = (uint32_t)left_of(&request->body);
    }
    recover(request);
    close_values(request);
    if (goes_on) {
        return go_on(connection, transport) ? connection : NULL;
    }
    mw_http_connection_free(connection);
    if (transport && is_cut) {
        mw_stream_abort(transport);
    } else if (transport) {
        mw_stream_close(transport, MW_HTTP_LINGER);
    }
    return NULL;
}

struct mw_http_connection *mw_http_exchange_end(struct mw_http_request *request, struct mw_task *task) {
    if (!request->connection) {
        return NULL; /* the handler has taken the connection over, or it was closed */
    }
    task->connection = NULL;
    return conclude(request, task, true);
}

void mw_http_exchange_left(struct mw_l_stream *stream, struct mw_task *task, bool ok) {
    struct mw_http_request *request = mw_list_owner(stream, struct mw_http_request, stream);
    if (request->connection) {
        conclude(request, task, ok);
    }
}

void mw_http_exchange_abort(struct mw_http_request *request) {
    struct mw_http_connection *connection = request->connection;
    struct mw_stream *transport = request->stream.stream;
    recover(request);
    request->task->connection = NULL;
    close_values(request);
    mw_http_connection_free(connection);
    if (transport) {
        mw_stream_close(transport, 0);
    }
}
