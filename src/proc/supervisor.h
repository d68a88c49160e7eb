/* The supervisor: the process that owns listening sockets, the control socket,
 * signals and generations, and starts all others. It never has a Lua state: config
 * and scripts are judged by a probe, and run by workers; both are children whose
 * main functions it is given. */
#ifndef MW_PROC_SUPERVISOR_H
#define MW_PROC_SUPERVISOR_H

#include "base/place.h"

#include <stdbool.h>

struct mw_supervisor_options {
    const char *version; /* of the program */
    const char *config;  /* path */
    bool watch;         /* reload when a file that was read is saved */
    /* In a child: reads config and scripts, of one service alone unless `service` is NULL, and sends MW_ORDER_PROBED over
     * the descriptor. Its exit status. */
    int (*probe_main)(const char *config, const char *service, int channel);
    /* In a child: runs services until told to stop. Its exit status. */
    int (*worker_main)(const struct mw_place *place);
};

/* Runs until told to stop. The exit status of the process: 0, or 1 after a fault, which is in the log. */
int mw_supervisor_run(const struct mw_supervisor_options *options);

#endif
