#include "script/l_http_body.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <errno.h>
#include <string.h>

enum {
    SOME_DEFAULT = 64 * 1024,  /* bytes, of read_some and chunks */
    ALL_DEFAULT = 1024 * 1024, /* of read_all */
    MOST = 1 << 30,
};

#define GRACE_SECONDS 10.0 /* before the rate counts */

static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";

void mw_l_http_body_start(struct mw_l_http_body *body, struct mw_l_stream *stream, const struct mw_http1_head *head) {
    *body = (struct mw_l_http_body){
        .stream = stream,
        .limit = UINT64_MAX,
        .length = head->length,
        .ended = head->framing == MW_HTTP1_EMPTY || (head->framing == MW_HTTP1_LENGTH && head->length == 0),
        .awaits_continue = head->expects_continue && head->framing != MW_HTTP1_EMPTY,
    };
    mw_http1_body_start(&body->decoder, head);
}

void mw_l_http_body_close(struct mw_l_http_body *body) {
    body->stream = NULL;
    if (body->collected.bytes) {
        mw_text_free(&body->collected);
    }
    if (body->trailer.bytes) {
        mw_text_free(&body->trailer);
    }
}

/* --- the decoder on the unread bytes --- */

/* Looks for data at the front of the unread bytes. False when the framing is bad. */
static bool advance(struct mw_l_http_body *body) {
    struct mw_stream *transport = body->stream->stream;
    size_t size;
    const char *bytes = mw_stream_unread(transport, &size);
    while (size && !body->ended && body->ready == 0) {
        struct mw_http1_run run = {.used = 0};
        enum mw_http1_result result = mw_http1_body_next(&body->decoder, bytes, size, &run);
        if (result == MW_HTTP1_BAD) {
            body->why = body->decoder.why ? body->decoder.why : "bad framing";
            return false;
        }
        if (run.trailer) {
            mw_text_add(&body->trailer, bytes + run.trailer_at, run.trailer);
        }
        body->ended = result == MW_HTTP1_DONE;
        body->ready = run.data;
        body->behind = run.used - run.start - run.data;
        size_t before = run.data ? run.start : run.used;
        if (run.used == 0) {
            return true;
        }
        if (run.data == 0) {
            body->behind = 0;
        }
        if (before) {
            mw_stream_take(transport, before);
            bytes = mw_stream_unread(transport, &size);
        }
    }
    return true;
}

void mw_l_http_body_consume(struct mw_l_http_body *body, size_t size) {
    body->ready -= size;
    if (body->ready == 0) {
        size += body->behind;
        body->behind = 0;
    }
    if (size) {
        mw_stream_take(body->stream->stream, size);
    }
}

bool mw_l_http_body_skip(struct mw_l_http_body *body) {
    while (!mw_l_http_body_is_read(body)) {
        if (body->ready == 0 && (!advance(body) || (body->ready == 0 && !body->ended))) {
            return false;
        }
        mw_l_http_body_consume(body, body->ready);
    }
    return true;
}

/* --- reading --- */

struct reading {
    /* Pushes results from the ready bytes and returns their number; 0: more must come. At the end of the
     * body there are none. */
    int (*take)(lua_State *L, struct mw_l_http_body *body, size_t limit);
    lua_KFunction k;
    bool iterates; /* a clean end is nil, a fault is raised; the limit is the first upvalue */
};

static struct mw_l_http_body *check(lua_State *L) {
    struct mw_l_http_body *body = lua_touserdata(L, 1);
    if (!body || lua_rawlen(L, 1) < sizeof *body || !luaL_getmetafield(L, 1, "__http_body")) {
        luaL_typeerror(L, 1, "HTTP message");
    }
    lua_pop(L, 1);
    return body;
}

/* What a request is answered with when its handler lets such a fault pass. */
static uint16_t status_of(const char *code) {
    static const struct {
        const char *code;
        uint16_t status;
    } known[] = {{"invalid", 400}, {"timeout", 408}, {"too_large", 413}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(code, known[i].code) == 0) {
            return known[i].status;
        }
    }
    return 0;
}

static int give_fault(lua_State *L, const struct reading *reading, int count) {
    if (!reading->iterates) {
        return count;
    }
    struct mw_l_http_body *body = lua_touserdata(L, 1);
    body->blame = status_of(lua_tostring(L, -1));
    mw_push_fault_object(L, lua_tostring(L, -1), lua_tostring(L, -2));
    return lua_error(L);
}

static int push_bad(lua_State *L, const struct mw_l_http_body *body) {
    struct mw_fault fault;
    char name[MW_ADDR_TEXT];
    mw_fault_format(&fault, "invalid", "read body %s: %s", mw_l_stream_name(body->stream, name, sizeof name), body->why);
    return mw_push_fault(L, &fault);
}

int mw_l_http_body_end(lua_State *L, struct mw_l_http_body *body) {
    int error = mw_stream_input_fault(body->stream->stream);
    if (error) {
        return mw_l_stream_push_fault(L, body->stream, "read body", error);
    }
    body->ended = body->decoder.framing == MW_HTTP1_UNTIL_END;
    return body->ended ? 0 : mw_push_word(L, "closed");
}

static void abandon(struct mw_task *task, void *subject) {
    struct mw_l_stream *stream = subject;
    (void)task;
    stream->reader = NULL;
    if (stream->stream) {
        mw_stream_await_input(stream->stream, 0);
    }
}

static const struct mw_wait wait_for_body = {.name = "read body", .abandon = abandon};

/* The peer is told to send what it holds back. */
static void tell_continue(struct mw_l_http_body *body) {
    if (body->awaits_continue) {
        body->awaits_continue = false;
        mw_stream_queue(body->stream->stream, CONTINUE, sizeof CONTINUE - 1);
    }
}

/* The patience with a sender: what one read may take, and what its rate allows in all. */
static double patience(lua_State *L, struct mw_l_http_body *body, bool first) {
    double now = mw_loop_now(mw_sched_of(L)->loop);
    if (body->begun == 0) {
        body->begun = now;
    }
    if (first) {
        body->due = now + body->stream->profile->read_timeout;
    }
    double due = body->due;
    if (body->rate > 0) {
        double slowest = body->begun + GRACE_SECONDS + (double)body->decoder.data / body->rate;
        due = slowest < due ? slowest : due;
    }
    return due > now ? due - now : 0;
}

int mw_l_http_body_wait(lua_State *L, struct mw_l_http_body *body, bool first, lua_KContext context, lua_KFunction k) {
    struct mw_task *task = mw_task_begin_wait(L, patience(L, body, first));
    size_t unread;
    tell_continue(body);
    mw_stream_unread(body->stream->stream, &unread);
    body->stream->reader = task;
    mw_stream_await_input(body->stream->stream, unread + 1);
    return mw_task_wait(task, &wait_for_body, body->stream, context, k);
}

static bool is_too_large(const struct mw_l_http_body *body) {
    return body->decoder.data > body->limit || (body->decoder.framing == MW_HTTP1_LENGTH && body->length > body->limit);
}

static int give_end(lua_State *L, const struct reading *reading) {
    if (reading->iterates) {
        lua_pushnil(L);
        return 1;
    }
    return mw_push_word(L, "eof");
}

bool mw_l_http_body_look(lua_State *L, struct mw_l_http_body *body, int *count) {
    if (!body->stream || !body->stream->stream) {
        *count = mw_push_word(L, "closed");
    } else if (body->stream->reader) {
        *count = mw_push_word(L, "busy");
    } else if (body->why || (body->ready == 0 && !advance(body))) {
        *count = push_bad(L, body);
    } else if (is_too_large(body)) {
        *count = mw_push_word(L, "too_large");
    } else {
        return true;
    }
    return false;
}

static int look(lua_State *L, const struct reading *reading, bool first) {
    struct mw_l_http_body *body = lua_touserdata(L, 1);
    size_t limit = (size_t)lua_tointeger(L, reading->iterates ? lua_upvalueindex(1) : 2);
    uint64_t before;
    int count;
    do {
        if (!mw_l_http_body_look(L, body, &count)) {
            return give_fault(L, reading, count);
        }
        before = mw_stream_position(body->stream->stream);
        count = reading->take(L, body, limit);
        if (count) {
            return count == 3 ? give_fault(L, reading, 3) : count;
        }
    } while (mw_stream_position(body->stream->stream) != before);
    if (body->ended) {
        return give_end(L, reading);
    }
    const struct mw_stream *transport = body->stream->stream;
    if (mw_stream_at_end(transport) || mw_stream_input_fault(transport)) {
        count = mw_l_http_body_end(L, body);
        return count ? give_fault(L, reading, count) : look(L, reading, first);
    }
    return mw_l_http_body_wait(L, body, first, 0, reading->k);
}

static int look_again(lua_State *L, const struct reading *reading) {
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return give_fault(L, reading, mw_push_word(L, "timeout"));
    }
    return look(L, reading, false);
}

/* What a read_all that timed out had collected comes first. */
static int take_collected(lua_State *L, struct mw_l_http_body *body, size_t limit) {
    struct mw_text *collected = &body->collected;
    size_t part = collected->size < limit ? collected->size : limit;
    lua_pushlstring(L, collected->bytes, part);
    collected->size -= part;
    memmove(collected->bytes, collected->bytes + part, collected->size);
    return 1;
}

static int take_some(lua_State *L, struct mw_l_http_body *body, size_t limit) {
    if (body->collected.size) {
        return take_collected(L, body, limit);
    }
    size_t size, part = body->ready < limit ? body->ready : limit;
    if (part == 0) {
        return 0;
    }
    lua_pushlstring(L, mw_stream_unread(body->stream->stream, &size), part);
    mw_l_http_body_consume(body, part);
    return 1;
}

/* All of it in one text, which is kept while more is awaited. */
static int take_all(lua_State *L, struct mw_l_http_body *body, size_t limit) {
    size_t size;
    bool announced = body->decoder.framing == MW_HTTP1_LENGTH;
    if (body->decoder.data > limit || (announced && body->length > limit)) {
        return mw_push_word(L, "too_large");
    }
    const char *bytes = mw_stream_unread(body->stream->stream, &size);
    if (body->ended && body->collected.size == 0) {
        lua_pushlstring(L, body->ready ? bytes : "", body->ready);
        mw_l_http_body_consume(body, body->ready);
        return 1;
    }
    if (body->ready) {
        mw_text_add(&body->collected, bytes, body->ready);
        mw_l_http_body_consume(body, body->ready);
    }
    if (body->collected.failed) {
        return luaL_error(L, "not enough memory");
    }
    if (!body->ended) {
        return 0;
    }
    lua_pushlstring(L, body->collected.bytes, body->collected.size);
    mw_text_free(&body->collected);
    return 1;
}

static const struct reading some, all, chunks;

static int some_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &some);
}

static int all_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &all);
}

static int chunks_k(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    return look_again(L, &chunks);
}

static const struct reading some = {.take = take_some, .k = some_k};
static const struct reading all = {.take = take_all, .k = all_k};
static const struct reading chunks = {.take = take_some, .k = chunks_k, .iterates = true};

static void settle_limit(lua_State *L, lua_Integer otherwise) {
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushinteger(L, otherwise);
    } else {
        mw_check_count(L, 2, 1, MOST);
    }
}

int mw_l_http_body_read_some(lua_State *L) {
    check(L);
    settle_limit(L, SOME_DEFAULT);
    return look(L, &some, true);
}

int mw_l_http_body_read_all(lua_State *L) {
    check(L);
    settle_limit(L, ALL_DEFAULT);
    return look(L, &all, true);
}

static int next_chunk(lua_State *L) {
    check(L);
    return look(L, &chunks, true);
}

int mw_l_http_body_chunks(lua_State *L) {
    static const char *const known[] = {"max", NULL};
    check(L);
    mw_check_options(L, 2, known);
    lua_pushinteger(L, mw_option_integer(L, 2, "max", 1, MOST, SOME_DEFAULT));
    lua_pushcclosure(L, next_chunk, 1);
    lua_pushvalue(L, 1);
    return 2;
}

int mw_l_http_body_limit(lua_State *L) {
    struct mw_l_http_body *body = check(L);
    bool unlimited = lua_isboolean(L, 2) && !lua_toboolean(L, 2);
    body->limit = unlimited ? UINT64_MAX : mw_check_count(L, 2, 0, LUA_MAXINTEGER);
    lua_settop(L, 1);
    return 1;
}

int mw_l_http_body_trailers(lua_State *L) {
    const struct mw_l_http_body *body = check(L);
    mw_l_http_push_fields(L, body->trailer.bytes, 0, (uint32_t)body->trailer.size);
    return 1;
}

/* --- fields as Lua values --- */

static bool is_cookie(const char *name, size_t size) {
    return size == 6 && strncasecmp(name, "cookie", size) == 0;
}

static void push_lower(lua_State *L, const char *name, size_t size) {
    char lower[256];
    size_t length = size < sizeof lower ? size : sizeof lower; /* a longer name is cut: nobody asks for it */
    for (size_t i = 0; i < length; i++) {
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
    }
    lua_pushlstring(L, lower, length);
}

void mw_l_http_push_fields(lua_State *L, const char *bytes, uint32_t at, uint32_t end) {
    struct mw_http1_field field;
    lua_newtable(L);
    while (bytes && mw_http1_next_field(bytes, end, &at, &field)) {
        push_lower(L, field.name, field.name_size);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushlstring(L, field.value, field.value_size);
        } else {
            lua_pushstring(L, is_cookie(field.name, field.name_size) ? "; " : ", ");
            lua_pushlstring(L, field.value, field.value_size);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
}

void mw_l_http_push_field(lua_State *L, const char *bytes, uint32_t at, uint32_t end, const char *name, size_t size) {
    struct mw_http1_field field;
    if (!mw_http1_find_field(bytes, end, &at, name, size, &field)) {
        lua_pushnil(L);
        return;
    }
    lua_pushlstring(L, field.value, field.value_size);
    while (mw_http1_find_field(bytes, end, &at, name, size, &field)) {
        lua_pushstring(L, is_cookie(name, size) ? "; " : ", ");
        lua_pushlstring(L, field.value, field.value_size);
        lua_concat(L, 3);
    }
}
