/* Checkpoints: where a connection can be taken from the task that serves it, and
 * be given to a task of a newer generation, with plain data that says where it
 * stands. A checkpoint holds during the next wait of the task, and only as long as
 * nothing was taken from the connection: what was read is not lost, and nothing
 * is done twice. */
#ifndef MW_SCRIPT_L_CHECKPOINT_H
#define MW_SCRIPT_L_CHECKPOINT_H

#include "base/text.h"
#include "script/l_stream.h"

/* What has a connection to itself and moves with it: a WebSocket. */
struct mw_rider_type {
    /* Protected, in the new state: pushes on top of the new stream what `resume` gets in its place, and returns it. */
    void *(*push)(lua_State *L, const void *rider);
    /* Nothing can fail any more: hands over what `from` holds. The transport has changed hands. */
    void (*pass)(void *from, void *to);
};

struct mw_checkpoint {
    const struct mw_rider_type *type; /* NULL: the connection has no rider */
    void *rider;
    struct mw_text state; /* the data, encoded (proto/message.h) */
    uint64_t position;    /* of the connection when it was made */
    uint32_t resumes;     /* of the task */
};

/* stream:checkpoint(state) → true | nil, "closed", "closed" */
int mw_l_stream_checkpoint(lua_State *L);

/* The same for a stream with the state at `index`, and what rides on it (`type` NULL: nothing). Its results. */
int mw_l_checkpoint_make(lua_State *L, struct mw_l_stream *stream, int index, const struct mw_rider_type *type,
                         void *rider);

/* The task is about to wait, `first` or once more in the wait that the checkpoint was made for: whatever the rider has
 * taken meanwhile, it stands where it stood. False when the checkpoint was for another wait. */
bool mw_l_checkpoint_renew(struct mw_l_stream *stream, const struct mw_task *task, bool first);

/* The checkpoint that the task is parked at; NULL: it is at none now. */
const struct mw_checkpoint *mw_l_checkpoint_of(const struct mw_task *task);

/* Frees what the stream has. */
void mw_l_checkpoint_forget(struct mw_l_stream *stream);

#endif
