/* The event loop of a worker: libev, a monotonic clock that is read once a
 * tick, the timer heap behind one ev_timer, and work for the end of the tick. */
#ifndef MW_LOOP_LOOP_H
#define MW_LOOP_LOOP_H

#include "base/list.h"
#include "loop/timer.h"

#include <ev.h>
#include <stdbool.h>

struct mw_loop;
struct mw_children;

/* NULL when the kernel gives no epoll or memory is out. (libev itself aborts
 * the process with a message when it gets no memory.) */
struct mw_loop *mw_loop_new(void);

/* Every watcher of the layers above has been stopped before. */
void mw_loop_free(struct mw_loop *loop);

/* libev's own loop, for watchers of the layers above. EV_MINPRI is the loop's
 * own for prepare watchers: it sees last what a tick has left behind. */
struct ev_loop *mw_loop_ev(const struct mw_loop *loop);
struct mw_timers *mw_loop_timers(const struct mw_loop *loop);

/* The processes that were started on it; the loop's end kills those that are left. */
struct mw_children *mw_loop_children(struct mw_loop *loop);

/* Monotonic seconds as of this tick; mw_loop_update reads the clock anew. */
double mw_loop_now(const struct mw_loop *loop);
double mw_loop_update(struct mw_loop *loop);

/* Runs until mw_loop_stop, or until nothing that holds the loop is left: no
 * watcher of libev, no timer that is set, no job that was woken. A stop outside
 * of a run is forgotten. */
void mw_loop_run(struct mw_loop *loop);
void mw_loop_stop(struct mw_loop *loop);

/* Work that is left over when an event was handled, done once a tick before the
 * kernel is asked again: `run` is called with `context` in every tick in which
 * mw_loop_wake was called since. Woken from within, it runs again in the next tick,
 * after the input that is there by then. Embedded by its owner, who sets both. */
struct mw_work {
    struct mw_list node;
    struct mw_loop *loop; /* NULL: it is not added */
    void (*run)(void *context);
    void *context;
};

/* Jobs run in the order in which they were added. Any may be removed while one runs. */
void mw_loop_add_work(struct mw_loop *loop, struct mw_work *work);
void mw_loop_remove_work(struct mw_work *work); /* a zeroed one, or one that is removed already, is left alone */

/* Makes sure that the jobs run before the loop sleeps. */
void mw_loop_wake(struct mw_loop *loop);

/* Where a loop shows that it is alive, for those who look from outside, such as another
 * process: it costs a store or two a turn and wakes nobody. */
struct mw_pulse {
    volatile unsigned turns; /* of the loop, so far */
    volatile bool polling;   /* in the kernel, or about to be: it rests, and that may last */
};

/* `pulse` must outlive the loop. NULL: nobody looks. */
void mw_loop_set_pulse(struct mw_loop *loop, struct mw_pulse *pulse);

/* For those who look after the loop from a signal handler: the number of its
 * present turn, and whether it is with the kernel. */
unsigned mw_loop_turn(const struct mw_loop *loop);
bool mw_loop_is_polling(const struct mw_loop *loop);

/* Calls on_busy at the beginning of the next turn that handles events, once;
 * again after mw_loop_look_away, which a signal handler may call. NULL: never. */
void mw_loop_on_busy(struct mw_loop *loop, void (*on_busy)(void *context), void *context);
void mw_loop_look_away(struct mw_loop *loop);

#endif
