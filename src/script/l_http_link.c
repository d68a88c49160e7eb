/* A connection of a client's pool. In use it belongs to a task, and is cut when that ends; at rest it belongs to the
 * pool, and closes by itself when its time is up, when the server ends it, or says something that nobody asked for. */
#include "script/l_http_link.h"

#include "script/check.h"
#include "script/l_stream.h"
#include "script/l_waiters.h"
#include "script/sched.h"

static const char TYPE[] = "moonwire.http.link";

enum { STREAM = 1, OWN_WAITERS, SHARED_WAITERS, VALUES = SHARED_WAITERS }; /* user values */

struct link {
    struct mw_resource resource; /* of the task that uses it */
    struct mw_l_stream *stream;  /* NULL: not connected yet */
    struct mw_waiters *own, *shared; /* who waits for a place at this server, and for any; NULL once it has none */
    struct mw_timers *timers;
    struct mw_timer timer;       /* at rest */
};

static struct link *check(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

/* The place is free: somebody else may connect. */
static void vacate(struct link *link) {
    if (link->own && !mw_waiters_wake_one(link->own)) {
        mw_waiters_wake_one(link->shared);
    }
    link->own = link->shared = NULL;
}

static struct mw_l_stream *leave(struct link *link) {
    struct mw_l_stream *stream = link->stream;
    mw_task_disown(&link->resource);
    mw_timer_remove(link->timers, &link->timer);
    link->stream = NULL;
    if (stream) {
        stream->role = NULL;
    }
    vacate(link);
    return stream;
}

/* The task has ended in the middle of something: the server shall not take that for an end. */
static void on_task_end(struct mw_resource *resource) {
    struct mw_l_stream *stream = leave(mw_list_owner(resource, struct link, resource));
    if (stream) {
        mw_l_stream_abort(stream);
    }
}

static void end(struct link *link) {
    struct mw_l_stream *stream = leave(link);
    if (stream) {
        mw_l_stream_close(stream);
    }
}

static void on_due(struct mw_timer *timer) {
    end(mw_list_owner(timer, struct link, timer));
}

/* A stream at rest has no link of its own to be told: whatever comes, it closes, and the link finds it closed. */
static void on_unread(struct mw_l_stream *stream) {
    stream->role = NULL;
    mw_l_stream_close(stream);
}

static const struct mw_l_stream_role at_rest = {.on_unread = on_unread};

/* link(own, shared) → link: a place in a pool, the running task's */
static int link_new(lua_State *L) {
    struct mw_waiters *own = mw_waiters_check(L, 1), *shared = mw_waiters_check(L, 2);
    struct link *link = lua_newuserdatauv(L, sizeof *link, VALUES);
    *link = (struct link){.own = own, .shared = shared, .timers = mw_loop_timers(mw_sched_of(L)->loop)};
    link->resource.close = on_task_end;
    mw_list_init(&link->resource.node);
    mw_timer_init(&link->timer, on_due);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, OWN_WAITERS);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, SHARED_WAITERS);
    luaL_setmetatable(L, TYPE);
    mw_task_own(L, &link->resource);
    return 1;
}

/* link:hold(stream) → stream: connected. The stream closes with the link, no more with its task. */
static int link_hold(lua_State *L) {
    struct link *link = check(L);
    struct mw_l_stream *stream = mw_l_stream_check(L, 2);
    if (stream->stream) {
        mw_task_disown(&stream->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &stream->resource.node);
    }
    link->stream = stream;
    stream->is_of_child = true;
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, STREAM);
    return 1;
}

static bool is_good(const struct link *link) {
    size_t unread;
    const struct mw_stream *transport = link->stream ? link->stream->stream : NULL;
    if (!transport || mw_stream_at_end(transport) || mw_stream_input_fault(transport) ||
        mw_stream_output_fault(transport)) {
        return false;
    }
    mw_stream_unread(link->stream->stream, &unread);
    return unread == 0;
}

/* link:rest(seconds) → whether it can be used again; closed when not */
static int link_rest(lua_State *L) {
    struct link *link = check(L);
    double due = mw_loop_now(mw_sched_of(L)->loop) + mw_check_seconds(L, 2);
    bool rests = is_good(link) && mw_timer_set(link->timers, &link->timer, due);
    if (rests) {
        mw_task_disown(&link->resource);
        link->stream->role = &at_rest;
    } else {
        end(link);
    }
    lua_pushboolean(L, rests);
    return 1;
}

/* link:use() → stream | nil: it has closed meanwhile */
static int link_use(lua_State *L) {
    struct link *link = check(L);
    if (!is_good(link)) {
        end(link);
        return 0;
    }
    mw_timer_clear(&link->timer);
    link->stream->role = NULL;
    mw_task_own(L, &link->resource);
    lua_getiuservalue(L, 1, STREAM);
    return 1;
}

/* link:is_open(): whether it has its place still; one that has closed at rest gives it up here */
static int link_is_open(lua_State *L) {
    struct link *link = check(L);
    if (link->stream && !link->stream->stream) {
        end(link);
    }
    lua_pushboolean(L, link->own != NULL);
    return 1;
}

/* link:release() → stream: it is the running task's, and none of the pool's any more */
static int link_release(lua_State *L) {
    struct mw_l_stream *stream = leave(check(L));
    if (stream && stream->stream) {
        mw_task_disown(&stream->resource);
        mw_task_own(L, &stream->resource);
        stream->is_of_child = false;
    }
    lua_getiuservalue(L, 1, STREAM);
    return 1;
}

static int link_close(lua_State *L) {
    end(check(L));
    return 0;
}

static int link_abort(lua_State *L) {
    on_task_end(&check(L)->resource);
    return 0;
}

/* What the user values hold is collected in the same round, and is there as long as the link is. */
static int link_gc(lua_State *L) {
    struct link *link = check(L);
    if (mw_sched_of(L)->closed) {
        link->own = NULL; /* there are no tasks any more */
    }
    end(link);
    return 0;
}

static const luaL_Reg methods[] = {
    {"hold", link_hold},       {"rest", link_rest},   {"use", link_use},     {"is_open", link_is_open},
    {"release", link_release}, {"close", link_close}, {"abort", link_abort}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{"__gc", link_gc}, {"__close", link_close}, {NULL, NULL}};

void mw_l_http_link_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    lua_pushcfunction(L, link_new);
    lua_setfield(L, -2, "link");
}
