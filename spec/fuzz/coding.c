/* layers: proto base */
/* Any bytes as a coded stream, cut anywhere and with any cap: no more comes out than was asked for, and the pieces make
 * no difference. As data, they come back. */
#include "proto/coding.h"
#include "target.h"

#include <stdbool.h>
#include <string.h>

enum { CODINGS = 4, MOST = 1 << 16 };

struct trial {
    enum mw_coding coding;
    size_t piece, most;
};

/* Decodes until the end, a fault, or MOST bytes; how it ended. */
static enum mw_decoding decode(const struct trial *trial, const char *bytes, size_t size, struct mw_text *out) {
    struct mw_decoder *decoder = mw_decoder_new(trial->coding, 0);
    must(decoder != NULL);
    enum mw_decoding result = MW_DECODING_MORE;
    size_t at = 0;
    while (result == MW_DECODING_FULL || (result == MW_DECODING_MORE && at < size)) {
        size_t used, before = out->size, piece = size - at < trial->piece ? size - at : trial->piece;
        size_t most = MOST - before < trial->most ? MOST - before : trial->most;
        result = mw_decoder_add(decoder, bytes + at, piece, most, out, &used);
        at += used;
        must(used <= piece && out->size - before <= most && result != MW_DECODING_MEMORY);
        must(result != MW_DECODING_MORE || used == piece);
        must(result != MW_DECODING_FULL || out->size - before == most);
        if (out->size == MOST) {
            break;
        }
    }
    mw_decoder_free(decoder);
    return result;
}

static void check_pieces(const struct trial *trial, const char *bytes, size_t size) {
    struct mw_text whole = {.bytes = NULL}, pieces = {.bytes = NULL};
    struct trial at_once = {trial->coding, size ? size : 1, MOST};
    enum mw_decoding result = decode(&at_once, bytes, size, &whole);
    enum mw_decoding again = decode(trial, bytes, size, &pieces);
    bool capped = whole.size == MOST || pieces.size == MOST;
    must(again == result || capped);
    /* How much comes out before a fault, or before an end that is missing, is nobody's promise. */
    if (result == MW_DECODING_END && !capped) {
        must(pieces.size == whole.size && (whole.size == 0 || memcmp(pieces.bytes, whole.bytes, whole.size) == 0));
    }
    mw_text_free(&whole);
    mw_text_free(&pieces);
}

static void encode(const struct trial *trial, int level, const char *bytes, size_t size, struct mw_text *out) {
    struct mw_encoder *encoder = mw_encoder_new(trial->coding, level, 0);
    must(encoder != NULL);
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < trial->piece ? size - at : trial->piece;
        must(mw_encoder_add(encoder, bytes + at, piece, at % 3 ? MW_CODING_MORE : MW_CODING_SYNC, out));
        at += piece;
    }
    must(mw_encoder_add(encoder, NULL, 0, MW_CODING_END, out));
    mw_encoder_free(encoder);
}

static void check_round_trip(const struct trial *trial, int level, const char *bytes, size_t size) {
    struct mw_text coded = {.bytes = NULL}, plain = {.bytes = NULL};
    size = size < MOST - 1 ? size : MOST - 1;
    encode(trial, level, bytes, size, &coded);
    must(decode(trial, coded.bytes, coded.size, &plain) == MW_DECODING_END);
    must(plain.size == size && (size == 0 || memcmp(plain.bytes, bytes, size) == 0));
    mw_text_free(&coded);
    mw_text_free(&plain);
}

/* The first three bytes say how, the others are coded text and then data. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const enum mw_coding codings[CODINGS] = {MW_CODING_GZIP, MW_CODING_DEFLATE, MW_CODING_RAW,
                                                    MW_CODING_BROTLI};
    struct input input = {bytes, size};
    unsigned how = input_byte(&input);
    struct trial trial = {codings[how % CODINGS], input_byte(&input) + 1, 0};
    trial.most = input_byte(&input) * 16 + 1;
    size_t length = input.left;
    char *text = malloc(length ? length : 1);
    must(text != NULL);
    if (length) {
        memcpy(text, input.at, length);
    }
    check_pieces(&trial, text, length);
    check_round_trip(&trial, 1 + (int)(how >> 4) % 9, text, length);
    free(text);
    return 0;
}
