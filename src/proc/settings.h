/* What the config says of the daemon as a whole. */
#ifndef MW_PROC_SETTINGS_H
#define MW_PROC_SETTINGS_H

#include "base/log.h"
#include "proto/message.h"

#include <limits.h>

enum { MW_WORKERS_MOST = 256, MW_BUDGET_MOST = 1000, MW_USER_NAME = 64 };

struct mw_settings {
    int workers;           /* 1 to MW_WORKERS_MOST */
    double drain;          /* seconds that connections of an old generation, or of all at the end, may take */
    double stuck;          /* seconds that a loop may stand still */
    double reload_timeout; /* seconds that the workers may take for a new generation */
    int budget;            /* so many ends of a worker within `within` seconds are too many */
    double within, most;   /* `most`: the longest rest before it is started again, seconds */
    bool processes;        /* some service may start programs */
    char control[PATH_MAX]; /* path of the control socket; "": none */
    char store[PATH_MAX];   /* URL of the default store */
    char user[MW_USER_NAME], group[MW_USER_NAME]; /* "": none */
    int log_level; /* enum mw_log_level */
    bool log_json;
    char log_to[PATH_MAX]; /* as mw_log_open_to takes it */
};

/* From the table "daemon" of a plan; what is not there has its default. */
void mw_settings_read(struct mw_settings *settings, const struct mw_value *daemon);

#endif
