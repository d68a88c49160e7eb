#include "net/resolver_cache.h"

#include <stdlib.h>
#include <string.h>

struct mw_cache {
    struct mw_list ages;
    size_t count, limit;
    size_t buckets; /* a power of two */
    struct mw_list heads[];
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
    mw_list_init(&answer->bucket);
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
    struct mw_cache *cache = malloc(sizeof *cache + buckets * sizeof *cache->heads);
    if (!cache) {
        return NULL;
    }
    cache->count = 0;
    cache->limit = limit;
    cache->buckets = buckets;
    mw_list_init(&cache->ages);
    for (size_t i = 0; i < buckets; i++) {
        mw_list_init(&cache->heads[i]);
    }
    return cache;
}

static void drop(struct mw_cache *cache, struct mw_answer *answer) {
    mw_list_remove(&answer->age);
    mw_list_remove(&answer->bucket);
    cache->count--;
    mw_answer_release(answer);
}

void mw_cache_free(struct mw_cache *cache) {
    if (!cache) {
        return;
    }
    for (struct mw_list *node = cache->ages.next, *next; node != &cache->ages; node = next) {
        next = node->next;
        drop(cache, mw_list_owner(node, struct mw_answer, age));
    }
    free(cache);
}

static struct mw_list *bucket_of(struct mw_cache *cache, const char *key) {
    return &cache->heads[mw_cache_hash(key) & (cache->buckets - 1)];
}

static struct mw_answer *find(struct mw_cache *cache, const char *key) {
    struct mw_list *bucket = bucket_of(cache, key);
    for (struct mw_list *node = bucket->next; node != bucket; node = node->next) {
        struct mw_answer *answer = mw_list_owner(node, struct mw_answer, bucket);
        if (strcmp(answer->key, key) == 0) {
            return answer;
        }
    }
    return NULL;
}

struct mw_answer *mw_cache_find(struct mw_cache *cache, const char *key, double now) {
    struct mw_answer *answer = find(cache, key);
    if (answer && answer->expires <= now) {
        drop(cache, answer);
        return NULL;
    }
    if (answer) {
        answer->references++;
    }
    return answer;
}

void mw_cache_keep(struct mw_cache *cache, struct mw_answer *answer) {
    struct mw_answer *older = find(cache, answer->key);
    if (older) {
        drop(cache, older);
    } else if (cache->count == cache->limit) {
        drop(cache, mw_list_owner(cache->ages.next, struct mw_answer, age));
    }
    mw_list_append(&cache->ages, &answer->age);
    mw_list_append(bucket_of(cache, answer->key), &answer->bucket);
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
