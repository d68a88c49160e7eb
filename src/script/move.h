/* Live connections that pass from one Lua state to another, its successor: the
 * socket with its unread and unsent bytes and its settings, and the plain data of
 * the checkpoint. The task that served it ends, its <close> variables run; a new
 * one begins in the successor's function `resume`. */
#ifndef MW_SCRIPT_MOVE_H
#define MW_SCRIPT_MOVE_H

#include "script/sched.h"

/* The task, of a retired state, waits. At a checkpoint it passes its connection on and is gone; without a
 * successor it is cancelled there. Elsewhere, or when the successor cannot take it, nothing happens. Whether it was
 * at one and is done with. */
bool mw_move_parked(struct mw_task *task);

/* The same for the tasks of a retired state, until `most` have moved. Their number. */
size_t mw_move_some(struct mw_sched *sched, size_t most);

#endif
