/* What the files of the store share.
 *
 * One tree holds two kinds of entries. 'k' and a key: the moment when it is gone (int64, milliseconds, 0: never) and
 * the value. 'x', such a moment (big-endian) and a key: nothing; for finding what is past its time. */
#ifndef MW_NET_STORE_INTERNAL_H
#define MW_NET_STORE_INTERNAL_H

#include "net/store.h"

#include <lmdb.h>
#include <time.h>

enum { MW_STORE_ENTRY_MOST = 1 + 8 + MW_STORE_KEY_MOST };

struct mw_store {
    struct mw_list node; /* of net->stores */
    struct mw_net *net;
    unsigned references;
    MDB_env *env;
    MDB_dbi tree;
    MDB_txn *reader; /* NULL before the first read; rests between reads */
    MDB_cursor *cursor; /* of a walk; NULL: none is under way */
    bool reading;
    size_t most; /* bytes */
    unsigned page;
    clockid_t clock;
    bool keep;
    int error; /* of the last call that has failed: LMDB's or errno */
    dev_t device; /* of the folder */
    ino_t inode;
    struct mw_timer timer;  /* of the next upkeep */
    struct mw_pool_job job; /* the upkeep */
    double pause;           /* seconds until the next one */
    int trouble, told;      /* why the last one could not save, and what the log knows; 0: it could */
    bool under_way, restless, closing;
    char folder[];
};

/* --- entries (store_entry.c) --- */

struct mw_store_entry {
    int64_t due; /* 0: never */
    struct mw_store_bytes value;
};

int64_t mw_store_now(const struct mw_store *store);

/* A moment so many seconds from now; 0 for MW_TIMER_NEVER. */
int64_t mw_store_moment(int64_t now, double seconds);

/* Of a key, in `room` of MW_STORE_ENTRY_MOST bytes. */
MDB_val mw_store_name(char *room, struct mw_store_bytes key);

/* What is there, past its time or not; valid until the transaction writes. 0, MDB_NOTFOUND or another error. */
int mw_store_find(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, struct mw_store_entry *entry);

/* Writes an entry where there was one with `before` (NULL: none). `entry->value` is not in the tree. */
int mw_store_put(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, const int64_t *before,
                 const struct mw_store_entry *entry);
int mw_store_drop(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, int64_t before);

/* Takes away up to `most` entries that are past their time; adds to `*count`. 0 or an error. */
int mw_store_sweep(const struct mw_store *store, MDB_txn *txn, int64_t now, int most, int *count);

/* The same in a transaction of its own; on any thread. */
int mw_store_sweep_once(const struct mw_store *store, int most, int *count);

size_t mw_store_used(const struct mw_store *store, MDB_txn *txn);

/* --- upkeep (store_upkeep.c): on the pool's threads, a second after a change --- */

void mw_store_upkeep_init(struct mw_store *store);
void mw_store_upkeep_soon(struct mw_store *store);
void mw_store_upkeep_end(struct mw_store *store);

/* --- what is kept over a fall of the machine (store_saved.c) --- */

/* Before the file is opened: the first one after a boot begins from what was saved. `*lock` is to be closed once it is
 * open; -1: there is none. 0 or errno. */
int mw_store_restore(const struct mw_store *store, int *lock);

/* Has the disk keep all that is there, on any thread. 0 or an error; EWOULDBLOCK unless `wait`: another process is at
 * it. */
int mw_store_save(const struct mw_store *store, bool wait);

/* Frees it; no job is under way (store.c). */
void mw_store_free(struct mw_store *store);

#endif
