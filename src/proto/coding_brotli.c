#include "proto/coding_brotli.h"

#include "base/list.h"

#include <brotli/encode.h>
#include <setjmp.h>
#include <stdlib.h>

/* Bytes of room that a step of decoding asks for. */
enum { STEP = 4096 };

/* A quarter of a megabyte: what looks back farther gains little and costs memory in every stream. */
enum { STANDARD_WINDOW = 18 };

/* The encoder of the library, as it is built by default, ends the process when it gets no memory. So it is left by a
 * jump then, and does not run again: all its memory is ours. */
struct mw_brotli_encoder {
    BrotliEncoderState *state;
    struct mw_list blocks; /* of struct block */
    jmp_buf out_of_memory; /* valid while `runs` */
    bool runs, dead;
};

/* In front of every block that the library gets; keeps it aligned. */
struct block {
    _Alignas(max_align_t) struct mw_list node;
};

static void *take_block(void *owner, size_t size) {
    struct mw_brotli_encoder *encoder = owner;
    struct block *block = size < SIZE_MAX - sizeof *block ? malloc(sizeof *block + size) : NULL;
    if (block) {
        mw_list_append(&encoder->blocks, &block->node);
        return block + 1;
    }
    if (encoder->runs) {
        longjmp(encoder->out_of_memory, 1);
    }
    return NULL;
}

static void give_block(void *owner, void *bytes) {
    (void)owner;
    if (bytes) {
        struct block *block = (struct block *)bytes - 1;
        mw_list_remove(&block->node);
        free(block);
    }
}

struct mw_brotli_encoder *mw_brotli_encoder_new(int level, int window) {
    struct mw_brotli_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) {
        return NULL;
    }
    mw_list_init(&encoder->blocks);
    encoder->state = BrotliEncoderCreateInstance(take_block, give_block, encoder);
    if (!encoder->state) {
        free(encoder);
        return NULL;
    }
    int bits = window ? window : STANDARD_WINDOW;
    int least = BROTLI_MIN_WINDOW_BITS;
    BrotliEncoderSetParameter(encoder->state, BROTLI_PARAM_QUALITY, (uint32_t)level);
    BrotliEncoderSetParameter(encoder->state, BROTLI_PARAM_LGWIN, (uint32_t)(bits < least ? least : bits));
    return encoder;
}

void mw_brotli_encoder_free(struct mw_brotli_encoder *encoder) {
    if (!encoder) {
        return;
    }
    for (struct mw_list *node = encoder->blocks.next, *next; node != &encoder->blocks; node = next) {
        next = node->next;
        free(mw_list_owner(node, struct block, node));
    }
    free(encoder);
}

static bool encode(BrotliEncoderState *state, const char *bytes, size_t size, enum mw_coding_flush flush,
                   struct mw_text *out) {
    static const BrotliEncoderOperation operations[] = {
        [MW_CODING_MORE] = BROTLI_OPERATION_PROCESS,
        [MW_CODING_SYNC] = BROTLI_OPERATION_FLUSH,
        [MW_CODING_END] = BROTLI_OPERATION_FINISH,
    };
    const uint8_t *next = (const uint8_t *)bytes;
    size_t none = 0;
    do {
        if (!BrotliEncoderCompressStream(state, operations[flush], &size, &next, &none, NULL, NULL)) {
            return false;
        }
        size_t length = 0;
        const uint8_t *coded = BrotliEncoderTakeOutput(state, &length);
        mw_text_add(out, coded, length);
    } while (size || (flush == MW_CODING_END && !BrotliEncoderIsFinished(state)));
    return !out->failed;
}

bool mw_brotli_encode(struct mw_brotli_encoder *encoder, const char *bytes, size_t size, enum mw_coding_flush flush,
                      struct mw_text *out) {
    if (encoder->dead) {
        return false;
    }
    if (setjmp(encoder->out_of_memory)) {
        encoder->dead = true;
        encoder->runs = false;
        return false;
    }
    encoder->runs = true;
    bool well = encode(encoder->state, bytes, size, flush, out);
    encoder->runs = false;
    return well;
}

/* Ours, so that tests can make it fail. */
static void *take(void *nobody, size_t size) {
    (void)nobody;
    return malloc(size);
}

static void give(void *nobody, void *bytes) {
    (void)nobody;
    free(bytes);
}

BrotliDecoderState *mw_brotli_decoder_new(void) {
    return BrotliDecoderCreateInstance(take, give, NULL);
}

/* The codes of memory that is out stand in a row. */
static bool is_memory(BrotliDecoderErrorCode code) {
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static enum mw_decoding meaning_of(BrotliDecoderState *state, BrotliDecoderResult result) {
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
        return MW_DECODING_END;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        return MW_DECODING_MORE;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        return MW_DECODING_FULL;
    default:
        return is_memory(BrotliDecoderGetErrorCode(state)) ? MW_DECODING_MEMORY : MW_DECODING_BAD;
    }
}

enum mw_decoding mw_brotli_decode(BrotliDecoderState *state, const char *bytes, size_t size, size_t most,
                                  struct mw_text *out, size_t *used) {
    const uint8_t *next = (const uint8_t *)bytes;
    size_t left = size;
    BrotliDecoderResult result;
    do {
        size_t step = most < STEP ? most : STEP, room = step;
        uint8_t *place = (uint8_t *)mw_text_reserve(out, step + 1);
        if (!place) {
            *used = size - left;
            return MW_DECODING_MEMORY;
        }
        result = BrotliDecoderDecompressStream(state, &left, &next, &room, &place, NULL);
        out->size += step - room;
        most -= step - room;
    } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT && most);
    *used = size - left;
    return meaning_of(state, result);
}
