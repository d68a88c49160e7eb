/* What all fuzz targets share. A target is one function that takes any bytes;
 * libFuzzer calls it, and so does replay.c, which needs no clang. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Unlike assert, also where NDEBUG is set. */
#define must(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Input that is read piece by piece; zeros when it has run out. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline unsigned input_byte(struct input *input) {
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}

static inline unsigned input_16(struct input *input) {
    unsigned high = input_byte(input);
    return high << 8 | input_byte(input);
}

/* At most `size` bytes of it; `*taken` says how many there were. */
static inline const uint8_t *input_take(struct input *input, size_t size, size_t *taken) {
    const uint8_t *bytes = input->at;
    *taken = size < input->left ? size : input->left;
    input->at += *taken;
    input->left -= *taken;
    return bytes;
}

#endif
