#include "net/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SWEPT_BY_THE_WAY = 4,  /* entries past their time that each change takes away */
    SWEPT_FOR_ROOM = 128,  /* in each transaction when there is no room */
    SWEEPS_FOR_ROOM = 64,
    DIGITS = 24,
};

/* What becomes of the key. */
struct draft {
    enum { KEEP, PUT, DROP } action;
    struct mw_store_entry entry;
    char digits[DIGITS];
    char *copy; /* of a value that is in the tree; freed by mw_store_change */
};

/* --- what each verb makes of what is there; `current` NULL: nothing --- */

static enum mw_store_outcome put_value(const struct mw_store_change *change, int64_t now, struct draft *draft) {
    draft->action = PUT;
    draft->entry = (struct mw_store_entry){.due = mw_store_moment(now, change->seconds), .value = change->value};
    return MW_STORE_DONE;
}

static enum mw_store_outcome drop(const struct mw_store_entry *current, struct draft *draft) {
    draft->action = current ? DROP : KEEP;
    return current ? MW_STORE_DONE : MW_STORE_NOT_FOUND;
}

static bool read_integer(struct mw_store_bytes value, int64_t *number) {
    char text[DIGITS], *end;
    if (value.size == 0 || value.size >= sizeof text) {
        return false;
    }
    memcpy(text, value.bytes, value.size);
    text[value.size] = '\0';
    if (strspn(text, "-0123456789") != value.size) {
        return false;
    }
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static enum mw_store_outcome add(struct mw_store_change *change, const struct mw_store_entry *current, int64_t now,
                                 struct draft *draft) {
    int64_t before = 0, sum;
    if ((current && !read_integer(current->value, &before)) || __builtin_add_overflow(before, change->number, &sum)) {
        return MW_STORE_NO_INTEGER;
    }
    int length = snprintf(draft->digits, sizeof draft->digits, "%lld", (long long)sum);
    draft->action = PUT;
    draft->entry.due = current ? current->due : mw_store_moment(now, change->seconds);
    draft->entry.value = (struct mw_store_bytes){.bytes = draft->digits, .size = (size_t)length};
    return MW_STORE_DONE;
}

/* A value in the tree does not stay where it is while the tree is written. */
static enum mw_store_outcome set_time(const struct mw_store_change *change, const struct mw_store_entry *current,
                                      int64_t now, struct draft *draft) {
    if (!current) {
        return MW_STORE_NOT_FOUND;
    }
    draft->copy = malloc(current->value.size + 1);
    if (!draft->copy) {
        return MW_STORE_FAILED;
    }
    memcpy(draft->copy, current->value.bytes, current->value.size);
    draft->action = PUT;
    draft->entry.due = mw_store_moment(now, change->seconds);
    draft->entry.value = (struct mw_store_bytes){.bytes = draft->copy, .size = current->value.size};
    return MW_STORE_DONE;
}

static bool is_as_expected(const struct mw_store_bytes *expected, const struct mw_store_entry *current) {
    if (!expected->bytes || !current) {
        return !expected->bytes && !current;
    }
    return expected->size == current->value.size &&
           memcmp(expected->bytes, current->value.bytes, expected->size) == 0;
}

static enum mw_store_outcome decide(struct mw_store_change *change, const struct mw_store_entry *current, int64_t now,
                                    struct draft *draft) {
    switch (change->verb) {
    case MW_STORE_SET: return change->only_new && current ? MW_STORE_EXISTS : put_value(change, now, draft);
    case MW_STORE_DELETE: return drop(current, draft);
    case MW_STORE_INCR: return add(change, current, now, draft);
    case MW_STORE_EXPIRE: return set_time(change, current, now, draft);
    default: break;
    }
    if (!is_as_expected(&change->expected, current)) {
        return MW_STORE_CONFLICT;
    }
    if (change->value.bytes) {
        return put_value(change, now, draft);
    }
    drop(current, draft);
    return MW_STORE_DONE;
}

/* --- in a transaction --- */

static enum mw_store_outcome fail(struct mw_store *store, int error) {
    if (error == MDB_MAP_FULL || error == ENOSPC || error == EDQUOT) {
        return MW_STORE_FULL;
    }
    store->error = error;
    return MW_STORE_FAILED;
}

static int write_draft(const struct mw_store *store, MDB_txn *txn, struct mw_store_bytes key, const int64_t *before,
                       const struct draft *draft) {
    if (draft->action == DROP && before) {
        return mw_store_drop(store, txn, key, *before);
    }
    return draft->action == PUT ? mw_store_put(store, txn, key, before, &draft->entry) : 0;
}

/* Decides and writes; what is then in the transaction is worth nothing unless it is done. */
static enum mw_store_outcome apply(struct mw_store *store, MDB_txn *txn, struct mw_store_change *change,
                                   struct draft *draft) {
    struct mw_store_entry found;
    int swept = 0;
    int64_t now = mw_store_now(store), due = 0;
    int error = mw_store_sweep(store, txn, now, SWEPT_BY_THE_WAY, &swept);
    size_t used = mw_store_used(store, txn);
    int looked = error ? error : mw_store_find(store, txn, change->key, &found);
    if (looked && looked != MDB_NOTFOUND) {
        return fail(store, looked);
    }
    due = looked ? 0 : found.due;
    bool alive = !looked && (due == 0 || due > now);
    store->error = ENOMEM;
    enum mw_store_outcome outcome = decide(change, alive ? &found : NULL, now, draft);
    error = write_draft(store, txn, change->key, looked ? NULL : &due, draft);
    if (error) {
        return fail(store, error);
    }
    size_t uses = mw_store_used(store, txn);
    return draft->action == PUT && uses > used && uses > store->most ? MW_STORE_FULL : outcome;
}

static enum mw_store_outcome attempt(struct mw_store *store, struct mw_store_change *change) {
    struct draft draft = {.action = KEEP, .copy = NULL};
    MDB_txn *txn;
    int error = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (error) {
        return fail(store, error);
    }
    enum mw_store_outcome outcome = apply(store, txn, change, &draft);
    if (outcome != MW_STORE_DONE || draft.action == KEEP) {
        mdb_txn_abort(txn);
    } else {
        error = mdb_txn_commit(txn);
        outcome = error ? fail(store, error) : outcome;
    }
    if (outcome == MW_STORE_DONE && change->verb == MW_STORE_INCR) {
        read_integer(draft.entry.value, &change->number);
    }
    free(draft.copy);
    return outcome;
}

/* Whether something past its time was taken away. */
static bool make_room(struct mw_store *store) {
    int count = 1, all = 0;
    for (int i = 0; count > 0 && i < SWEEPS_FOR_ROOM; i++) {
        if (mw_store_sweep_once(store, SWEPT_FOR_ROOM, &count)) {
            break;
        }
        all += count;
    }
    return all > 0;
}

enum mw_store_outcome mw_store_change(struct mw_store *store, struct mw_store_change *change) {
    enum mw_store_outcome outcome = attempt(store, change);
    if (outcome == MW_STORE_FULL && make_room(store)) {
        outcome = attempt(store, change);
    }
    if (outcome == MW_STORE_DONE) {
        mw_store_upkeep_soon(store);
    }
    return outcome;
}
