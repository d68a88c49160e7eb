/* layers: base proto */
/* Signatures: bytes are found where a plain search finds them, however the stream is cut; expressions do no harm. */
#include "proto/signature.h"
#include "target.h"

#include <string.h>

enum { MOST = 8 };

struct finds {
    bool found[MOST];
};

static size_t read_list(struct input *input, struct mw_signature list[MOST]) {
    size_t count = input_byte(input) % (MOST + 1);
    for (size_t i = 0; i < count; i++) {
        unsigned kind = input_byte(input);
        list[i].is_regex = kind & 1;
        list[i].within = 1 + input_byte(input);
        list[i].text = (const char *)input_take(input, 1 + kind / 8, &list[i].size);
    }
    return count;
}

static void note(void *context, size_t number, enum mw_scan_result result) {
    struct finds *finds = context;
    must(number < MOST && !finds->found[number]);
    must(result == MW_SCAN_FOUND || result == MW_SCAN_GAVE_UP);
    finds->found[number] = true;
}

static void scan(struct mw_signatures *set, struct input text, unsigned piece, struct finds *finds) {
    struct mw_scan *scan = mw_scan_new(set);
    memset(finds, 0, sizeof *finds);
    do {
        size_t size;
        const uint8_t *bytes = input_take(&text, piece, &size);
        uint8_t *copy = malloc(size + 1);
        if (size) {
            memcpy(copy + 1, bytes, size);
        }
        mw_scan_feed(scan, copy + 1, size, text.left == 0, note, finds);
        free(copy);
    } while (text.left);
    must(mw_scan_is_done(scan));
    mw_scan_free(scan);
}

static bool occurs(const struct mw_signature *signature, const struct input *text) {
    size_t size = text->left < signature->within ? text->left : (size_t)signature->within;
    return memmem(text->at, size, signature->text, signature->size) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input input = {.at = bytes, .left = size};
    struct mw_signature list[MOST];
    struct finds finds;
    size_t wrong, count = read_list(&input, list);
    unsigned piece = 1 + input_byte(&input);
    char why[128];
    struct mw_signatures *set = mw_signatures_new(list, count, &wrong, why);
    must(set || (wrong < count && why[0]));
    if (!set) {
        return 0;
    }
    scan(set, input, piece, &finds);
    for (size_t i = 0; i < count; i++) {
        must(list[i].is_regex || finds.found[i] == occurs(&list[i], &input));
    }
    mw_signatures_free(set);
    return 0;
}
