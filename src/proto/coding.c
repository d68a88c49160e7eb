#include "proto/coding.h"

#include "proto/coding_brotli.h"

#include <stdlib.h>
#include <zlib.h>

/* Bytes of room that a step asks for, and the most that zlib is given at once. */
enum { STEP = 4096, MOST = 1 << 30, STANDARD_WINDOW = 15 };

/* Either of zlib or of brotli; the state of brotli is made with the first byte after a reset. */
struct mw_encoder {
    enum mw_coding coding;
    int level, window;
    z_stream zlib;
    struct mw_brotli_encoder *brotli;
};

struct mw_decoder {
    enum mw_coding coding;
    z_stream zlib;
    BrotliDecoderState *brotli;
};

/* Ours, so that tests can make them fail. */
static void *take(void *nobody, unsigned count, unsigned size) {
    (void)nobody;
    return malloc((size_t)count * size);
}

static void give(void *nobody, void *block) {
    (void)nobody;
    free(block);
}

/* The `windowBits` of zlib, which say the kind of stream, too. */
static int bits_of(enum mw_coding coding, int window) {
    int bits = window ? window : STANDARD_WINDOW;
    return coding == MW_CODING_GZIP ? bits + 16 : coding == MW_CODING_RAW ? -bits : bits;
}

/* --- Encoding --- */

static bool begin_encoder(struct mw_encoder *encoder) {
    if (encoder->coding == MW_CODING_BROTLI) {
        encoder->brotli = mw_brotli_encoder_new(encoder->level, encoder->window);
        return encoder->brotli;
    }
    encoder->zlib = (z_stream){.zalloc = take, .zfree = give};
    /* Memory in proportion to the window, as zlib has it for the standard one. */
    int memory = (encoder->window ? encoder->window : STANDARD_WINDOW) - 7;
    int bits = bits_of(encoder->coding, encoder->window);
    return deflateInit2(&encoder->zlib, encoder->level, Z_DEFLATED, bits, memory, Z_DEFAULT_STRATEGY) == Z_OK;
}

struct mw_encoder *mw_encoder_new(enum mw_coding coding, int level, int window) {
    struct mw_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder) {
        *encoder = (struct mw_encoder){.coding = coding, .level = level, .window = window};
        if (!begin_encoder(encoder)) {
            free(encoder);
            return NULL;
        }
    }
    return encoder;
}

void mw_encoder_free(struct mw_encoder *encoder) {
    if (!encoder) {
        return;
    }
    if (encoder->coding == MW_CODING_BROTLI) {
        mw_brotli_encoder_free(encoder->brotli);
    } else {
        deflateEnd(&encoder->zlib);
    }
    free(encoder);
}

void mw_encoder_reset(struct mw_encoder *encoder) {
    if (encoder->coding == MW_CODING_BROTLI) {
        mw_brotli_encoder_free(encoder->brotli);
        encoder->brotli = NULL;
    } else {
        deflateReset(&encoder->zlib);
    }
}

/* The room there is behind the text, at least a step; 0 when memory is out. */
static unsigned room_behind(struct mw_text *out) {
    if (!mw_text_reserve(out, STEP)) {
        return 0;
    }
    size_t room = out->room - out->size;
    return room < MOST ? (unsigned)room : MOST;
}

/* What zlib has to say of at most MOST bytes. When it leaves room, it has said all. */
static bool deflate_all(z_stream *zlib, const char *bytes, size_t size, int flush, struct mw_text *out) {
    zlib->next_in = (Bytef *)bytes;
    zlib->avail_in = (uInt)size;
    do {
        unsigned room = room_behind(out);
        if (!room) {
            return false;
        }
        zlib->next_out = (Bytef *)out->bytes + out->size;
        zlib->avail_out = room;
        deflate(zlib, flush);
        out->size += room - zlib->avail_out;
    } while (zlib->avail_out == 0);
    return true;
}

static bool zlib_encode(z_stream *zlib, const char *bytes, size_t size, enum mw_coding_flush flush,
                        struct mw_text *out) {
    static const int flushes[] = {
        [MW_CODING_MORE] = Z_NO_FLUSH, [MW_CODING_SYNC] = Z_SYNC_FLUSH, [MW_CODING_END] = Z_FINISH};
    for (; size > MOST; bytes += MOST, size -= MOST) {
        if (!deflate_all(zlib, bytes, MOST, Z_NO_FLUSH, out)) {
            return false;
        }
    }
    return deflate_all(zlib, bytes, size, flushes[flush], out);
}

bool mw_encoder_add(struct mw_encoder *encoder, const char *bytes, size_t size, enum mw_coding_flush flush,
                    struct mw_text *out) {
    if (encoder->coding != MW_CODING_BROTLI) {
        return zlib_encode(&encoder->zlib, bytes, size, flush, out);
    }
    return (encoder->brotli || begin_encoder(encoder)) &&
           mw_brotli_encode(encoder->brotli, bytes, size, flush, out);
}

/* --- Decoding --- */

static bool begin_decoder(struct mw_decoder *decoder, int window) {
    if (decoder->coding == MW_CODING_BROTLI) {
        decoder->brotli = mw_brotli_decoder_new();
        return decoder->brotli;
    }
    decoder->zlib = (z_stream){.zalloc = take, .zfree = give};
    return inflateInit2(&decoder->zlib, bits_of(decoder->coding, window)) == Z_OK;
}

struct mw_decoder *mw_decoder_new(enum mw_coding coding, int window) {
    struct mw_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder) {
        decoder->coding = coding;
        if (!begin_decoder(decoder, window)) {
            free(decoder);
            return NULL;
        }
    }
    return decoder;
}

void mw_decoder_free(struct mw_decoder *decoder) {
    if (!decoder) {
        return;
    }
    if (decoder->coding == MW_CODING_BROTLI) {
        BrotliDecoderDestroyInstance(decoder->brotli);
    } else {
        inflateEnd(&decoder->zlib);
    }
    free(decoder);
}

void mw_decoder_reset(struct mw_decoder *decoder) {
    if (decoder->coding == MW_CODING_BROTLI) {
        BrotliDecoderDestroyInstance(decoder->brotli);
        decoder->brotli = NULL;
    } else {
        inflateReset(&decoder->zlib);
    }
}

/* Decodes into a step of room at most. One without room still shows whether the stream ends here. */
static int inflate_step(z_stream *zlib, size_t *most, struct mw_text *out) {
    unsigned step = *most < STEP ? (unsigned)*most : STEP;
    zlib->next_out = (Bytef *)mw_text_reserve(out, step + 1);
    if (!zlib->next_out) {
        return Z_MEM_ERROR;
    }
    zlib->avail_out = step;
    int result = inflate(zlib, Z_SYNC_FLUSH);
    out->size += step - zlib->avail_out;
    *most -= step - zlib->avail_out;
    return result;
}

/* At most MOST bytes of input. */
static enum mw_decoding inflate_all(z_stream *zlib, const char *bytes, size_t size, size_t *most, struct mw_text *out) {
    zlib->next_in = (Bytef *)bytes;
    zlib->avail_in = (uInt)size;
    for (;;) {
        bool last = *most == 0;
        switch (inflate_step(zlib, most, out)) {
        case Z_STREAM_END:
            return MW_DECODING_END;
        case Z_MEM_ERROR:
            return MW_DECODING_MEMORY;
        case Z_OK:
        case Z_BUF_ERROR:
            break;
        default:
            return MW_DECODING_BAD;
        }
        if (last) {
            return MW_DECODING_FULL;
        }
        if (zlib->avail_out) {
            return MW_DECODING_MORE;
        }
    }
}

static enum mw_decoding zlib_decode(z_stream *zlib, const char *bytes, size_t size, size_t most, struct mw_text *out,
                                    size_t *used) {
    enum mw_decoding result;
    *used = 0;
    do {
        size_t piece = size - *used < MOST ? size - *used : MOST;
        result = inflate_all(zlib, bytes + *used, piece, &most, out);
        *used += piece - zlib->avail_in;
    } while (result == MW_DECODING_MORE && *used < size);
    return result;
}

enum mw_decoding mw_decoder_add(struct mw_decoder *decoder, const char *bytes, size_t size, size_t most,
                                struct mw_text *out, size_t *used) {
    if (decoder->coding != MW_CODING_BROTLI) {
        return zlib_decode(&decoder->zlib, bytes, size, most, out, used);
    }
    *used = 0;
    return decoder->brotli || begin_decoder(decoder, 0)
               ? mw_brotli_decode(decoder->brotli, bytes, size, most, out, used)
               : MW_DECODING_MEMORY;
}
