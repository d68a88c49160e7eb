#include "script/move.h"

#include "script/l_checkpoint.h"
#include "script/l_data.h"
#include "script/l_handler.h"
#include "script/service.h"
#include "script/task_internal.h"

#include <lauxlib.h>

struct moving {
    const struct mw_service *to;
    const struct mw_checkpoint *checkpoint;
    struct mw_l_stream *stream; /* of the new task */
    void *rider; /* on it; NULL: none */
    struct mw_task *task;       /* set on success */
};

/* Protected, in the successor: all that can fail comes before the old task is touched. */
static int prepare(lua_State *L) {
    struct moving *moving = lua_touserdata(L, 1);
    const struct mw_l_handler *handler = &moving->to->door.connect;
    const struct mw_checkpoint *checkpoint = moving->checkpoint;
    moving->stream = mw_l_stream_push(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, moving->to->resume);
    lua_pushvalue(L, -2);
    if (checkpoint->type) {
        moving->rider = checkpoint->type->push(L, checkpoint->rider);
        lua_remove(L, -2);
    }
    mw_data_push(L, checkpoint->state.bytes, checkpoint->state.size);
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->context);
    moving->task = mw_l_handler_new_task(L, handler->group, moving->stream, 3);
    return 0;
}

/* What the same turn has for the connection comes in the next, when all those that have moved in this one wait: else
 * the first of them could answer a line before the others have said that they are there. */
static bool pass(struct mw_task *task, const struct mw_service *to, const struct mw_checkpoint *checkpoint) {
    struct moving moving = {.to = to, .checkpoint = checkpoint};
    const struct mw_rider_type *type = checkpoint->type;
    void *rider = checkpoint->rider;
    mw_task_protected(to->door.connect.sched, prepare, &moving);
    if (!moving.task) {
        return false;
    }
    mw_task_unqueue(task);
    mw_l_stream_pass(task->connection, moving.stream);
    mw_stream_defer_input(moving.stream->stream);
    if (type) {
        type->pass(rider, moving.rider);
    }
    mw_task_drop(task, "moved", NULL);
    mw_task_ready(moving.task, 3);
    to->door.connect.sched->came++;
    return true;
}

bool mw_move_parked(struct mw_task *task) {
    const struct mw_service *to = task->sched->successor;
    const struct mw_checkpoint *checkpoint = mw_l_checkpoint_of(task);
    if (!checkpoint || (to && to->resume == LUA_NOREF)) {
        return false;
    }
    if (to) {
        return pass(task, to, checkpoint);
    }
    mw_task_cancel(task);
    return true;
}

/* Connections that rest between two requests, of one door. */
static size_t move_resting(struct mw_service_door *from, struct mw_service *to, size_t most) {
    struct mw_service_door *same = to ? mw_service_door_of(to, from->name) : NULL;
    return from->http ? mw_http_move_some(from->http, same ? same->http : NULL, most) : 0;
}

/* Dropping a task runs code of the script's, which may start others, but ends none
 * at once: the next one stays where it is. */
size_t mw_move_some(struct mw_sched *sched, size_t most) {
    struct mw_service *from = sched->provider;
    size_t moved = from ? move_resting(&from->door, sched->successor, most) : 0;
    for (size_t i = 0; from && i < from->door_count && moved < most; i++) {
        moved += move_resting(&from->doors[i], sched->successor, most - moved);
    }
    struct mw_list *all = &sched->service.tasks;
    for (struct mw_list *node = all->next, *next; node != all && moved < most; node = next) {
        struct mw_task *task = mw_list_owner(node, struct mw_task, sibling);
        next = node->next;
        if (task->connection && task->state == MW_TASK_WAITING) {
            moved += mw_move_parked(task);
        }
    }
    return moved;
}
