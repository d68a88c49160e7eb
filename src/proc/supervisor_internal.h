/* The supervisor's parts, for those files that give it its commands. */
#ifndef MW_PROC_SUPERVISOR_INTERNAL_H
#define MW_PROC_SUPERVISOR_INTERNAL_H

#include "loop/signal.h"
#include "net/net.h"
#include "proc/asking.h"
#include "proc/control.h"
#include "proc/drains.h"
#include "proc/generation.h"
#include "proc/probe.h"
#include "proc/renewal.h"
#include "proc/store_folder.h"
#include "proc/supervisor.h"
#include "proc/systemd.h"
#include "proc/watch.h"

enum mw_supervisor_state { MW_SUPERVISOR_BOOTING, MW_SUPERVISOR_RUNNING, MW_SUPERVISOR_STOPPING };

enum { MW_SUPERVISOR_SIGNALS = 4 };

struct mw_supervisor {
    const struct mw_supervisor_options *options;
    enum mw_supervisor_state state;
    int status; /* of the process, at its end */
    double began;
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_systemd *systemd;
    struct mw_signal *signals[MW_SUPERVISOR_SIGNALS];
    struct mw_settings settings;
    struct mw_store_folder *store; /* where the store is; NULL: not known yet */
    struct mw_probe *probe; /* the first */
    struct mw_sockets *sockets;
    struct mw_workers *workers;
    struct mw_asking *asking;
    struct mw_generations *generations;
    struct mw_renewal *renewal; /* of certificates */
    struct mw_control *control; /* NULL: none */
    struct mw_watch *watch;     /* NULL: nobody wants it */
    struct mw_timer limit;      /* of the drain at the end */
    struct mw_timer alive;      /* the next sign of life to systemd */
    struct {
        unsigned done, failed;
        char last_error[MW_PLAN_FAULT];
    } reloads;
    int64_t generation;
    struct mw_drains drains;
};

/* Begins to stop; at once when `now`, or when it stops already. */
void mw_supervisor_stop(struct mw_supervisor *supervisor, bool now);

/* The log goes elsewhere: tells the workers, which get a file open, because they may not have the right to open it. */
void mw_supervisor_move_log(struct mw_supervisor *supervisor);

/* Opens its file anew, everywhere. */
void mw_supervisor_reopen_log(struct mw_supervisor *supervisor);

/* The level of the log, of all processes. */
void mw_supervisor_set_log_level(struct mw_supervisor *supervisor, enum mw_log_level level);

#endif
