/* Content codings as streams of bytes (RFC 9110 section 8.4): zlib and brotli, with a cap on what comes out. */
#ifndef MW_PROTO_CODING_H
#define MW_PROTO_CODING_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_coding {
    MW_CODING_GZIP,    /* RFC 1952 */
    MW_CODING_DEFLATE, /* RFC 1950: the coding "deflate" of HTTP */
    MW_CODING_RAW,     /* RFC 1951, as in WebSocket messages (RFC 7692) */
    MW_CODING_BROTLI,  /* RFC 7932 */
};

/* What must be possible to decode when a call returns. */
enum mw_coding_flush { MW_CODING_MORE, MW_CODING_SYNC, MW_CODING_END };

struct mw_encoder;
struct mw_decoder;

/* `level` 1 (fast) to 9 (small), for brotli too. `window` bits, 9 to 15, for brotli 10 to 24; 0: 15, and 18 for brotli.
 * NULL when memory is out. */
struct mw_encoder *mw_encoder_new(enum mw_coding coding, int level, int window);
void mw_encoder_free(struct mw_encoder *encoder);

/* Forgets all that came so far: the next byte begins a new stream. */
void mw_encoder_reset(struct mw_encoder *encoder);

/* Appends the coded form to `out`. A MW_CODING_SYNC of the codings of zlib ends with the bytes 00 00 ff ff. After
 * MW_CODING_END comes a reset or the end. False when memory is out: the stream cannot go on then. */
bool mw_encoder_add(struct mw_encoder *encoder, const char *bytes, size_t size, enum mw_coding_flush flush,
                    struct mw_text *out);

/* `window` bits at most, as the encoder's: a stream that looks back farther is bad. */
struct mw_decoder *mw_decoder_new(enum mw_coding coding, int window);
void mw_decoder_free(struct mw_decoder *decoder);
void mw_decoder_reset(struct mw_decoder *decoder);

enum mw_decoding {
    MW_DECODING_MORE,  /* all input is used */
    MW_DECODING_FULL,  /* `most` bytes came out, and there may be more: the rest of the input is unused */
    MW_DECODING_END,   /* the coded stream is complete, its checksum right; what follows it is unused */
    MW_DECODING_BAD,   /* not of this coding, or damaged */
    MW_DECODING_MEMORY,
};

/* Appends at most `most` bytes to `out` and says in `*used` how many bytes of input were taken. A result that is not
 * MORE or FULL is followed by a reset or the end. A stream that ends with its `most`th byte counts as ended. */
enum mw_decoding mw_decoder_add(struct mw_decoder *decoder, const char *bytes, size_t size, size_t most,
                                struct mw_text *out, size_t *used);

#endif
