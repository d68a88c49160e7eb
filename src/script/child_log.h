/* What a child process writes, line by line in our log. */
#ifndef MW_SCRIPT_CHILD_LOG_H
#define MW_SCRIPT_CHILD_LOG_H

#include "script/sched.h"

#include <sys/types.h>

struct mw_child_log;

/* Logs what comes out of `fd`, which it owns from now on, until that ends or the
 * state does: the last words of a child come after the service's. NULL when memory is out; the descriptor is
 * still the caller's then. */
struct mw_child_log *mw_child_log_new(struct mw_sched *sched, int fd, const char *program);

/* The process has started: its entries name it. */
void mw_child_log_name(struct mw_child_log *log, pid_t id);

/* Closes and frees it. */
void mw_child_log_free(struct mw_child_log *log);

#endif
