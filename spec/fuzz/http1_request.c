/* layers: base proto */
/* Heads of requests: however the bytes are cut, the verdict is the same, and all parts lie in the head. The
 * first byte says where they are cut. */
#include "proto/http1.h"
#include "target.h"

#include <string.h>

static const struct mw_http1_limits limits = {.size = 4096, .target = 1024, .fields = 20};

static void must_lie_within(const struct mw_http1_head *head, struct mw_http1_part part) {
    must(part.at <= head->size && part.size <= head->size - part.at);
}

/* The fields that were counted can be walked, and each is found again by its name. */
static void walk(const struct mw_http1_head *head, const char *bytes) {
    struct mw_http1_field field, found;
    uint32_t count = 0;
    for (uint32_t at = head->fields; mw_http1_next_field(bytes, head->size, &at, &field); count++) {
        uint32_t from = head->fields;
        must(mw_http1_is_token(field.name, field.name_size));
        must(mw_http1_is_value(field.value, field.value_size));
        must(mw_http1_find_field(bytes, head->size, &from, field.name, field.name_size, &found));
        must(from <= at);
    }
    must(count == head->field_count && count <= limits.fields);
}

/* The path of a request that was taken can be decoded, and leads nowhere but down. */
static void decode(const struct mw_http1_head *head, const char *bytes) {
    char path[4096];
    size_t size = mw_http1_decode_path(path, bytes + head->path.at, head->path.size);
    must(size > 0 && size <= sizeof path && path[0] == '/' && !memchr(path, '\0', size));
    must(!memmem(path, size, "/../", 4) && !memmem(path, size, "//", 2));
}

static void look(const struct mw_http1_head *head, const char *bytes) {
    must(head->size <= limits.size && memcmp(bytes + head->size - 4, "\r\n\r\n", 4) == 0);
    must_lie_within(head, head->method);
    must_lie_within(head, head->target);
    must_lie_within(head, head->path);
    must_lie_within(head, head->query);
    must_lie_within(head, head->host);
    must_lie_within(head, head->upgrade);
    must(mw_http1_is_token(bytes + head->method.at, head->method.size));
    must(mw_http1_is_target(bytes + head->target.at, head->target.size));
    walk(head, bytes);
    decode(head, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 1) {
        return 0;
    }
    const char *bytes = (const char *)input + 1;
    struct mw_http1_head whole = {.size = 0}, cut = {.size = 0};
    enum mw_http1_result result = mw_http1_parse_request(&whole, bytes, size - 1, &limits),
                         again = MW_HTTP1_MORE;
    size_t step = (size_t)input[0] % 64 + 1;
    for (size_t there = 0; again == MW_HTTP1_MORE && there < size - 1;) {
        there = size - 1 - there > step ? there + step : size - 1;
        char *copy = malloc(there);
        memcpy(copy, bytes, there);
        again = mw_http1_parse_request(&cut, copy, there, &limits);
        free(copy);
    }
    must(again == result && cut.refusal == whole.refusal && cut.why == whole.why);
    if (result == MW_HTTP1_DONE) {
        cut.parser = whole.parser;
        must(memcmp(&cut, &whole, sizeof cut) == 0);
        look(&whole, bytes);
    }
    must(result != MW_HTTP1_BAD || (whole.why && whole.refusal >= 400 && whole.refusal < 600));
    return 0;
}
