/* A worker of the daemon: a process that runs every service of the config, each
 * generation in a Lua state of its own, and is told by the supervisor what to serve. */
#ifndef MW_WORKER_DAEMON_H
#define MW_WORKER_DAEMON_H

#include "base/place.h"

/* Runs until the supervisor says stop, or is gone. The exit status of the process. */
int mw_daemon_main(const struct mw_place *place);

#endif
