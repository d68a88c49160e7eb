/* Keys and values that processes share: an LMDB file, of which each process maps the pages. Readers take no lock;
   writers
 * take turns under a robust mutex, and a change is in the file at once or not at all, so a process may be killed at any
 * moment. A change never waits for the disk. All functions are for the thread of the loop. */
#ifndef MW_NET_STORE_H
#define MW_NET_STORE_H

#include "base/fault.h"
#include "net/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MW_STORE_KEY_MOST = 500 };

struct mw_store;

struct mw_store_options {
    const char *folder; /* made if it is not there, but not what it is in; nothing else is in it */
    size_t size;        /* bytes that keys and values may take, in pages */
    bool keep;          /* it outlives the machine's next boot: its times are by the calendar */
};

enum mw_store_outcome {
    MW_STORE_DONE,
    MW_STORE_NOT_FOUND,
    MW_STORE_EXISTS,
    MW_STORE_CONFLICT,
    MW_STORE_NO_INTEGER, /* incr: there is something else, or the sum does not fit */
    MW_STORE_FULL,
    MW_STORE_FAILED, /* see mw_store_fault */
};

enum mw_store_verb { MW_STORE_SET, MW_STORE_DELETE, MW_STORE_INCR, MW_STORE_EXPIRE, MW_STORE_COMPARE };

struct mw_store_bytes {
    const char *bytes; /* NULL: nothing is there */
    size_t size;
};

struct mw_store_change {
    enum mw_store_verb verb;
    struct mw_store_bytes key;      /* 1 to MW_STORE_KEY_MOST bytes */
    struct mw_store_bytes value;    /* of SET and COMPARE, where NULL takes the key away */
    struct mw_store_bytes expected; /* of COMPARE */
    double seconds;                 /* until it is gone; MW_TIMER_NEVER */
    bool only_new;                  /* of SET */
    int64_t number;                 /* of INCR: what to add; after it the sum */
};

/* Opens it, or holds it again: a process must have a file open once only. NULL and a fault. */
struct mw_store *mw_store_open(struct mw_net *net, const struct mw_store_options *options, struct mw_fault *fault);
void mw_store_release(struct mw_store *store);

/* The value is valid until mw_store_leave, which must follow, before any other call. */
enum mw_store_outcome mw_store_get(struct mw_store *store, struct mw_store_bytes key, struct mw_store_bytes *value);

enum mw_store_outcome mw_store_change(struct mw_store *store, struct mw_store_change *change);

/* Walks over what is there, in order: the first key that begins with `prefix` and is not before `from`, then each next
 * one. Valid until mw_store_leave, which must follow. MW_STORE_NOT_FOUND: no more. */
struct mw_store_walk {
    struct mw_store_bytes prefix, from;
    bool begun; /* false at first */
    struct mw_store_bytes key, value; /* what was found */
};
enum mw_store_outcome mw_store_next(struct mw_store *store, struct mw_store_walk *walk);

/* Ends what a read or a walk began. */
void mw_store_leave(struct mw_store *store);

/* Why the last call has failed. */
void mw_store_fault(const struct mw_store *store, const char *operation, struct mw_fault *fault);

/* Bytes of pages that are taken, and that may be. */
void mw_store_usage(struct mw_store *store, size_t *used, size_t *most);

/* How many keys there are, of which it counts so many at most. */
size_t mw_store_count(struct mw_store *store, size_t most);

/* One that this process has open, not held; NULL: it has not. */
struct mw_store *mw_store_opened(const struct mw_net *net, const char *folder);

#endif
