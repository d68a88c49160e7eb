#include "loop/loop.h"

#include "loop/child.h"

#include <stdlib.h>
#include <time.h>

/* What the alarm is set to: a moment that is over rings in the next tick (libev
 * wants more than 0), and none at all is 30 years away. */
static const double SOONEST = 1e-9, FARTHEST = 1e9;

struct mw_loop {
    struct ev_loop *ev;
    struct mw_timers *timers;
    double now;   /* what mw_loop_now says */
    double tick;  /* the clock when this tick began: libev's own idea of now */
    double next;  /* the first moment of the heap */
    double armed; /* what the alarm is set to */
    ev_check head;
    ev_prepare tail;
    ev_timer alarm;
    struct mw_children children;
    ev_idle restless; /* while active, libev polls without sleeping */
    struct mw_list work; /* of mw_work */
    struct mw_list *next_work; /* while one runs: the next */
    void (*on_busy)(void *context); /* NULL: nobody looks after the loop */
    void *busy_context;
    struct mw_pulse own_pulse, *pulse;
    volatile bool unwatched; /* on_busy is wanted when a turn begins */
    bool woken, stopped;
};

static double read_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A turn without an event was caused by a signal, such as that of an alarm. */
static void on_tick_begins(struct ev_loop *ev, ev_check *head, int events) {
    (void)events;
    struct mw_loop *loop = head->data;
    loop->pulse->polling = false;
    loop->pulse->turns++;
    loop->now = loop->tick = read_clock();
    if (loop->unwatched && ev_pending_count(ev) > 0) {
        loop->unwatched = false;
        loop->on_busy(loop->busy_context);
    }
}

static void on_alarm(struct ev_loop *ev, ev_timer *alarm, int events) {
    (void)ev;
    (void)events;
    struct mw_loop *loop = alarm->data;
    loop->armed = -1; /* it has rung, so that even the same moment must be set again */
    mw_timers_run(loop->timers, loop->now);
}

static void on_next_moment(void *context, double moment) {
    struct mw_loop *loop = context;
    loop->next = moment;
}

/* Counts from the beginning of the tick, as libev does: a clock that was read
 * anew since would make the alarm ring too early. */
static void arm(struct mw_loop *loop) {
    double delay = loop->next - loop->tick;
    delay = delay < SOONEST ? SOONEST : delay;
    loop->alarm.repeat = delay > FARTHEST ? FARTHEST : delay;
    ev_timer_again(loop->ev, &loop->alarm);
    loop->armed = loop->next;
}

static void work_off(struct mw_loop *loop) {
    struct mw_list *node = loop->work.next;
    while (node != &loop->work) {
        struct mw_work *work = mw_list_owner(node, struct mw_work, node);
        loop->next_work = node->next;
        work->run(work->context);
        node = loop->next_work;
    }
}

/* The alarm is set here, once a tick, however often the first moment changed. */
static void on_tick_ends(struct ev_loop *ev, ev_prepare *tail, int events) {
    (void)events;
    struct mw_loop *loop = tail->data;
    if (loop->woken) {
        loop->woken = false;
        work_off(loop);
    }
    if (loop->woken) {
        ev_idle_start(ev, &loop->restless);
    } else {
        ev_idle_stop(ev, &loop->restless);
    }
    if (loop->next != loop->armed) {
        arm(loop);
    }
    loop->pulse->polling = true;
}

static void on_idle(struct ev_loop *ev, ev_idle *restless, int events) {
    (void)ev;
    (void)restless;
    (void)events;
}

/* The clock is read before any event is handled; timers come after input, so
 * that a late tick does not time out who has spoken; the tail comes last. */
static void start_watchers(struct mw_loop *loop) {
    ev_check_init(&loop->head, on_tick_begins);
    ev_prepare_init(&loop->tail, on_tick_ends);
    ev_timer_init(&loop->alarm, on_alarm, 0., FARTHEST);
    ev_idle_init(&loop->restless, on_idle);
    ev_set_priority(&loop->head, EV_MAXPRI);
    ev_set_priority(&loop->tail, EV_MINPRI);
    ev_set_priority(&loop->alarm, EV_MINPRI);
    loop->head.data = loop->tail.data = loop->alarm.data = loop;
    ev_check_start(loop->ev, &loop->head);
    ev_prepare_start(loop->ev, &loop->tail);
    ev_timer_again(loop->ev, &loop->alarm);
    ev_unref(loop->ev);
    ev_unref(loop->ev);
    ev_unref(loop->ev);
}

struct mw_loop *mw_loop_new(void) {
    struct mw_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        return NULL;
    }
    loop->next = loop->armed = MW_TIMER_NEVER;
    loop->pulse = &loop->own_pulse;
    mw_list_init(&loop->work);
    loop->timers = mw_timers_new(on_next_moment, loop);
    if (loop->timers) {
        loop->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK | EVFLAG_NOTIMERFD);
    }
    if (!loop->ev) {
        mw_timers_free(loop->timers);
        free(loop);
        return NULL;
    }
    loop->now = loop->tick = read_clock();
    mw_children_init(&loop->children, loop);
    start_watchers(loop);
    return loop;
}

void mw_loop_free(struct mw_loop *loop) {
    if (loop) {
        mw_children_close(&loop->children);
        ev_loop_destroy(loop->ev);
        mw_timers_free(loop->timers);
        free(loop);
    }
}

struct ev_loop *mw_loop_ev(const struct mw_loop *loop) {
    return loop->ev;
}

struct mw_timers *mw_loop_timers(const struct mw_loop *loop) {
    return loop->timers;
}

struct mw_children *mw_loop_children(struct mw_loop *loop) {
    return &loop->children;
}

double mw_loop_now(const struct mw_loop *loop) {
    return loop->now;
}

double mw_loop_update(struct mw_loop *loop) {
    return loop->now = read_clock();
}

/* The alarm itself does not hold libev's loop, because it may be set for a
 * timer that was cleared. Whether a timer still waits is looked up only when
 * nothing else is left; each tick then costs one poll more. */
void mw_loop_run(struct mw_loop *loop) {
    loop->stopped = false;
    mw_loop_update(loop);
    while (!loop->stopped) {
        ev_run(loop->ev, 0);
        if (loop->stopped || loop->woken) {
            continue;
        }
        if (!mw_timers_pending(loop->timers)) {
            return;
        }
        ev_ref(loop->ev);
        ev_run(loop->ev, EVRUN_ONCE);
        ev_unref(loop->ev);
    }
}

void mw_loop_stop(struct mw_loop *loop) {
    loop->stopped = true;
    ev_break(loop->ev, EVBREAK_ALL);
}

void mw_loop_set_pulse(struct mw_loop *loop, struct mw_pulse *pulse) {
    loop->pulse = pulse ? pulse : &loop->own_pulse;
}

unsigned mw_loop_turn(const struct mw_loop *loop) {
    return ev_iteration(loop->ev);
}

bool mw_loop_is_polling(const struct mw_loop *loop) {
    return loop->pulse->polling;
}

void mw_loop_on_busy(struct mw_loop *loop, void (*on_busy)(void *context), void *context) {
    loop->on_busy = on_busy;
    loop->busy_context = context;
    loop->unwatched = on_busy != NULL;
}

void mw_loop_look_away(struct mw_loop *loop) {
    loop->unwatched = true;
}

void mw_loop_add_work(struct mw_loop *loop, struct mw_work *work) {
    work->loop = loop;
    mw_list_append(&loop->work, &work->node);
}

void mw_loop_remove_work(struct mw_work *work) {
    if (!work->loop) {
        return;
    }
    if (work->loop->next_work == &work->node) {
        work->loop->next_work = work->node.next;
    }
    mw_list_remove(&work->node);
    work->loop = NULL;
}

void mw_loop_wake(struct mw_loop *loop) {
    loop->woken = true;
}
