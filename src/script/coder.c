#include "script/coder.h"

#include <stdlib.h>

/* Bytes, measured: of zlib with its standard window, and of brotli with ours at the levels that are usual. */
enum { ZLIB_ENCODER = 268 * 1024, BROTLI_ENCODER = 1024 * 1024, ZLIB_DECODER = 48 * 1024, BROTLI_DECODER = 512 * 1024 };

static struct mw_coder *new_coder(enum mw_coding coding) {
    struct mw_coder *coder = calloc(1, sizeof *coder);
    if (coder) {
        coder->coding = coding;
        coder->references = 1;
    }
    return coder;
}

static struct mw_coder *complete(struct mw_coder *coder) {
    if (!coder->encoder && !coder->decoder) {
        free(coder);
        return NULL;
    }
    return coder;
}

struct mw_coder *mw_coder_encoder(enum mw_coding coding, int level) {
    struct mw_coder *coder = new_coder(coding);
    if (!coder) {
        return NULL;
    }
    coder->encoder = mw_encoder_new(coding, level, 0);
    return complete(coder);
}

struct mw_coder *mw_coder_decoder(enum mw_coding coding, size_t most) {
    struct mw_coder *coder = new_coder(coding);
    if (!coder) {
        return NULL;
    }
    coder->decoder = mw_decoder_new(coding, 0);
    coder->left = most;
    return complete(coder);
}

void mw_coder_release(struct mw_coder *coder) {
    if (--coder->references == 0) {
        mw_encoder_free(coder->encoder);
        mw_decoder_free(coder->decoder);
        mw_text_free(&coder->out);
        free(coder);
    }
}

size_t mw_coder_cost(const struct mw_coder *coder) {
    bool brotli = coder->coding == MW_CODING_BROTLI;
    return coder->encoder ? (brotli ? BROTLI_ENCODER : ZLIB_ENCODER) : (brotli ? BROTLI_DECODER : ZLIB_DECODER);
}

static enum mw_coder_outcome encode(struct mw_coder *coder, struct mw_coder_task *task, size_t budget) {
    size_t left = task->size - task->at;
    bool all = left <= budget;
    size_t size = all ? left : budget;
    if (!mw_encoder_add(coder->encoder, task->bytes + task->at, size, all ? task->flush : MW_CODING_MORE, &coder->out)) {
        return MW_CODER_MEMORY;
    }
    task->at += size;
    return all ? MW_CODER_DONE : MW_CODER_GOES_ON;
}

/* A file of gzip may consist of several (RFC 1952 section 2.2). What follows other streams is an error. */
static bool begins_another(struct mw_coder *coder) {
    if (coder->coding != MW_CODING_GZIP) {
        return false;
    }
    mw_decoder_reset(coder->decoder);
    coder->ended = false;
    return true;
}

/* Takes note of what came out; a byte more than is allowed is asked for, to know of it. */
static enum mw_coder_outcome decode_once(struct mw_coder *coder, struct mw_coder_task *task, size_t most) {
    size_t used, before = coder->out.size;
    size_t size = task->size - task->at;
    enum mw_decoding result =
        mw_decoder_add(coder->decoder, task->bytes + task->at, size, most, &coder->out, &used);
    size_t came = coder->out.size - before;
    task->at += used;
    if (came > coder->left) {
        return MW_CODER_TOO_LARGE;
    }
    coder->left -= came;
    coder->ended = result == MW_DECODING_END;
    return result == MW_DECODING_BAD ? MW_CODER_BAD
           : result == MW_DECODING_MEMORY ? MW_CODER_MEMORY
           : result == MW_DECODING_FULL ? MW_CODER_GOES_ON
                                        : MW_CODER_DONE;
}

static enum mw_coder_outcome decode(struct mw_coder *coder, struct mw_coder_task *task, size_t budget) {
    size_t before = coder->out.size;
    if (task->at == task->size && task->size == 0) {
        return MW_CODER_DONE;
    }
    for (;;) {
        if (coder->ended && !begins_another(coder)) {
            return MW_CODER_BAD;
        }
        size_t most = budget - (coder->out.size - before);
        enum mw_coder_outcome outcome = decode_once(coder, task, most <= coder->left ? most : coder->left + 1);
        if (outcome != MW_CODER_DONE || task->at == task->size) {
            return outcome;
        }
    }
}

enum mw_coder_outcome mw_coder_work(struct mw_coder *coder, struct mw_coder_task *task, size_t budget) {
    return coder->encoder ? encode(coder, task, budget) : decode(coder, task, budget);
}
