/* layers: base proto */
/* Bodies: however the bytes are cut, the same data comes out, and the same verdict. The first byte says how
 * the body is framed and where it is cut. */
#include "proto/http1.h"
#include "target.h"

#include <string.h>

struct outcome {
    enum mw_http1_result result;
    size_t used, size; /* bytes that were read, and of data */
    uint64_t sum;      /* of the data */
    size_t trailer;
};

static void add(struct outcome *outcome, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        outcome->sum = outcome->sum * 31 + (unsigned char)data[i];
    }
    outcome->size += size;
}

static void must_be_fields(const char *bytes, size_t size) {
    struct mw_http1_field field;
    uint32_t at = 0;
    while (mw_http1_next_field(bytes, (uint32_t)size, &at, &field)) {
        must(mw_http1_is_token(field.name, field.name_size) &&
             mw_http1_is_value(field.value, field.value_size));
    }
    must(at == size);
}

/* One call on the bytes [used, there). False: it did not go on. */
static bool go_on(struct mw_http1_body *body, struct outcome *outcome, const char *bytes, size_t there) {
    struct mw_http1_run run;
    size_t size = there - outcome->used;
    char *copy = malloc(size + 1);
    memcpy(copy, bytes + outcome->used, size);
    outcome->result = mw_http1_body_next(body, copy, size, &run);
    must(run.used <= size && run.start + run.data <= run.used);
    must(run.trailer == 0 ||
         (run.trailer_at >= run.start + run.data && run.trailer_at + run.trailer < run.used));
    add(outcome, copy + run.start, run.data);
    if (run.trailer) {
        must_be_fields(copy + run.trailer_at, run.trailer);
    }
    outcome->trailer += run.trailer;
    outcome->used += run.used;
    free(copy);
    return run.used > 0 && outcome->result == MW_HTTP1_MORE;
}

static struct outcome decode(const struct mw_http1_head *head, const char *bytes, size_t size, size_t step) {
    struct outcome outcome = {.result = MW_HTTP1_MORE};
    struct mw_http1_body body;
    mw_http1_body_start(&body, head);
    for (size_t there = 0; outcome.result == MW_HTTP1_MORE && there < size;) {
        there = size - there > step ? there + step : size;
        while (go_on(&body, &outcome, bytes, there)) {
        }
    }
    must(outcome.result != MW_HTTP1_BAD || body.why);
    must(body.data == outcome.size);
    must(outcome.result == MW_HTTP1_BAD || body.overhead <= 64 * 1024 + 16 * body.data);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 2) {
        return 0;
    }
    uint8_t framing = (input[0] & 0xc0) ? MW_HTTP1_CHUNKED : (uint8_t)(1 + input[0] % 3);
    struct mw_http1_head head = {.framing = framing, .length = input[0]};
    const char *bytes = (const char *)input + 1;
    struct outcome whole = decode(&head, bytes, size - 1, size);
    struct outcome cut = decode(&head, bytes, size - 1, (size_t)input[0] % 16 + 1);
    must(whole.result == cut.result);
    if (whole.result != MW_HTTP1_BAD) {
        must(whole.size == cut.size && whole.sum == cut.sum && whole.trailer == cut.trailer &&
             whole.used == cut.used);
    }
    return 0;
}
