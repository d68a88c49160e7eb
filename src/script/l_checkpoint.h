/* Checkpoints: where a connection can be taken from the task that serves it, and
 * be given to a task of a newer generation, with plain data that says where it
 * stands. A checkpoint holds during the next wait of the task, and only as long as
 * nothing was taken from the connection: what was read is not lost, and nothing
 * is done twice. */
#ifndef MW_SCRIPT_L_CHECKPOINT_H
#define MW_SCRIPT_L_CHECKPOINT_H

#include "base/text.h"
#include "script/l_stream.h"

struct mw_checkpoint {
    struct mw_text state; /* the data, encoded (proto/message.h) */
    uint64_t position;    /* of the connection when it was made */
    uint32_t resumes;     /* of the task */
};

/* stream:checkpoint(state) → true | nil, "closed", "closed" */
int mw_l_stream_checkpoint(lua_State *L);

/* The checkpoint that the task is parked at; NULL: it is at none now. */
const struct mw_checkpoint *mw_l_checkpoint_of(const struct mw_task *task);

/* Frees what the stream has. */
void mw_l_checkpoint_forget(struct mw_l_stream *stream);

#endif
