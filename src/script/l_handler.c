#include "script/l_handler.h"

#include "script/l_main.h"
#include "script/task_internal.h"

/* What runs protected when a connection came. */
struct arrival {
    const struct mw_l_handler *handler;
    const struct mw_addr *peer;
    struct mw_stream *transport; /* NULL once the userdata owns it */
    struct mw_task *task;        /* set on success */
};

/* The handler may forget its connection, which is open all the same until the
 * handler returns: hence the stream is on the thread's stack below the function,
 * too, and with it the name that the log has for the task. */
struct mw_task *mw_l_handler_new_task(lua_State *L, struct mw_group *group, struct mw_l_stream *stream, int function) {
    int values = lua_gettop(L) - function + 1;
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_task *task = mw_task_new(L, sched, group);
    lua_xmove(L, task->thread, values + 1);
    mw_list_append(&task->owned, &stream->resource.node);
    task->connection = stream;
    stream->task = task;
    sched->connections++;
    return task;
}

static int start_connection(lua_State *L) {
    struct arrival *arrival = lua_touserdata(L, 1);
    const struct mw_l_handler *handler = arrival->handler;
    struct mw_l_stream *stream = mw_l_stream_push(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->function);
    lua_pushvalue(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->context);
    arrival->task = mw_l_handler_new_task(L, handler->group, stream, 3);
    mw_l_stream_hold(stream, arrival->transport, arrival->peer, handler->profile);
    stream->origin = MW_L_STREAM_ACCEPTED;
    arrival->transport = NULL;
    return 0;
}

struct mw_task *mw_l_handler_start(const struct mw_l_handler *handler, struct mw_stream *transport,
                                   const struct mw_addr *peer) {
    struct arrival arrival = {.handler = handler, .peer = peer, .transport = transport};
    mw_task_protected(handler->sched, start_connection, &arrival);
    if (arrival.transport) {
        mw_stream_close(arrival.transport, 0);
    }
    return arrival.task;
}

void mw_l_handler_count_left(struct mw_sched *sched) {
    if (--sched->connections > 0) {
        return;
    }
    if (sched->main_drains) {
        sched->main_drains = false;
        mw_task_ready(sched->main, 0);
    } else if (sched->standard) {
        mw_main_note(sched);
    }
}

void mw_l_handler_left(struct mw_task *task, bool ok) {
    struct mw_sched *sched = task->sched;
    struct mw_l_stream *stream = task->connection;
    if (stream->role) {
        stream->role->on_left(stream, task, ok);
        return;
    }
    stream->task = NULL;
    mw_l_handler_count_left(sched);
}
