/* A keyed hash: who does not know the key cannot choose what falls together. */
#ifndef MW_BASE_HASH_H
#define MW_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mw_hash_key {
    uint64_t words[2];
};

/* Draws a key from the kernel. False and errno when it gives none. */
bool mw_hash_key_draw(struct mw_hash_key *key);

/* SipHash-2-4. */
uint64_t mw_hash(const struct mw_hash_key *key, const void *bytes, size_t size);

#endif
