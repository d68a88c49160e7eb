/* Answers that several lookups share, and those that are kept until they are
 * too old. A key is the kind of question and the name in one string. */
#ifndef MW_NET_RESOLVER_CACHE_H
#define MW_NET_RESOLVER_CACHE_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

struct mw_answer {
    struct mw_list age;    /* in the cache, the oldest first */
    struct mw_list bucket; /* in the cache, among those with a similar hash */
    double expires;        /* moment on the loop's clock */
    unsigned references;
    int status;  /* ARES_*; not 0: a name or record that does not exist */
    void *items; /* one block from malloc: struct mw_addr or struct mw_record, as the key says */
    size_t count;
    char key[];
};

/* A new answer with one reference, the caller's; it owns `items` (may be NULL)
 * from now on. When memory is out: NULL, and `items` is freed all the same. */
struct mw_answer *mw_answer_new(const char *key, int status, void *items, size_t count);
void mw_answer_release(struct mw_answer *answer); /* NULL: nothing happens */

struct mw_cache;

/* Room for `limit` answers (at least 1). NULL when memory is out. */
struct mw_cache *mw_cache_new(size_t limit);
void mw_cache_free(struct mw_cache *cache);

/* The answer with this key that has not expired, with a reference for the caller; or NULL. */
struct mw_answer *mw_cache_find(struct mw_cache *cache, const char *key, double now);

/* Keeps the answer until answer->expires, instead of an older one with its key;
 * when the cache is full the one that came first goes. */
void mw_cache_keep(struct mw_cache *cache, struct mw_answer *answer);

/* FNV-1a, also for other tables with the same keys. */
uint32_t mw_cache_hash(const char *key);

#endif
