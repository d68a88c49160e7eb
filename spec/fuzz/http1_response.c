/* layers: base proto */
/* Heads of responses: however the bytes are cut, the verdict is the same. The first byte says where they are
 * cut, and what was asked. */
#include "proto/http1.h"
#include "target.h"

#include <string.h>

static const struct mw_http1_limits limits = {.size = 4096, .target = 1024, .fields = 20};

static enum mw_http1_result parse(struct mw_http1_head *head, const char *bytes, size_t size, uint8_t how) {
    return mw_http1_parse_response(head, bytes, size, &limits, how & 0x40, how & 0x80);
}

static void look(const struct mw_http1_head *head, const char *bytes) {
    struct mw_http1_field field;
    uint32_t at = head->fields, count = 0;
    must(head->status >= 100 && head->status <= 599 && head->size <= limits.size);
    must(head->reason.at + head->reason.size < head->size);
    must(head->framing != MW_HTTP1_UNTIL_END || !head->keeps_alive);
    while (mw_http1_next_field(bytes, head->size, &at, &field)) {
        must(mw_http1_is_token(field.name, field.name_size) &&
             mw_http1_is_value(field.value, field.value_size));
        count++;
    }
    must(count == head->field_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 1) {
        return 0;
    }
    const char *bytes = (const char *)input + 1;
    struct mw_http1_head whole = {.size = 0}, cut = {.size = 0};
    enum mw_http1_result result = parse(&whole, bytes, size - 1, input[0]), again = MW_HTTP1_MORE;
    size_t step = (size_t)input[0] % 64 + 1;
    for (size_t there = 0; again == MW_HTTP1_MORE && there < size - 1;) {
        there = size - 1 - there > step ? there + step : size - 1;
        char *copy = malloc(there);
        memcpy(copy, bytes, there);
        again = parse(&cut, copy, there, input[0]);
        free(copy);
    }
    must(again == result && cut.refusal == whole.refusal && cut.why == whole.why);
    if (result == MW_HTTP1_DONE) {
        cut.parser = whole.parser;
        must(memcmp(&cut, &whole, sizeof cut) == 0);
        look(&whole, bytes);
    }
    return 0;
}
