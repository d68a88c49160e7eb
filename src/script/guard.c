#include "script/guard.h"

#include "base/log.h"
#include "base/rescue.h"
#include "loop/alarm_linux.h"
#include "loop/watchdog_linux.h"
#include "script/report.h"

#include <stdio.h>
#include <stdlib.h>

/* Seconds of processor time. The kernel rounds the former up to its own tick, 4 ms
 * as a rule: a task is interrupted after one or two. */
#define TICK_SECONDS 4e-3
#define UNINTERRUPTED_SECONDS 0.25 /* what code may take that cannot be interrupted */

enum { PLACES = 16 }; /* lines of the stack of a worker that is stuck */

struct mw_guard {
    struct mw_alarm ticker;
    struct mw_watchdog *watchdog;
    struct mw_loop *loop;
    struct mw_sched *volatile first; /* of the states, linked by next_guarded */
};

static const char RAISED = 'r'; /* its address is the registry key of the message that was raised last */

/* --- the hook --- */

static int end_it(lua_State *L, lua_Debug *level) {
    lua_getinfo(L, "Sl", level);
    lua_pushfstring(L, "%s:%d: used the processor for %f s where nothing can interrupt it: in a function that C "
                       "called, such as a metamethod, or a module that is being required",
                    level->short_src, level->currentline, UNINTERRUPTED_SECONDS);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &RAISED);
    return lua_error(L);
}

bool mw_guard_raised(lua_State *L, int index) {
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RAISED);
    bool same = lua_type(L, -1) == LUA_TSTRING && lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}

/* What code that cannot be interrupted may use: no more than other code. */
static double limit_of(const struct mw_sched *sched) {
    bool unlimited = sched->preempt.cpu_limit == MW_TIMER_NEVER && !sched->closed;
    return unlimited || mw_preempt_is_alone(sched) ? MW_TIMER_NEVER : UNINTERRUPTED_SECONDS;
}

/* The thread's coroutines can be left by a yield only if all of them can: the
 * task of a thread is the root when they cannot (see l_coroutine). After a raise
 * the hook stays, so that the next instruction raises, too: a pcall does not help. */
static void on_hook(lua_State *L, lua_Debug *level) {
    struct mw_sched *sched = mw_sched_of(L);
    double used = mw_preempt_used(sched, sched->running);
    lua_sethook(L, NULL, 0, 0);
    if (used == 0 && !(sched->running && mw_quota_is_over(sched->running))) {
        return; /* the hook was meant for what ran before, or inherited from the thread that made this one */
    }
    if (mw_task_may_wait(L)) {
        sched->preempt.interrupted = true;
        lua_yield(L, 0);
    } else if (used >= limit_of(sched)) {
        if (sched->running) {
            sched->running->hookless = true;
        }
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
        end_it(L, level);
    }
}

lua_State *mw_guard_thread(const struct mw_sched *sched) {
    if (sched->innermost) {
        return sched->innermost;
    }
    return sched->running ? sched->running->thread : sched->L;
}

/* Setting a hook visits every call on the stack, of which there may be 200,000. */
void mw_guard_interrupt(struct mw_sched *sched) {
    lua_State *L = mw_guard_thread(sched);
    if (lua_gethookmask(L) == 0) {
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    }
}

/* --- the ticker, in a signal handler --- */

static void watch(struct mw_sched *sched, unsigned turn) {
    struct mw_preempt *preempt = &sched->preempt;
    if (preempt->seen == sched->running && preempt->turn == turn) {
        /* What is in no task cannot be interrupted, only be ended. */
        if (sched->running || mw_preempt_used(sched, NULL) >= UNINTERRUPTED_SECONDS) {
            mw_guard_interrupt(sched);
        }
        return;
    }
    preempt->seen = sched->running;
    preempt->turn = turn;
    preempt->since = mw_alarm_now(MW_ALARM_COMPUTING);
    preempt->seen_at = mw_alarm_now(MW_ALARM_WALL);
}

static void on_tick(struct mw_alarm *alarm) {
    struct mw_guard *guard = mw_list_owner(alarm, struct mw_guard, ticker);
    unsigned turn = mw_loop_turn(guard->loop);
    for (struct mw_sched *sched = guard->first; sched; sched = sched->next_guarded) {
        watch(sched, turn);
    }
}

/* --- stuck, in a signal handler --- */

static size_t add_place(char *text, size_t size, const lua_Debug *level) {
    const char *name = level->name ? level->name : *level->what == 'm' ? "main chunk" : "?";
    int length = level->currentline > 0
                     ? snprintf(text, size, "%s:%d: in %s\n", level->short_src, level->currentline, name)
                     : snprintf(text, size, "%s: in %s\n", level->short_src, name);
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

struct places {
    lua_State *L;
    size_t used; /* of text */
    char text[MW_LOG_VALUE_MAX];
};

static void add_stack(void *context) {
    struct places *places = context;
    lua_Debug level;
    for (int number = 0; number < PLACES && lua_getstack(places->L, number, &level); number++) {
        lua_getinfo(places->L, "Sln", &level);
        places->used += add_place(places->text + places->used, sizeof places->text - places->used, &level);
    }
}

/* What Lua's stack says of a thread that is amid a C function is true. A signal that comes amid a call, a return or
 * the stack's growth finds half of it, and may find what is no memory any more. */
static void on_stuck(void *context, double seconds) {
    const struct mw_guard *guard = context;
    for (const struct mw_sched *sched = guard->first; sched; sched = sched->next_guarded) {
        struct mw_report_context report;
        struct places places = {.L = mw_guard_thread(sched)};
        char message[80];
        if (!sched->running && guard->first->next_guarded) {
            continue; /* one of several, and not the one */
        }
        mw_report_context(&report, sched, sched->running);
        mw_rescue(add_stack, &places);
        if (places.used > 0) {
            report.fields[report.count++] =
                (struct mw_log_field){.key = "traceback", .value = places.text, .length = places.used - 1};
        }
        int length = snprintf(message, sizeof message, "nothing else has run for %.0f s: stuck", seconds);
        mw_log_write(MW_LOG_WARN, message, (size_t)length, report.fields, report.count);
    }
}

/* --- its life --- */

/* The list is always whole, so that a tick may come amid these. */
void mw_guard_add(struct mw_guard *guard, struct mw_sched *sched) {
    sched->guard = guard;
    sched->next_guarded = guard->first;
    guard->first = sched;
}

void mw_guard_forget(struct mw_guard *guard, struct mw_sched *sched) {
    if (guard->first == sched) {
        guard->first = sched->next_guarded;
        return;
    }
    struct mw_sched *before = guard->first;
    while (before->next_guarded != sched) {
        before = before->next_guarded;
    }
    before->next_guarded = sched->next_guarded;
}

struct mw_guard *mw_guard_new(struct mw_loop *loop) {
    struct mw_guard *guard = calloc(1, sizeof *guard);
    if (!guard) {
        return NULL;
    }
    guard->loop = loop;
    if (!mw_alarm_init(&guard->ticker, MW_ALARM_COMPUTING, on_tick)) {
        free(guard);
        return NULL;
    }
    guard->watchdog = mw_watchdog_new(loop, on_stuck, guard);
    if (!guard->watchdog) {
        mw_alarm_remove(&guard->ticker);
        free(guard);
        return NULL;
    }
    mw_alarm_set(&guard->ticker, TICK_SECONDS);
    return guard;
}

void mw_guard_free(struct mw_guard *guard) {
    if (guard) {
        mw_watchdog_free(guard->watchdog);
        mw_alarm_remove(&guard->ticker);
        free(guard);
    }
}
