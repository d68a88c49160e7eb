#include "net/store_internal.h"

#include <endian.h>
#include <string.h>

enum { KEYS = 'k', MOMENTS = 'x' };

static const double YEARS_SECONDS = 1e12; /* longer is for ever */

int64_t mw_store_now(const struct mw_store *store) {
    struct timespec time = {0};
    clock_gettime(store->clock, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Not earlier than asked for. */
int64_t mw_store_moment(int64_t now, double seconds) {
    return seconds < YEARS_SECONDS ? now + (int64_t)(seconds * 1000 + 0.999) : 0;
}

MDB_val mw_store_name(char *room, struct mw_store_bytes key) {
    room[0] = KEYS;
    memcpy(room + 1, key.bytes, key.size);
    return (MDB_val){.mv_size = 1 + key.size, .mv_data = room};
}

static MDB_val name_of_moment(char *room, int64_t due, struct mw_store_bytes key) {
    uint64_t moment = htobe64((uint64_t)due);
    room[0] = MOMENTS;
    memcpy(room + 1, &moment, sizeof moment);
    memcpy(room + 1 + sizeof moment, key.bytes, key.size);
    return (MDB_val){.mv_size = 1 + sizeof moment + key.size, .mv_data = room};
}

int mw_store_find(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, struct mw_store_entry *entry) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = mw_store_name(room, key), found;
    int error = mdb_get(txn, store->tree, &name, &found);
    if (error) {
        return error;
    }
    if (found.mv_size < sizeof entry->due) {
        return MDB_CORRUPTED;
    }
    memcpy(&entry->due, found.mv_data, sizeof entry->due);
    entry->value = (struct mw_store_bytes){.bytes = (const char *)found.mv_data + sizeof entry->due,
                                           .size = found.mv_size - sizeof entry->due};
    return 0;
}

static int set_moment(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, int64_t due) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = name_of_moment(room, due, key), nothing = {.mv_size = 0, .mv_data = room};
    return due ? mdb_put(txn, store->tree, &name, &nothing, 0) : 0;
}

static int forget_moment(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, int64_t due) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = name_of_moment(room, due, key);
    int error = due ? mdb_del(txn, store->tree, &name, NULL) : 0;
    return error == MDB_NOTFOUND ? 0 : error;
}

int mw_store_put(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, const int64_t *before,
                 const struct mw_store_entry *entry) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = mw_store_name(room, key), data = {.mv_size = sizeof entry->due + entry->value.size, .mv_data = NULL};
    int error = mdb_put(txn, store->tree, &name, &data, MDB_RESERVE);
    if (error) {
        return error;
    }
    memcpy(data.mv_data, &entry->due, sizeof entry->due);
    memcpy((char *)data.mv_data + sizeof entry->due, entry->value.bytes, entry->value.size);
    if (before && *before == entry->due) {
        return 0;
    }
    error = before ? forget_moment(store, txn, key, *before) : 0;
    return error ? error : set_moment(store, txn, key, entry->due);
}

int mw_store_drop(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, int64_t before) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = mw_store_name(room, key);
    int error = mdb_del(txn, store->tree, &name, NULL);
    return error ? error : forget_moment(store, txn, key, before);
}

/* The first moment, if it has passed: its key is copied into `room`. MDB_NOTFOUND: none has. */
static int first_past(MDB_cursor *cursor, int64_t now, char *room, struct mw_store_bytes *key, int64_t *due) {
    MDB_val name = {.mv_size = 1, .mv_data = (char[]){MOMENTS}}, data;
    uint64_t moment;
    int error = mdb_cursor_get(cursor, &name, &data, MDB_SET_RANGE);
    if (error) {
        return error;
    }
    const char *bytes = name.mv_data;
    if (bytes[0] != MOMENTS || name.mv_size <= 1 + sizeof moment || name.mv_size > MW_STORE_ENTRY_MOST) {
        return MDB_NOTFOUND;
    }
    memcpy(&moment, bytes + 1, sizeof moment);
    *due = (int64_t)be64toh(moment);
    *key = (struct mw_store_bytes){.bytes = room, .size = name.mv_size - 1 - sizeof moment};
    memcpy(room, bytes + 1 + sizeof moment, key->size);
    return *due <= now ? 0 : MDB_NOTFOUND;
}

/* An entry that was written anew since has another moment. */
static int drop_past(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, int64_t due) {
    struct mw_store_entry entry;
    int error = mw_store_find(store, txn, key, &entry);
    if (error == MDB_NOTFOUND || (!error && entry.due != due)) {
        return forget_moment(store, txn, key, due);
    }
    return error ? error : mw_store_drop(store, txn, key, due);
}

int mw_store_sweep(const struct mw_store *store, MDB_txn *txn, int64_t now, int most, int *count) {
    char room[MW_STORE_ENTRY_MOST];
    struct mw_store_bytes key;
    int64_t due;
    MDB_cursor *cursor;
    int error = mdb_cursor_open(txn, store->tree, &cursor);
    if (error) {
        return error;
    }
    for (int i = 0; !error && i < most; i++) {
        error = first_past(cursor, now, room, &key, &due);
        if (!error) {
            error = drop_past(store, txn, key, due);
            ++*count;
        }
    }
    mdb_cursor_close(cursor);
    return error == MDB_NOTFOUND ? 0 : error;
}

int mw_store_sweep_once(const struct mw_store *store, int most, int *count) {
    MDB_txn *txn;
    *count = 0;
    int error = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (error) {
        return error;
    }
    error = mw_store_sweep(store, txn, mw_store_now(store), most, count);
    if (error || *count == 0) {
        mdb_txn_abort(txn);
        return error;
    }
    return mdb_txn_commit(txn);
}

size_t mw_store_used(const struct mw_store *store, MDB_txn *txn) {
    MDB_stat stat = {0};
    mdb_stat(txn, store->tree, &stat);
    return (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * (size_t)store->page;
}
