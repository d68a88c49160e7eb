/* Timers: one heap of deadlines. Deadlines are lazy: one that moves later, or
 * is cleared, costs an assignment; the heap finds out when the old moment
 * passes. Moments are seconds on the clock of the heap, fractional. */
#ifndef MW_LOOP_TIMER_H
#define MW_LOOP_TIMER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MW_TIMER_NEVER HUGE_VAL

/* Embedded by its owner, zeroed by mw_timer_init. */
struct mw_timer {
    double due;     /* the moment, MW_TIMER_NEVER when cleared */
    uint32_t place; /* 1-based place in the heap, 0 when not in it */
    void (*on_due)(struct mw_timer *timer);
};

struct mw_timers;

/* The upward speech of a heap: `on_next(context, moment)` is called when the
 * first moment became earlier, and after every run (MW_TIMER_NEVER: none). It
 * must not set or run timers. NULL when memory is out. */
struct mw_timers *mw_timers_new(void (*on_next)(void *context, double moment), void *context);

/* All timers must have been removed or be forgotten by their owners. */
void mw_timers_free(struct mw_timers *timers);

void mw_timer_init(struct mw_timer *timer, void (*on_due)(struct mw_timer *timer));

/* Sets the moment, which is not NaN; MW_TIMER_NEVER clears. False when memory
 * is out; the timer is as it was then. A timer that is in the heap and only
 * moves later, or was cleared, needs no memory. */
bool mw_timer_set(struct mw_timers *timers, struct mw_timer *timer, double due);

/* Never due until set again. The heap may still point at the timer: before its
 * memory goes, call mw_timer_remove. */
static inline void mw_timer_clear(struct mw_timer *timer) {
    timer->due = MW_TIMER_NEVER;
}

/* Takes the timer off the heap for good. */
void mw_timer_remove(struct mw_timers *timers, struct mw_timer *timer);

/* Calls on_due of every timer whose moment is not after `now`, in order of
 * moment, each cleared before its call; a timer set anew to a passed moment
 * from within waits for the next run. on_due may set, clear and remove any
 * timer and free its own; it must not run or free the heap. */
void mw_timers_run(struct mw_timers *timers, double now);

/* Timers that are in the heap and not cleared. Walks the heap: for tests and status. */
size_t mw_timers_count(const struct mw_timers *timers);

/* Whether any timer is set; stops at the first one found. Not for use within a run. */
bool mw_timers_pending(const struct mw_timers *timers);

#endif
