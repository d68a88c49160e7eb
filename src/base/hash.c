#include "base/hash.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

struct sip {
    uint64_t a, b, c, d;
};

bool mw_hash_key_draw(struct mw_hash_key *key) {
    return getrandom(key, sizeof *key, 0) == (ssize_t)sizeof *key;
}

static inline uint64_t rotate(uint64_t word, int bits) {
    return (word << bits) | (word >> (64 - bits));
}

static inline void mix(struct sip *sip) {
    sip->a += sip->b;
    sip->c += sip->d;
    sip->b = rotate(sip->b, 13) ^ sip->a;
    sip->d = rotate(sip->d, 16) ^ sip->c;
    sip->a = rotate(sip->a, 32) + sip->d;
    sip->c += sip->b;
    sip->b = rotate(sip->b, 17) ^ sip->c;
    sip->d = rotate(sip->d, 21) ^ sip->a;
    sip->c = rotate(sip->c, 32);
}

static inline void take(struct sip *sip, uint64_t word) {
    sip->d ^= word;
    mix(sip);
    mix(sip);
    sip->a ^= word;
}

uint64_t mw_hash(const struct mw_hash_key *key, const void *bytes, size_t size) {
    struct sip sip = {
        .a = key->words[0] ^ 0x736f6d6570736575U,
        .b = key->words[1] ^ 0x646f72616e646f6dU,
        .c = key->words[0] ^ 0x6c7967656e657261U,
        .d = key->words[1] ^ 0x7465646279746573U,
    };
    const unsigned char *at = bytes;
    size_t left = size;
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        take(&sip, le64toh(word));
    }
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++) {
        last |= (uint64_t)at[i] << (8 * i);
    }
    take(&sip, last);
    sip.c ^= 0xff;
    for (int i = 0; i < 4; i++) {
        mix(&sip);
    }
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}
