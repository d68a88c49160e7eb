/* What starts a process on this system, and what tells of its end. */
#ifndef MW_LOOP_CHILD_INTERNAL_H
#define MW_LOOP_CHILD_INTERNAL_H

#include "loop/child.h"

/* A process: its id and a descriptor that becomes readable when it has ended. */
struct mw_process {
    pid_t id;
    int descriptor;
};

/* Starts `path`, which is no name to be looked for any more. 0 or errno; `*folder_failed`
 * says whether it is the folder that could not be entered. */
int mw_process_start(struct mw_process *process, const struct mw_child_plan *plan, const char *path,
                     rlim_t descriptors, bool *folder_failed);

/* Takes the status of a process that has ended, whose id is free then. False when it runs. */
bool mw_process_collect(struct mw_process *process, struct mw_child_status *status);

#endif
