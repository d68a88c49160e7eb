#include "loop/watchdog_linux.h"

#include "base/list.h"
#include "loop/alarm_linux.h"

#include <stdlib.h>

#define LOOK_SECONDS 0.5 /* how often it looks while the loop is busy */

struct mw_watchdog {
    struct mw_alarm alarm;
    struct mw_loop *loop;
    void (*on_stuck)(void *context, double seconds);
    void *context;
    unsigned turn;  /* that the last look found */
    unsigned looks; /* that found the same turn still being worked on */
};

static bool is_power_of_two(unsigned number) {
    return (number & (number - 1)) == 0;
}

enum { OWN_TURNS = 2 }; /* that a look causes itself, by its signal, at most */

/* In a signal handler. A loop that has slept since the last look is left alone
 * until it is busy again. */
static void look(struct mw_alarm *alarm) {
    struct mw_watchdog *watchdog = mw_list_owner(alarm, struct mw_watchdog, alarm);
    unsigned turn = mw_loop_turn(watchdog->loop), turns = turn - watchdog->turn;
    if (turns <= OWN_TURNS && mw_loop_is_polling(watchdog->loop)) {
        mw_alarm_set(alarm, 0);
        mw_loop_look_away(watchdog->loop);
    } else if (turns > 0) {
        watchdog->turn = turn;
        watchdog->looks = 0;
    } else if (++watchdog->looks > 1 && is_power_of_two(watchdog->looks)) {
        watchdog->on_stuck(watchdog->context, watchdog->looks * LOOK_SECONDS);
    }
}

static void on_busy(void *context) {
    struct mw_watchdog *watchdog = context;
    watchdog->turn = mw_loop_turn(watchdog->loop);
    watchdog->looks = 0;
    mw_alarm_set(&watchdog->alarm, LOOK_SECONDS);
}

struct mw_watchdog *mw_watchdog_new(struct mw_loop *loop, void (*on_stuck)(void *context, double seconds),
                                    void *context) {
    struct mw_watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (!watchdog) {
        return NULL;
    }
    watchdog->loop = loop;
    watchdog->on_stuck = on_stuck;
    watchdog->context = context;
    if (!mw_alarm_init(&watchdog->alarm, MW_ALARM_WALL, look)) {
        free(watchdog);
        return NULL;
    }
    mw_loop_on_busy(loop, on_busy, watchdog);
    mw_alarm_set(&watchdog->alarm, LOOK_SECONDS);
    return watchdog;
}

void mw_watchdog_free(struct mw_watchdog *watchdog) {
    if (watchdog) {
        mw_loop_on_busy(watchdog->loop, NULL, NULL);
        mw_alarm_remove(&watchdog->alarm);
        free(watchdog);
    }
}
