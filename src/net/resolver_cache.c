#include "net/resolver_cache.h"

#include <stdlib.h>
#include <string.h>

struct mw_cache {
    struct mw_list ages;
    size_t count, limit;
    size_t buckets; /* a power of two */
    struct mw_answer *heads[];
};

struct mw_answer *mw_answer_new(const char *key, int status, void *items, size_t count) {
    size_t size = strlen(key) + 1;
    struct mw_answer *answer = malloc(sizeof *answer + size);
    if (!answer) {
        free(items);
        return NULL;
    }
    *answer = (struct mw_answer){.references = 1, .status = status, .items = items, .count = count};
    mw_list_init(&answer->age);
    memcpy(answer->key, key, size);
    return answer;
}

void mw_answer_release(struct mw_answer *answer) {
    if (answer && --answer->references == 0) {
        free(answer->items);
        free(answer);
    }
}

struct mw_cache *mw_cache_new(size_t limit) {
    size_t buckets = 1;
    while (buckets < limit) {
        buckets *= 2;
    }
    struct mw_cache *cache = calloc(1, sizeof *cache + buckets * sizeof *cache->heads);
    if (cache) {
        mw_list_init(&cache->ages);
        cache->limit = limit;
        cache->buckets = buckets;
    }
    return cache;
}

/* The link that points at the answer with this key, or at the end of its bucket. */
static struct mw_answer **find_link(struct mw_cache *cache, const char *key) {
    struct mw_answer **link = &cache->heads[mw_cache_hash(key) & (cache->buckets - 1)];
    while (*link && strcmp((*link)->key, key) != 0) {
        link = &(*link)->next;
    }
    return link;
}

static void drop(struct mw_cache *cache, struct mw_answer **link) {
    struct mw_answer *answer = *link;
    *link = answer->next;
    mw_list_remove(&answer->age);
    cache->count--;
    mw_answer_release(answer);
}

static void drop_oldest(struct mw_cache *cache) {
    drop(cache, find_link(cache, mw_list_owner(cache->ages.next, struct mw_answer, age)->key));
}

void mw_cache_free(struct mw_cache *cache) {
    if (!cache) {
        return;
    }
    while (!mw_list_empty(&cache->ages)) {
        drop_oldest(cache);
    }
    free(cache);
}

struct mw_answer *mw_cache_find(struct mw_cache *cache, const char *key, double now) {
    struct mw_answer **link = find_link(cache, key);
    if (!*link) {
        return NULL;
    }
    if ((*link)->expires <= now) {
        drop(cache, link);
        return NULL;
    }
    (*link)->references++;
    return *link;
}

void mw_cache_keep(struct mw_cache *cache, struct mw_answer *answer) {
    struct mw_answer **link = find_link(cache, answer->key);
    if (*link) {
        drop(cache, link);
    }
    if (cache->count >= cache->limit) {
        drop_oldest(cache);
    }
    link = find_link(cache, answer->key);
    answer->next = NULL;
    *link = answer;
    mw_list_append(&cache->ages, &answer->age);
    answer->references++;
    cache->count++;
}

uint32_t mw_cache_hash(const char *key) {
    uint32_t hash = UINT32_C(2166136261);
    for (; *key; key++) {
        hash = (hash ^ (unsigned char)*key) * UINT32_C(16777619);
    }
    return hash;
}
