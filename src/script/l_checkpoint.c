#include "script/l_checkpoint.h"

#include "script/fault.h"
#include "script/l_data.h"
#include "script/sched.h"

#include <lauxlib.h>
#include <stdlib.h>

/* The checkpoint of the stream, made when there is none: the memory of the last one serves again. */
static struct mw_checkpoint *claim(lua_State *L, struct mw_l_stream *stream) {
    if (!stream->checkpoint) {
        stream->checkpoint = calloc(1, sizeof *stream->checkpoint);
    }
    if (!stream->checkpoint) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    stream->checkpoint->state.size = 0;
    stream->checkpoint->state.failed = false;
    return stream->checkpoint;
}

int mw_l_checkpoint_make(lua_State *L, struct mw_l_stream *stream, int index, const struct mw_rider_type *type,
                         void *rider) {
    const struct mw_task *task = mw_sched_of(L)->running;
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (!task || task != stream->task) {
        return luaL_error(L, "only the task that serves a connection makes its checkpoints");
    }
    struct mw_fault fault;
    struct mw_checkpoint *checkpoint = claim(L, stream);
    checkpoint->resumes = task->resumes - 1; /* holds for no wait, should this raise */
    if (!mw_data_encode(L, index, "state", &checkpoint->state, &fault)) {
        return luaL_error(L, "%s", fault.message);
    }
    checkpoint->resumes = task->resumes;
    checkpoint->position = mw_stream_position(stream->stream);
    checkpoint->type = type;
    checkpoint->rider = rider;
    lua_pushboolean(L, 1);
    return 1;
}

int mw_l_stream_checkpoint(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    lua_settop(L, 2);
    return mw_l_checkpoint_make(L, stream, 2, NULL, NULL);
}

bool mw_l_checkpoint_renew(struct mw_l_stream *stream, const struct mw_task *task, bool first) {
    struct mw_checkpoint *checkpoint = stream->checkpoint;
    if (!checkpoint || checkpoint->resumes != task->resumes - !first) {
        return false;
    }
    checkpoint->resumes = task->resumes;
    checkpoint->position = mw_stream_position(stream->stream);
    return true;
}

const struct mw_checkpoint *mw_l_checkpoint_of(const struct mw_task *task) {
    const struct mw_l_stream *stream = task->connection;
    const struct mw_checkpoint *checkpoint = stream ? stream->checkpoint : NULL;
    if (!checkpoint || !stream->stream || task->state != MW_TASK_WAITING || task->wait->sends) {
        return NULL;
    }
    bool is_used = stream->writer || (stream->reader && stream->reader != task);
    bool holds = checkpoint->resumes == task->resumes && checkpoint->position == mw_stream_position(stream->stream);
    return holds && !is_used && !task->cancelled ? checkpoint : NULL;
}

void mw_l_checkpoint_forget(struct mw_l_stream *stream) {
    if (stream->checkpoint) {
        mw_text_free(&stream->checkpoint->state);
        free(stream->checkpoint);
        stream->checkpoint = NULL;
    }
}
