/* Bodies that pass through a proxy, with backpressure: a piece is taken from one connection when the other has room. */
#include "script/l_http_pass.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_http_hop.h"
#include "script/sched.h"

#include <errno.h>
#include <string.h>

enum { SINK = 1, SOURCE = 2 }; /* on the stack: what is written to, the message whose body is read */

enum { AWAITS_ROOM, AWAITS_DATA };

/* What is different in the two directions. */
struct direction {
    struct mw_l_stream *(*stream)(void *sink);
    int (*queue)(void *sink, struct mw_l_http_body *body, const char *bytes, size_t size); /* 0 or errno */
    int (*finish)(void *sink, struct mw_l_http_body *body);
    int (*start)(void *sink); /* nothing of the body is there yet: the head leaves; NULL: it has */
    lua_KFunction k;
};

/* nil, err, code are on the stack. */
static int blame(lua_State *L, const char *side) {
    lua_pushstring(L, side);
    return 4;
}

static int fail_to_write(lua_State *L, const struct mw_l_stream *stream, int error) {
    if (error == EMSGSIZE || error == ENOBUFS) {
        mw_push_word(L, "too_large");
    } else {
        mw_l_stream_push_fault(L, stream, "write", error);
    }
    return blame(L, "to");
}

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->writer = NULL;
    if (stream->stream) {
        mw_stream_forget_output(stream->stream);
    }
}

static const struct mw_wait wait_for_room = {.name = "pass body", .abandon = abandon, .sends = true};

static int await_room(lua_State *L, const struct direction *direction, struct mw_l_stream *stream) {
    struct mw_task *task = mw_task_begin_wait(L, stream->profile->write_timeout);
    stream->writer = task;
    mw_stream_await_output(stream->stream, stream->profile->marks.low);
    return mw_task_wait(task, &wait_for_room, stream, AWAITS_ROOM, direction->k);
}

static bool is_full(const struct mw_l_stream *stream) {
    size_t high = stream->profile->marks.high;
    return mw_stream_pending(stream->stream) > high && mw_stream_flush(stream->stream) == 0 &&
           mw_stream_pending(stream->stream) > high;
}

/* Queues what is there. 0: go on; else the number of results. */
static int pass_some(lua_State *L, const struct direction *direction, struct mw_l_http_body *body, void *sink) {
    size_t size;
    const char *bytes = mw_stream_unread(body->stream->stream, &size);
    int error = direction->queue(sink, body, bytes, body->ready);
    if (error) {
        return fail_to_write(L, direction->stream(sink), error);
    }
    mw_l_http_body_consume(body, body->ready);
    return 0;
}

static int conclude(lua_State *L, const struct direction *direction, struct mw_l_http_body *body, void *sink) {
    int error = direction->finish(sink, body);
    if (error) {
        return fail_to_write(L, direction->stream(sink), error);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* One step. `*waits`: nothing is there, the task has to wait for it. */
static int step(lua_State *L, const struct direction *direction, struct mw_l_http_body *body, void *sink, bool *waits) {
    int count;
    if (!mw_l_http_body_look(L, body, &count)) {
        return blame(L, "from");
    }
    if (body->ready) {
        return pass_some(L, direction, body, sink);
    }
    if (body->ended) {
        return conclude(L, direction, body, sink);
    }
    const struct mw_stream *transport = body->stream->stream;
    if (mw_stream_at_end(transport) || mw_stream_input_fault(transport)) {
        return mw_l_http_body_end(L, body) ? blame(L, "from") : 0;
    }
    *waits = true;
    return 0;
}

static int pump(lua_State *L, const struct direction *direction, bool first) {
    void *sink = lua_touserdata(L, SINK);
    struct mw_l_http_body *body = lua_touserdata(L, SOURCE);
    while (true) {
        struct mw_l_stream *stream = direction->stream(sink);
        bool waits = false;
        if (!stream || !stream->stream || stream->writer) {
            mw_push_word(L, stream && stream->writer ? "busy" : "closed");
            return blame(L, "to");
        }
        if (is_full(stream)) {
            return await_room(L, direction, stream);
        }
        int count = step(L, direction, body, sink, &waits);
        if (count) {
            return count;
        }
        if (waits) {
            int error = direction->start ? direction->start(sink) : 0;
            if (error) {
                return fail_to_write(L, stream, error);
            }
            return mw_l_http_body_wait(L, body, first, AWAITS_DATA, direction->k);
        }
        first = true;
    }
}

static int go_on(lua_State *L, const struct direction *direction, lua_KContext awaited) {
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        mw_push_word(L, "timeout");
        return blame(L, awaited == AWAITS_ROOM ? "to" : "from");
    }
    return pump(L, direction, awaited == AWAITS_ROOM);
}

/* --- fields behind a body --- */

static struct mw_text trailers; /* of the message that ends just now */

/* Those that say nothing about connection or framing (RFC 9110 section 6.5.1). */
static void gather_trailers(const struct mw_l_http_body *body) {
    struct mw_http1_field field;
    uint32_t at = 0;
    trailers.size = 0;
    while (body->trailer.size && mw_http1_next_field(body->trailer.bytes, (uint32_t)body->trailer.size, &at, &field)) {
        if (!mw_http_is_of_hop(&field) && !(field.name_size == 4 && strncasecmp(field.name, "host", 4) == 0)) {
            mw_text_add(&trailers, field.name, field.name_size);
            mw_text_add(&trailers, ": ", 2);
            mw_text_add(&trailers, field.value, field.value_size);
            mw_text_add(&trailers, "\r\n", 2);
        }
    }
}

/* --- to an upstream server --- */

static struct mw_l_stream *upstream(void *sink) {
    return sink;
}

static int queue_to_upstream(void *sink, struct mw_l_http_body *body, const char *bytes, size_t size) {
    struct mw_l_stream *stream = sink;
    char line[MW_HTTP1_CHUNK_LINE];
    if (body->decoder.framing != MW_HTTP1_CHUNKED) {
        return mw_stream_queue(stream->stream, bytes, size);
    }
    struct iovec pieces[3] = {{.iov_base = line, .iov_len = mw_http1_chunk_line(line, size)},
                              {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    return mw_stream_queue_pieces(stream->stream, pieces, 3);
}

static int finish_upstream(void *sink, struct mw_l_http_body *body) {
    struct mw_l_stream *stream = sink;
    if (body->decoder.framing != MW_HTTP1_CHUNKED) {
        return 0;
    }
    gather_trailers(body);
    struct iovec pieces[3] = {{.iov_base = (char *)(uintptr_t) "0\r\n", .iov_len = 3},
                              {.iov_base = trailers.bytes, .iov_len = trailers.size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    return mw_stream_queue_pieces(stream->stream, pieces, 3);
}

static int request_k(lua_State *L, int status, lua_KContext awaited);
static const struct direction to_upstream = {upstream, queue_to_upstream, finish_upstream, NULL, request_k};

static int request_k(lua_State *L, int status, lua_KContext awaited) {
    (void)status;
    return go_on(L, &to_upstream, awaited);
}

/* pass_body(stream, request) → true | nil, err, code, side: the body of a request to a server. `side` is "from" or
 * "to": who has failed. */
static int pass_body(lua_State *L) {
    mw_l_stream_check(L, SINK);
    mw_http_request_check(L, SOURCE);
    lua_settop(L, SOURCE);
    return pump(L, &to_upstream, true);
}

/* --- to a client --- */

static struct mw_l_stream *client(void *sink) {
    const struct mw_http_response *response = sink;
    return response->request ? &response->request->stream : NULL;
}

static int queue_to_client(void *sink, struct mw_l_http_body *body, const char *bytes, size_t size) {
    struct mw_http_response *response = sink;
    bool is_all = response->phase == MW_HTTP_FRESH && response->has_length && size == response->length;
    (void)body;
    return is_all ? mw_http_response_begin(response, bytes, size, true) : mw_http_response_piece(response, bytes, size);
}

static int start_client(void *sink) {
    struct mw_http_response *response = sink;
    return response->phase == MW_HTTP_FRESH ? mw_http_response_begin(response, "", 0, false) : 0;
}

/* An answer to HEAD says what one to GET would: no length when the server has given none. */
static int finish_client(void *sink, struct mw_l_http_body *body) {
    struct mw_http_response *response = sink;
    if (response->phase == MW_HTTP_FINISHED) {
        return 0;
    }
    if (response->phase == MW_HTTP_FRESH) {
        bool is_all = body->trailer.size == 0 && (response->has_length || !response->request->is_head);
        int error = mw_http_response_begin(response, "", 0, is_all);
        if (error || response->phase == MW_HTTP_FINISHED) {
            return error;
        }
    }
    gather_trailers(body);
    return mw_http_response_complete(response, trailers.bytes, trailers.size);
}

static int answer_k(lua_State *L, int status, lua_KContext awaited);
static const struct direction to_client = {client, queue_to_client, finish_client, start_client, answer_k};

/* What was begun cannot be completed: it must not look as if it were. */
static int note_failure(lua_State *L, int count) {
    struct mw_http_response *response = lua_touserdata(L, SINK);
    if (count == 4 && response->phase == MW_HTTP_STREAMING) {
        response->failed = response->closes = true;
    }
    return count;
}

static int answer_k(lua_State *L, int status, lua_KContext awaited) {
    (void)status;
    return note_failure(L, go_on(L, &to_client, awaited));
}

/* pass_answer(response, reply, rules) → true | nil, err, code, side: the answer of a server to the client */
static int pass_answer(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    const struct mw_http_reply *reply = mw_http_reply_check(L, SOURCE);
    const struct mw_http_pass_rules *rules = mw_http_pass_rules_check(L, 3);
    luaL_argcheck(L, response->phase == MW_HTTP_FRESH, 1, "the head was sent already");
    if (!response->request) {
        mw_push_word(L, "closed");
        return blame(L, "to");
    }
    if (!mw_http_pass_fields(response, reply, rules)) {
        return luaL_error(L, "not enough memory");
    }
    lua_settop(L, SOURCE);
    return note_failure(L, pump(L, &to_client, true));
}

void mw_l_http_pump_open(lua_State *L) {
    lua_pushcfunction(L, pass_body);
    lua_setfield(L, -2, "pass_body");
    lua_pushcfunction(L, pass_answer);
    lua_setfield(L, -2, "pass_answer");
}
