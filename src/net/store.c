#include "net/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MOST = 512, MAP_SPARE = 64 * 1024 * 1024 };

#define FILE_NAME "/live.mdb"

/* --- reading --- */

static int renew_reader(struct mw_store *store) {
    return store->reader ? mdb_txn_renew(store->reader)
                         : mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
}

/* A reader that was left behind when a script's memory ran out is ended here. */
static int begin_reading(struct mw_store *store) {
    mw_store_leave(store);
    int error = renew_reader(store);
    if (error == MDB_READERS_FULL) {
        mdb_reader_check(store->env, NULL);
        error = renew_reader(store);
    }
    store->reading = !error;
    return error;
}

void mw_store_leave(struct mw_store *store) {
    if (store->cursor) {
        mdb_cursor_close(store->cursor);
        store->cursor = NULL;
    }
    if (store->reading) {
        mdb_txn_reset(store->reader);
        store->reading = false;
    }
}

static enum mw_store_outcome outcome_of(struct mw_store *store, int error) {
    if (error == 0 || error == MDB_NOTFOUND) {
        return error ? MW_STORE_NOT_FOUND : MW_STORE_DONE;
    }
    store->error = error;
    return MW_STORE_FAILED;
}

enum mw_store_outcome mw_store_get(struct mw_store *store, struct mw_store_bytes key, struct mw_store_bytes *value) {
    struct mw_store_entry entry = {.due = 0};
    int error = begin_reading(store);
    if (!error) {
        error = mw_store_find(store, store->reader, key, &entry);
    }
    if (!error && entry.due && entry.due <= mw_store_now(store)) {
        error = MDB_NOTFOUND;
    }
    *value = entry.value;
    return outcome_of(store, error);
}

/* Finds an entry of the walk that is not past its time, the first one with MDB_SET_RANGE, or the next. */
static int step(const struct mw_store *store, struct mw_store_walk *walk, MDB_val *name, MDB_cursor_op how,
                int64_t now) {
    MDB_val data;
    int64_t due = 0;
    do {
        int error = mdb_cursor_get(store->cursor, name, &data, how);
        if (error) {
            return error;
        }
        const char *bytes = name->mv_data;
        walk->key = (struct mw_store_bytes){.bytes = bytes + 1, .size = name->mv_size - 1};
        if (bytes[0] != 'k' || walk->key.size < walk->prefix.size ||
            memcmp(walk->key.bytes, walk->prefix.bytes, walk->prefix.size) != 0) {
            return MDB_NOTFOUND;
        }
        if (data.mv_size < sizeof due) {
            return MDB_CORRUPTED;
        }
        memcpy(&due, data.mv_data, sizeof due);
        how = MDB_NEXT;
    } while (due && due <= now);
    walk->value = (struct mw_store_bytes){.bytes = (const char *)data.mv_data + sizeof due,
                                          .size = data.mv_size - sizeof due};
    return 0;
}

enum mw_store_outcome mw_store_next(struct mw_store *store, struct mw_store_walk *walk) {
    char room[MW_STORE_ENTRY_MOST];
    MDB_val name = {.mv_size = 0};
    if (walk->begun) {
        return outcome_of(store, step(store, walk, &name, MDB_NEXT, mw_store_now(store)));
    }
    int error = begin_reading(store);
    if (!error) {
        error = mdb_cursor_open(store->reader, store->tree, &store->cursor);
    }
    if (!error) {
        walk->begun = true;
        name = mw_store_name(room, walk->from);
        error = step(store, walk, &name, MDB_SET_RANGE, mw_store_now(store));
    }
    return outcome_of(store, error);
}

void mw_store_usage(struct mw_store *store, size_t *used, size_t *most) {
    *used = begin_reading(store) ? 0 : mw_store_used(store, store->reader);
    *most = store->most;
    mw_store_leave(store);
}

size_t mw_store_count(struct mw_store *store, size_t most) {
    struct mw_store_walk walk = {.prefix = {.bytes = ""}, .from = {.bytes = ""}};
    size_t count = 0;
    while (count < most && mw_store_next(store, &walk) == MW_STORE_DONE) {
        count++;
    }
    mw_store_leave(store);
    return count;
}

void mw_store_fault(const struct mw_store *store, const char *operation, struct mw_fault *fault) {
    if (store->error > 0) {
        mw_fault_set(fault, store->error, operation, store->folder);
    } else {
        mw_fault_format(fault, "system", "%s %s: %s", operation, store->folder, mdb_strerror(store->error));
    }
}

/* --- opening --- */

static struct mw_store *find_open(const struct mw_net *net, const struct stat *status) {
    for (const struct mw_list *node = net->stores.next; node != &net->stores; node = node->next) {
        struct mw_store *store = mw_list_owner(node, struct mw_store, node);
        if (store->device == status->st_dev && store->inode == status->st_ino && !store->closing) {
            return store;
        }
    }
    return NULL;
}

struct mw_store *mw_store_opened(const struct mw_net *net, const char *folder) {
    struct stat status;
    return stat(folder, &status) == 0 ? find_open(net, &status) : NULL;
}

static int open_tree(struct mw_store *store) {
    MDB_txn *txn;
    MDB_stat stat = {0};
    int error = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (error) {
        return error;
    }
    error = mdb_dbi_open(txn, NULL, 0, &store->tree);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    mdb_stat(txn, store->tree, &stat);
    store->page = stat.ms_psize;
    return mdb_txn_commit(txn);
}

/* Pages are written, not mapped for writing: a full disk is an error then, and no signal. The map has room for what a
 * change needs besides, and for pages that readers still hold. */
static int open_env(struct mw_store *store) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s" FILE_NAME, store->folder);
    if (length >= (int)sizeof path) {
        return ENAMETOOLONG;
    }
    int error = mdb_env_create(&store->env);
    if (error) {
        store->env = NULL;
        return error;
    }
    error = mdb_env_set_mapsize(store->env, 2 * store->most + MAP_SPARE);
    if (!error) {
        error = mdb_env_set_maxreaders(store->env, READERS_MOST);
    }
    if (!error) {
        error = mdb_env_open(store->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, 0600);
    }
    if (!error) {
        mdb_reader_check(store->env, NULL);
        error = open_tree(store);
    }
    return error;
}

static int open_kept(struct mw_store *store) {
    int lock = -1, error = store->keep ? mw_store_restore(store, &lock) : 0;
    error = error ? error : open_env(store);
    if (lock >= 0) {
        close(lock);
    }
    return error;
}

static struct mw_store *new_store(struct mw_net *net, const struct mw_store_options *options,
                                  const struct stat *status) {
    size_t length = strlen(options->folder);
    struct mw_store *store = calloc(1, sizeof *store + length + 1);
    if (!store) {
        return NULL;
    }
    memcpy(store->folder, options->folder, length + 1);
    store->net = net;
    store->most = options->size;
    store->keep = options->keep;
    store->clock = options->keep ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    store->device = status->st_dev;
    store->inode = status->st_ino;
    mw_store_upkeep_init(store);
    mw_list_append(&net->stores, &store->node);
    return store;
}

struct mw_store *mw_store_open(struct mw_net *net, const struct mw_store_options *options, struct mw_fault *fault) {
    struct stat status;
    if ((mkdir(options->folder, 0700) != 0 && errno != EEXIST) || stat(options->folder, &status) != 0) {
        mw_fault_set(fault, errno, "open store", options->folder);
        return NULL;
    }
    struct mw_store *store = find_open(net, &status);
    if (!store) {
        store = new_store(net, options, &status);
        int error = store ? open_kept(store) : ENOMEM;
        if (error) {
            if (store) {
                store->error = error;
                mw_store_fault(store, "open store", fault);
                mw_store_free(store);
            } else {
                mw_fault_set(fault, error, "open store", options->folder);
            }
            return NULL;
        }
    }
    store->references++;
    return store;
}

void mw_store_free(struct mw_store *store) {
    mw_timer_remove(mw_loop_timers(store->net->loop), &store->timer);
    mw_list_remove(&store->node);
    mw_store_leave(store);
    if (store->reader) {
        mdb_txn_abort(store->reader);
    }
    if (store->env) {
        mdb_env_close(store->env);
    }
    free(store);
}

void mw_store_release(struct mw_store *store) {
    if (--store->references == 0) {
        mw_store_upkeep_end(store);
    }
}
