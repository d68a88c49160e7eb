#include "loop/timer.h"

#include <stdlib.h>

/* Four children a node: a shallower heap, and the children share a cache line. */
enum { CHILDREN = 4, FIRST_CAPACITY = 64 };

/* In `place`: the timer waits in `late`, its 1-based place there is in the other bits. */
static const uint32_t LATE = UINT32_C(1) << 31;

/* `at` is never after the timer's due moment: the heap looks at the timer then. */
struct entry {
    double at;
    struct mw_timer *timer;
};

struct mw_timers {
    struct entry *heap;
    uint32_t count, capacity; /* the heap has room for all of `late` besides its own */
    struct mw_timer **late;   /* set during this run to a moment that is over */
    uint32_t late_count, late_capacity;
    bool running;
    double now; /* of the run that is going on */
    void (*on_next)(void *context, double moment);
    void *context;
};

struct mw_timers *mw_timers_new(void (*on_next)(void *context, double moment), void *context) {
    struct mw_timers *timers = calloc(1, sizeof *timers);
    if (timers) {
        timers->on_next = on_next;
        timers->context = context;
    }
    return timers;
}

void mw_timers_free(struct mw_timers *timers) {
    if (timers) {
        free(timers->heap);
        free(timers->late);
        free(timers);
    }
}

void mw_timer_init(struct mw_timer *timer, void (*on_due)(struct mw_timer *timer)) {
    timer->due = MW_TIMER_NEVER;
    timer->place = 0;
    timer->on_due = on_due;
}

/* Room for one item more; the items as they are now, NULL when memory is out. */
static void *with_room(void *items, uint32_t needed, uint32_t *capacity, size_t size) {
    if (needed <= *capacity) {
        return items;
    }
    uint32_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    if (needed >= LATE || larger > SIZE_MAX / size) {
        return NULL;
    }
    void *moved = realloc(items, larger * size);
    if (moved) {
        *capacity = larger;
    }
    return moved;
}

static bool reserve_heap(struct mw_timers *timers) {
    uint32_t needed = timers->count + timers->late_count + 1;
    struct entry *heap = with_room(timers->heap, needed, &timers->capacity, sizeof *heap);
    if (!heap) {
        return false;
    }
    timers->heap = heap;
    return true;
}

static bool reserve_late(struct mw_timers *timers) {
    struct mw_timer **late =
        with_room(timers->late, timers->late_count + 1, &timers->late_capacity, sizeof(void *));
    if (!late) {
        return false;
    }
    timers->late = late;
    return true;
}

static double first_moment(const struct mw_timers *timers) {
    return timers->count > 0 ? timers->heap[0].at : MW_TIMER_NEVER;
}

static void put(struct mw_timers *timers, uint32_t index, struct entry entry) {
    timers->heap[index] = entry;
    entry.timer->place = index + 1;
}

static void sift_up(struct mw_timers *timers, uint32_t index, struct entry entry) {
    while (index > 0) {
        uint32_t parent = (index - 1) / CHILDREN;
        if (timers->heap[parent].at <= entry.at) {
            break;
        }
        put(timers, index, timers->heap[parent]);
        index = parent;
    }
    put(timers, index, entry);
}

static uint32_t earliest_child(const struct mw_timers *timers, uint32_t first) {
    uint32_t end = timers->count - first < CHILDREN ? timers->count : first + CHILDREN;
    uint32_t best = first;
    for (uint32_t child = first + 1; child < end; child++) {
        if (timers->heap[child].at < timers->heap[best].at) {
            best = child;
        }
    }
    return best;
}

static void sift_down(struct mw_timers *timers, uint32_t index, struct entry entry) {
    while (index < (timers->count + CHILDREN - 2) / CHILDREN) {
        uint32_t child = earliest_child(timers, index * CHILDREN + 1);
        if (timers->heap[child].at >= entry.at) {
            break;
        }
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, entry);
}

static void heap_remove(struct mw_timers *timers, uint32_t index) {
    timers->heap[index].timer->place = 0;
    struct entry last = timers->heap[--timers->count];
    if (index == timers->count) {
        return;
    }
    if (index > 0 && last.at < timers->heap[(index - 1) / CHILDREN].at) {
        sift_up(timers, index, last);
    } else {
        sift_down(timers, index, last);
    }
}

static void late_remove(struct mw_timers *timers, uint32_t index) {
    struct mw_timer *last = timers->late[--timers->late_count];
    timers->late[index]->place = 0;
    if (index != timers->late_count) {
        timers->late[index] = last;
        last->place = LATE | (index + 1);
    }
}

/* Keeps the timer out of the heap until the run is over. */
static bool set_late(struct mw_timers *timers, struct mw_timer *timer, double due) {
    if (!(timer->place & LATE)) {
        if (!reserve_heap(timers) || !reserve_late(timers)) {
            return false;
        }
        if (timer->place) {
            heap_remove(timers, timer->place - 1);
        }
        timers->late[timers->late_count++] = timer;
        timer->place = LATE | timers->late_count;
    }
    timer->due = due;
    return true;
}

static bool insert(struct mw_timers *timers, struct mw_timer *timer, double due) {
    if (!reserve_heap(timers)) {
        return false;
    }
    sift_up(timers, timers->count++, (struct entry){due, timer});
    return true;
}

/* For a timer that is in the heap, or in none, with a moment that lies ahead of the run. */
static bool set_in_heap(struct mw_timers *timers, struct mw_timer *timer, double due) {
    double before = first_moment(timers);
    if (!timer->place) {
        if (due < MW_TIMER_NEVER && !insert(timers, timer, due)) {
            return false;
        }
    } else if (due < timers->heap[timer->place - 1].at) {
        sift_up(timers, timer->place - 1, (struct entry){due, timer});
    }
    timer->due = due;
    if (first_moment(timers) < before && !timers->running) {
        timers->on_next(timers->context, due);
    }
    return true;
}

bool mw_timer_set(struct mw_timers *timers, struct mw_timer *timer, double due) {
    if (timers->running && due <= timers->now) {
        return set_late(timers, timer, due);
    }
    /* What is not before the due moment is not before the queued one either. */
    if (timer->place && (due >= timer->due || (timer->place & LATE))) {
        timer->due = due;
        return true;
    }
    return set_in_heap(timers, timer, due);
}

void mw_timer_remove(struct mw_timers *timers, struct mw_timer *timer) {
    if (timer->place & LATE) {
        late_remove(timers, (timer->place & ~LATE) - 1);
    } else if (timer->place) {
        heap_remove(timers, timer->place - 1);
    }
    timer->due = MW_TIMER_NEVER;
}

/* The first entry came up before its timer is due: queues it for the real moment. */
static void requeue_first(struct mw_timers *timers) {
    struct mw_timer *timer = timers->heap[0].timer;
    if (timer->due < MW_TIMER_NEVER) {
        sift_down(timers, 0, (struct entry){timer->due, timer});
    } else {
        heap_remove(timers, 0);
    }
}

static void fire_first(struct mw_timers *timers) {
    struct mw_timer *timer = timers->heap[0].timer;
    heap_remove(timers, 0);
    timer->due = MW_TIMER_NEVER;
    timer->on_due(timer);
}

/* Takes over what was set during the run; reserve_heap has made the room. */
static void admit_late(struct mw_timers *timers) {
    while (timers->late_count > 0) {
        struct mw_timer *timer = timers->late[--timers->late_count];
        timer->place = 0;
        if (timer->due < MW_TIMER_NEVER) {
            sift_up(timers, timers->count++, (struct entry){timer->due, timer});
        }
    }
}

void mw_timers_run(struct mw_timers *timers, double now) {
    timers->running = true;
    timers->now = now;
    while (timers->count > 0 && timers->heap[0].at <= now) {
        if (timers->heap[0].timer->due > timers->heap[0].at) {
            requeue_first(timers);
        } else {
            fire_first(timers);
        }
    }
    timers->running = false;
    admit_late(timers);
    timers->on_next(timers->context, first_moment(timers));
}

size_t mw_timers_count(const struct mw_timers *timers) {
    size_t count = 0;
    for (uint32_t i = 0; i < timers->count; i++) {
        count += timers->heap[i].timer->due < MW_TIMER_NEVER;
    }
    for (uint32_t i = 0; i < timers->late_count; i++) {
        count += timers->late[i]->due < MW_TIMER_NEVER;
    }
    return count;
}

bool mw_timers_pending(const struct mw_timers *timers) {
    for (uint32_t i = 0; i < timers->count; i++) {
        if (timers->heap[i].timer->due < MW_TIMER_NEVER) {
            return true;
        }
    }
    return false;
}
