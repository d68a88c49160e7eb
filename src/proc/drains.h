/* Services that an operator has told to take no more connections. Workers keep that to
 * themselves, over reloads, too; a worker that is started anew is told again. */
#ifndef MW_PROC_DRAINS_H
#define MW_PROC_DRAINS_H

#include "proc/workers.h"

/* Zeroed by its owner; mw_drains_init before use. */
struct mw_drains {
    struct mw_list list; /* in the order in which they were given */
};

void mw_drains_init(struct mw_drains *drains);
void mw_drains_free(struct mw_drains *drains);

/* `service`, "" for all, drains, or with `undo` does no more. False when memory is out. */
bool mw_drains_note(struct mw_drains *drains, const char *service, bool undo);

/* Tells a worker what there is. */
void mw_drains_tell(const struct mw_drains *drains, struct mw_worker *worker);

#endif
