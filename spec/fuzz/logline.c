/* layers: base */
/* One line of the log, from any message, keys and values: it stays one line,
 * within its length, without a byte that a terminal obeys; JSON is JSON. */
#include "base/logline.h"
#include "target.h"

#include <string.h>

enum { FIELDS = 6, KEY_MAX = 24 };

static const char time_text[] = "2026-11-22T15:04:05.123Z";

struct entry {
    char keys[FIELDS][KEY_MAX + 1];
    struct mw_log_field fields[FIELDS];
    size_t count;
    bool has_traceback;
};

static void read_field(struct input *input, struct entry *entry) {
    struct mw_log_field *field = &entry->fields[entry->count];
    unsigned how = input_byte(input);
    char *key = entry->keys[entry->count];
    size_t taken;
    const uint8_t *name = input_take(input, how % KEY_MAX, &taken);
    memcpy(key, name, taken);
    key[strnlen(key, taken)] = '\0';
    if (how >= 0xf0) {
        strcpy(key, "traceback");
    }
    entry->has_traceback |= strcmp(key, "traceback") == 0;
    field->key = key;
    field->bare = how & 0x80;
    /* Long values are short ones of the input, repeated by reading on into the next fields' bytes. */
    field->value = (const char *)input_take(input, input_16(input) % 9000, &taken);
    field->length = taken;
    entry->count++;
}

static void check_bytes(const char *text, size_t length, bool traceback) {
    must(length > 0 && length <= MW_LOG_LINE_MAX);
    must(text[length - 1] == '\n');
    for (size_t i = 0; i + 1 < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool in_traceback = traceback && (byte == '\t' || (byte == '\n' && text[i + 1] == '\t'));
        must((byte >= ' ' && byte != 0x7f) || in_traceback);
        must(byte != 0xc2 || (unsigned char)text[i + 1] >= 0xa0); /* C1 controls */
    }
}

/* Steps over a JSON string; returns where it ends, behind the quote. */
static const char *skip_string(const char *at, const char *end) {
    must(at < end && *at == '"');
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\') {
            at++;
            must(at < end && strchr("\"\\/bfnrtu", *at));
            for (int i = 0; *at == 'u' && i < 4; i++) {
                must(at + 1 + i < end && strchr("0123456789abcdef", at[1 + i]));
            }
        }
    }
    must(at < end);
    return at + 1;
}

/* An object of strings, numbers and words, without spaces. */
static void check_json(const char *at, size_t length) {
    const char *end = at + length - 1;
    must(length > 3 && *at == '{' && end[-1] == '}');
    do {
        at = skip_string(at + 1, end);
        must(at < end && *at == ':');
        at++;
        if (*at == '"') {
            at = skip_string(at, end);
        } else {
            size_t bare = strspn(at, "0123456789+-.eEtrufalsn");
            must(bare > 0);
            at += bare;
        }
    } while (*at == ',');
    must(at == end - 1 && *at == '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct mw_logline line, again;
    struct input input = {bytes, size};
    struct entry entry = {.count = 0};
    unsigned how = input_byte(&input);
    enum mw_log_format format = how & 1 ? MW_LOG_JSON : MW_LOG_TEXT;
    size_t length, message_length;
    const char *message = (const char *)input_take(&input, input_16(&input) % 9000, &message_length);
    while (input.left > 0 && entry.count < FIELDS) {
        read_field(&input, &entry);
    }
    mw_logline_compose(&line, format, "info", message, message_length, entry.fields, entry.count);
    mw_logline_compose(&again, format, "info", message, message_length, entry.fields, entry.count);
    must(mw_logline_equal(&line, &again));
    const char *text = mw_logline_stamp(&line, time_text, &length);
    check_bytes(text, length, entry.has_traceback && format == MW_LOG_TEXT);
    if (format == MW_LOG_JSON) {
        check_json(text, length);
    } else {
        must(memcmp(text, time_text, MW_LOGLINE_TIME) == 0);
    }
    return 0;
}
