/* An encoder or a decoder as scripts have it: with a limit for all that comes out, and shared with a thread that works
 * with it. What is done with bytes here needs no Lua, and runs on any thread. */
#ifndef MW_SCRIPT_CODER_H
#define MW_SCRIPT_CODER_H

#include "proto/coding.h"

struct mw_coder {
    enum mw_coding coding;
    struct mw_encoder *encoder; /* one of them */
    struct mw_decoder *decoder;
    struct mw_text out; /* of the last call, until it was taken */
    size_t left;        /* of a decoder: bytes that may still come out */
    unsigned references;
    bool busy;  /* a job has it */
    bool last;  /* the call that is under way is its last */
    bool ended; /* of a decoder: no stream has begun that is not complete */
    bool lost;  /* a fault, or output that nobody took: it cannot go on */
};

/* With one reference. NULL when memory is out. */
struct mw_coder *mw_coder_encoder(enum mw_coding coding, int level);
struct mw_coder *mw_coder_decoder(enum mw_coding coding, size_t most);
void mw_coder_release(struct mw_coder *coder);

/* Bytes that it takes, more or less. */
size_t mw_coder_cost(const struct mw_coder *coder);

enum mw_coder_outcome {
    MW_CODER_DONE,
    MW_CODER_GOES_ON, /* the budget was used up */
    MW_CODER_BAD,
    MW_CODER_TOO_LARGE,
    MW_CODER_MEMORY,
};

/* What a call has to do: bytes from `at` on. */
struct mw_coder_task {
    const char *bytes;
    size_t size, at;
    enum mw_coding_flush flush; /* for an encoder */
};

/* Does a part of it: encodes `budget` bytes, or decodes until so many came out. */
enum mw_coder_outcome mw_coder_work(struct mw_coder *coder, struct mw_coder_task *task, size_t budget);

#endif
