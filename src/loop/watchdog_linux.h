/* Notices that a turn of the loop does not end: something blocks, or computes
 * where nobody can interrupt it. Causes no wake-ups while the loop sleeps. */
#ifndef MW_LOOP_WATCHDOG_LINUX_H
#define MW_LOOP_WATCHDOG_LINUX_H

#include "loop/loop.h"

struct mw_watchdog;

/* Looks after a loop that the calling thread runs. `on_stuck` is told how many
 * seconds the present turn has taken, as soon as those are about one, two, four,
 * and so on. It runs in a signal handler, amid what the thread does: it may
 * read what the thread has, and must change nothing. NULL when memory is out or
 * the system has no timer left. */
struct mw_watchdog *mw_watchdog_new(struct mw_loop *loop, void (*on_stuck)(void *context, double seconds),
                                    void *context);

/* The loop must still be there. */
void mw_watchdog_free(struct mw_watchdog *watchdog);

#endif
