/* layers: base proto */
/* Messages: what is accepted can be walked to its last byte, and written again it
 * is the same bytes. */
#include "proto/message.h"
#include "target.h"

#include <string.h>

/* Writes a value again; returns how deep its tables nest. */
static unsigned write_again(struct mw_text *text, const struct mw_value *value) {
    unsigned depth = 0;
    struct mw_value key, inner;
    size_t opened;
    switch (value->type) {
    case MW_VALUE_NIL:
        mw_message_nil(text);
        return 0;
    case MW_VALUE_BOOLEAN:
        mw_message_boolean(text, value->boolean);
        return 0;
    case MW_VALUE_INTEGER:
        mw_message_integer(text, value->integer);
        return 0;
    case MW_VALUE_NUMBER:
        mw_message_number(text, value->number);
        return 0;
    case MW_VALUE_STRING:
        mw_message_string(text, value->bytes, value->size);
        return 0;
    default:
        opened = value->boolean ? mw_message_open_list(text) : mw_message_open(text);
        for (size_t at = 0; mw_value_next(value, &at, &key, &inner);) {
            must(key.type != MW_VALUE_NIL && write_again(text, &key) == 0);
            unsigned inside = write_again(text, &inner);
            depth = inside > depth ? inside : depth;
        }
        mw_message_close(text, opened);
        return depth + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct mw_value value;
    struct mw_text text = {.bytes = NULL};
    char name[8];
    if (mw_message_read(&value, bytes, size)) {
        must(write_again(&text, &value) <= MW_MESSAGE_DEPTH_MOST);
        must(!text.failed && text.size == size && memcmp(text.bytes, bytes, size) == 0);
        mw_value_string(&value, "name", name, sizeof name);
        must(strlen(name) < sizeof name);
    }
    mw_text_free(&text);
    return 0;
}
