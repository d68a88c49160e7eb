/* Signals as events of the loop. */
#ifndef MW_LOOP_SIGNAL_H
#define MW_LOOP_SIGNAL_H

#include "loop/loop.h"

struct mw_signal; /* one watched signal number */

/* Calls on_signal(context, number) on the loop when the signal arrived; arrivals
 * between two ticks are one call. Does not hold the loop: a program with nothing
 * else to do ends. NULL when memory is out (ENOMEM) or the number is none of
 * those below (EINVAL). Several may watch one number, all on the same loop of
 * the process. The signal is unblocked. */
struct mw_signal *mw_signal_watch(struct mw_loop *loop, int number,
                                  void (*on_signal)(void *context, int number), void *context);

/* Allowed from within on_signal. With the last watcher of a number its default
 * action returns. NULL is ignored. */
void mw_signal_unwatch(struct mw_signal *signal);

/* "term", "SIGTERM", "hup", … in any case → number; 0 when unknown or not catchable.
 * Known: hup int quit usr1 usr2 term chld winch cont tstp ttin ttou alrm. */
int mw_signal_number(const char *name);

/* The short lowercase name ("term"), or NULL. */
const char *mw_signal_name(int number);

#endif
