/* Brotli (RFC 7932) behind proto/coding.h. */
#ifndef MW_PROTO_CODING_BROTLI_H
#define MW_PROTO_CODING_BROTLI_H

#include "proto/coding.h"

#include <brotli/decode.h>

struct mw_brotli_encoder;

/* NULL when memory is out. */
struct mw_brotli_encoder *mw_brotli_encoder_new(int level, int window);
void mw_brotli_encoder_free(struct mw_brotli_encoder *encoder); /* NULL: nothing */

/* As mw_encoder_add. */
bool mw_brotli_encode(struct mw_brotli_encoder *encoder, const char *bytes, size_t size, enum mw_coding_flush flush,
                      struct mw_text *out);

/* NULL when memory is out. */
BrotliDecoderState *mw_brotli_decoder_new(void);

/* As mw_decoder_add. */
enum mw_decoding mw_brotli_decode(BrotliDecoderState *state, const char *bytes, size_t size, size_t most,
                                  struct mw_text *out, size_t *used);

#endif
