/* How much of something each of many has: places that are taken, and turns at a rate. In memory of fixed size that all
 * workers share, so that a flood from many costs none.
 *
 * Whoever is counted is a key, a keyed hash of what it is. Keys share their counters, three each: one may seem to have
 * more than it has, never less. The odds that it does, among n other keys in use, are (1 - e^(-n / 65536))^3: 0.3 % at
 * 10,000. Who cannot read our memory cannot choose with whom. */
#ifndef MW_NET_TALLY_H
#define MW_NET_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mw_tallies;

/* In shared memory: made before the processes are forked that are to share it. NULL and errno. */
struct mw_tallies *mw_tallies_new(int workers);
void mw_tallies_free(struct mw_tallies *tallies); /* in this process; NULL is allowed */

/* That worker, from 1, has died: what it held is free. */
void mw_tallies_reset(struct mw_tallies *tallies, int worker);

/* The key of what these bytes say. */
uint64_t mw_tally_key(const struct mw_tallies *tallies, const void *bytes, size_t size);

/* Takes one of `most` places of the key for that worker. There are never more; of two that come to two workers at the
 * same instant for the last one, both may be refused. */
bool mw_tally_enter(struct mw_tallies *tallies, int worker, uint64_t key, uint64_t most);
void mw_tally_leave(struct mw_tallies *tallies, int worker, uint64_t key);

/* How many places of the key are taken, in all workers. */
uint64_t mw_tally_count(const struct mw_tallies *tallies, uint64_t key);

/* So many turns a second, evenly, of which some may be taken at once (the generic cell rate algorithm). */
struct mw_tally_rate {
    uint64_t interval, tolerance; /* nanoseconds between two turns; that one may come too early */
};

/* `per_second` above 0, `burst` 1 or more. */
void mw_tally_rate_init(struct mw_tally_rate *rate, double per_second, double burst);

/* Takes a turn of the key. `now`: seconds on the clock that does not jump. 0 when it was taken; else nothing was, and it is
 * how many seconds later one could be. A key has one rate, always the same. */
double mw_tally_take(struct mw_tallies *tallies, uint64_t key, const struct mw_tally_rate *rate, double now);

#endif
