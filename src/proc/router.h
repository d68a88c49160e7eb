/* What a worker publishes on the bus goes to all others. */
#ifndef MW_PROC_ROUTER_H
#define MW_PROC_ROUTER_H

#include "proc/workers.h"

/* Passes the bytes of a message (script/bus.h) on. A worker that does not read on misses it: nobody else waits for
 * that one. What it missed is counted, and logged once a minute. */
void mw_router_pass(struct mw_workers *workers, const struct mw_worker *from, const char *bytes, size_t size);

#endif
