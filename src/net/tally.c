/* One mapping: the rows of rates, which all workers write, then a block for each worker, which only that worker writes.
 * Whoever wants the sum of places reads all blocks. A key has one counter in each row (a count-min sketch): what it has is
 * the least of the three. */
#include "net/tally.h"

#include "base/hash.h"
#include "base/shared.h"

#include <stdatomic.h>

enum { ROWS = 3, WIDTH = 65536, PAGE = 4096 };

#define NANOSECONDS 1e9
#define CENTURY 3.2e9 /* seconds */

struct block {
    _Alignas(PAGE) _Atomic uint32_t taken[ROWS][WIDTH];
};

/* `due` is when the next turn would come if all had come evenly, in nanoseconds. */
struct mw_tallies {
    struct mw_hash_key key;
    size_t size;
    int workers;
    _Alignas(PAGE) _Atomic uint64_t due[ROWS][WIDTH];
    struct block blocks[];
};

struct mw_tallies *mw_tallies_new(int workers) {
    size_t size = sizeof(struct mw_tallies) + (size_t)workers * sizeof(struct block);
    struct mw_tallies *tallies = mw_shared_map(size);
    if (!tallies) {
        return NULL;
    }
    tallies->size = size;
    tallies->workers = workers;
    if (!mw_hash_key_draw(&tallies->key)) {
        mw_shared_unmap(tallies, size);
        return NULL;
    }
    return tallies;
}

void mw_tallies_free(struct mw_tallies *tallies) {
    if (tallies) {
        mw_shared_unmap(tallies, tallies->size);
    }
}

/* What was never touched stays untouched. */
void mw_tallies_reset(struct mw_tallies *tallies, int worker) {
    _Atomic uint32_t *taken = tallies->blocks[worker - 1].taken[0];
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) {
        if (atomic_load_explicit(&taken[i], memory_order_relaxed)) {
            atomic_store_explicit(&taken[i], 0, memory_order_relaxed);
        }
    }
}

uint64_t mw_tally_key(const struct mw_tallies *tallies, const void *bytes, size_t size) {
    return mw_hash(&tallies->key, bytes, size);
}

static size_t column(uint64_t key, int row) {
    return key >> (16 * row) & (WIDTH - 1);
}

/* --- places --- */

/* Only the owner of a block writes it: no read-modify-write is needed. A count that was just raised must be seen by all
 * who raise theirs later, hence sequential consistency. */
static void change(struct mw_tallies *tallies, int worker, uint64_t key, int by) {
    struct block *own = &tallies->blocks[worker - 1];
    for (int row = 0; row < ROWS; row++) {
        _Atomic uint32_t *counter = &own->taken[row][column(key, row)];
        uint32_t count = atomic_load_explicit(counter, memory_order_relaxed);
        atomic_store(counter, count + (uint32_t)by);
    }
}

uint64_t mw_tally_count(const struct mw_tallies *tallies, uint64_t key) {
    uint64_t least = UINT64_MAX;
    for (int row = 0; row < ROWS; row++) {
        uint64_t sum = 0;
        for (int i = 0; i < tallies->workers; i++) {
            sum += atomic_load(&tallies->blocks[i].taken[row][column(key, row)]);
        }
        least = sum < least ? sum : least;
    }
    return least;
}

/* Counted first and looked at then, so that no two workers give the last place away twice. */
bool mw_tally_enter(struct mw_tallies *tallies, int worker, uint64_t key, uint64_t most) {
    change(tallies, worker, key, 1);
    if (mw_tally_count(tallies, key) > most) {
        change(tallies, worker, key, -1);
        return false;
    }
    return true;
}

void mw_tally_leave(struct mw_tallies *tallies, int worker, uint64_t key) {
    change(tallies, worker, key, -1);
}

/* --- rates --- */

/* A century is long enough. */
static uint64_t to_nanoseconds(double seconds) {
    return (uint64_t)((seconds < CENTURY ? seconds : CENTURY) * NANOSECONDS + 0.5);
}

void mw_tally_rate_init(struct mw_tally_rate *rate, double per_second, double burst) {
    rate->interval = to_nanoseconds(1 / per_second);
    rate->tolerance = to_nanoseconds((burst - 1) / per_second);
    rate->interval += rate->interval == 0;
}

/* The counter of the key that is due first, and when. */
static _Atomic uint64_t *find_least(struct mw_tallies *tallies, uint64_t key, uint64_t *due) {
    _Atomic uint64_t *least = &tallies->due[0][column(key, 0)];
    *due = atomic_load(least);
    for (int row = 1; row < ROWS; row++) {
        _Atomic uint64_t *counter = &tallies->due[row][column(key, row)];
        uint64_t time = atomic_load(counter);
        if (time < *due) {
            least = counter;
            *due = time;
        }
    }
    return least;
}

/* The other counters of a key follow: they are never behind. */
static void raise(struct mw_tallies *tallies, uint64_t key, uint64_t due) {
    for (int row = 0; row < ROWS; row++) {
        _Atomic uint64_t *counter = &tallies->due[row][column(key, row)];
        uint64_t time = atomic_load(counter);
        while (time < due && !atomic_compare_exchange_weak(counter, &time, due)) {
        }
    }
}

/* Two workers that take a turn of one key at the same instant meet at the counter that is due first. */
double mw_tally_take(struct mw_tallies *tallies, uint64_t key, const struct mw_tally_rate *rate, double now) {
    uint64_t time = to_nanoseconds(now), due, next;
    _Atomic uint64_t *counter;
    do {
        counter = find_least(tallies, key, &due);
        uint64_t base = due < time ? time : due;
        if (base - time > rate->tolerance) {
            return (double)(base - time - rate->tolerance) / NANOSECONDS;
        }
        next = base + rate->interval;
    } while (!atomic_compare_exchange_strong(counter, &due, next));
    raise(tallies, key, next);
    return 0;
}
