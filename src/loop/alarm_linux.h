/* Alarms that interrupt the thread which set them, whatever it does: by a signal
 * of the system's, aimed at that thread. For looking after code that does not
 * come back to the loop; everything else uses timers. */
#ifndef MW_LOOP_ALARM_LINUX_H
#define MW_LOOP_ALARM_LINUX_H

#include <stdbool.h>
#include <time.h>

enum mw_alarm_clock {
    MW_ALARM_COMPUTING, /* goes on while the thread uses the processor, at the pace of the kernel's own tick */
    MW_ALARM_WALL,      /* always goes on */
};

/* Seconds on that clock, from the calling thread. */
double mw_alarm_now(enum mw_alarm_clock clock);

struct mw_alarm {
    /* Runs in a signal handler: may call async-signal-safe functions only. */
    void (*ring)(struct mw_alarm *alarm);
    timer_t timer;
};

/* Makes an alarm for the calling thread, in place; it does not ring yet. False
 * when the system has no timer left. */
bool mw_alarm_init(struct mw_alarm *alarm, enum mw_alarm_clock clock, void (*ring)(struct mw_alarm *alarm));

/* Rings every `seconds` from now on; 0: not any more. May be called from `ring`. */
void mw_alarm_set(struct mw_alarm *alarm, double seconds);

/* No call of `ring` comes after this. */
void mw_alarm_remove(struct mw_alarm *alarm);

#endif
