#include "proto/message.h"

#include <string.h>

enum tag { TAG_NIL, TAG_FALSE, TAG_TRUE, TAG_INTEGER, TAG_NUMBER, TAG_STRING, TAG_TABLE, TAG_LIST };

enum { VARINT_MOST = 10, NUMBER_SIZE = 8, LENGTH_SIZE = 4 };

/* --- writing --- */

static void write_tag(struct mw_text *text, enum tag tag) {
    char *place = mw_text_reserve(text, 1);
    if (place) {
        *place = (char)tag;
        text->size++;
    }
}

/* A tag and a varint. */
static void write_varint(struct mw_text *text, enum tag tag, uint64_t value) {
    char *place = mw_text_reserve(text, 1 + VARINT_MOST);
    if (!place) {
        return;
    }
    size_t size = 0;
    place[size++] = (char)tag;
    for (; value >= 0x80; value >>= 7) {
        place[size++] = (char)(value | 0x80);
    }
    place[size++] = (char)value;
    text->size += size;
}

static void store(char *place, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        place[i] = (char)(value >> 8 * i);
    }
}

static uint64_t load(const char *place, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)(unsigned char)place[i] << 8 * i;
    }
    return value;
}

void mw_message_nil(struct mw_text *text) {
    write_tag(text, TAG_NIL);
}

void mw_message_boolean(struct mw_text *text, bool value) {
    write_tag(text, value ? TAG_TRUE : TAG_FALSE);
}

void mw_message_integer(struct mw_text *text, int64_t value) {
    write_varint(text, TAG_INTEGER, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void mw_message_number(struct mw_text *text, double value) {
    char *place = mw_text_reserve(text, 1 + NUMBER_SIZE);
    if (place) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        *place = TAG_NUMBER;
        store(place + 1, bits, NUMBER_SIZE);
        text->size += 1 + NUMBER_SIZE;
    }
}

void mw_message_string(struct mw_text *text, const void *bytes, size_t size) {
    write_varint(text, TAG_STRING, size);
    mw_text_add(text, bytes, size);
}

static size_t open_table(struct mw_text *text, enum tag tag) {
    char *place = mw_text_reserve(text, 1 + LENGTH_SIZE);
    if (place) {
        *place = (char)tag;
        text->size += 1 + LENGTH_SIZE;
    }
    return text->size;
}

size_t mw_message_open(struct mw_text *text) {
    return open_table(text, TAG_TABLE);
}

size_t mw_message_open_list(struct mw_text *text) {
    return open_table(text, TAG_LIST);
}

/* A length that does not fit is beyond the limit anyway; it must only not look like one within. */
void mw_message_close(struct mw_text *text, size_t opened) {
    if (!text->failed) {
        size_t size = text->size - opened;
        store(text->bytes + opened - LENGTH_SIZE, size < UINT32_MAX ? size : UINT32_MAX, LENGTH_SIZE);
    }
}

static void write_key(struct mw_text *text, const char *key) {
    mw_message_string(text, key, strlen(key));
}

void mw_message_put_boolean(struct mw_text *text, const char *key, bool value) {
    write_key(text, key);
    mw_message_boolean(text, value);
}

void mw_message_put_integer(struct mw_text *text, const char *key, int64_t value) {
    write_key(text, key);
    mw_message_integer(text, value);
}

void mw_message_put_number(struct mw_text *text, const char *key, double value) {
    write_key(text, key);
    mw_message_number(text, value);
}

void mw_message_put_string(struct mw_text *text, const char *key, const char *value) {
    if (value) {
        write_key(text, key);
        write_key(text, value);
    }
}

/* --- reading --- */

/* Bytes that are yet to be read. */
struct rest {
    const char *at;
    size_t left;
};

static void skip(struct rest *rest, size_t size) {
    rest->at += size;
    rest->left -= size;
}

/* Refuses what is cut short, does not fit, or is written with more bytes than it needs. */
static bool read_varint(struct rest *rest, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < VARINT_MOST && i < rest->left; i++) {
        uint64_t byte = (unsigned char)rest->at[i];
        *value |= (byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            skip(rest, i + 1);
            return (byte > 0 || i == 0) && (byte <= 1 || i < VARINT_MOST - 1);
        }
    }
    return false;
}

/* A part of `size` bytes that belongs to the value. */
static bool take(struct rest *rest, struct mw_value *value, uint64_t size) {
    if (size > rest->left) {
        return false;
    }
    value->bytes = rest->at;
    value->size = (size_t)size;
    skip(rest, value->size);
    return true;
}

static bool read_integer(struct rest *rest, struct mw_value *value) {
    uint64_t number;
    if (!read_varint(rest, &number)) {
        return false;
    }
    value->integer = (int64_t)(number >> 1 ^ (number & 1 ? UINT64_MAX : 0));
    value->number = (double)value->integer;
    return true;
}

static bool read_number(struct rest *rest, struct mw_value *value) {
    if (rest->left < NUMBER_SIZE) {
        return false;
    }
    uint64_t bits = load(rest->at, NUMBER_SIZE);
    memcpy(&value->number, &bits, sizeof bits);
    skip(rest, NUMBER_SIZE);
    return true;
}

static bool read_table(struct rest *rest, struct mw_value *value) {
    if (rest->left < LENGTH_SIZE) {
        return false;
    }
    uint64_t size = load(rest->at, LENGTH_SIZE);
    skip(rest, LENGTH_SIZE);
    return take(rest, value, size);
}

/* The value at the front, without looking into a table. */
static bool read_value(struct rest *rest, struct mw_value *value) {
    static const enum mw_value_type types[] = {MW_VALUE_NIL,     MW_VALUE_BOOLEAN, MW_VALUE_BOOLEAN,
                                               MW_VALUE_INTEGER, MW_VALUE_NUMBER,  MW_VALUE_STRING,
                                               MW_VALUE_TABLE,   MW_VALUE_TABLE};
    uint64_t size;
    if (rest->left == 0 || (unsigned char)*rest->at > TAG_LIST) {
        return false;
    }
    enum tag tag = (enum tag) * rest->at;
    *value = (struct mw_value){
        .type = types[tag], .boolean = tag == TAG_TRUE || tag == TAG_LIST, .bytes = rest->at};
    skip(rest, 1);
    switch (tag) {
    case TAG_INTEGER:
        return read_integer(rest, value);
    case TAG_NUMBER:
        return read_number(rest, value);
    case TAG_STRING:
        return read_varint(rest, &size) && take(rest, value, size);
    case TAG_TABLE:
    case TAG_LIST:
        return read_table(rest, value);
    default:
        return true;
    }
}

static bool is_key(const struct mw_value *value) {
    return value->type != MW_VALUE_NIL && value->type != MW_VALUE_TABLE && value->number == value->number;
}

static bool check_table(const struct mw_value *table, unsigned depth) {
    struct rest rest = {table->bytes, table->size};
    while (rest.left > 0) {
        struct mw_value key, value;
        if (!read_value(&rest, &key) || !is_key(&key) || !read_value(&rest, &value)) {
            return false;
        }
        if (value.type == MW_VALUE_TABLE &&
            (depth == MW_MESSAGE_DEPTH_MOST || !check_table(&value, depth + 1))) {
            return false;
        }
    }
    return true;
}

bool mw_message_read(struct mw_value *value, const void *bytes, size_t size) {
    struct rest rest = {bytes, size};
    return size <= MW_MESSAGE_SIZE_MOST && read_value(&rest, value) && rest.left == 0 &&
           (value->type != MW_VALUE_TABLE || check_table(value, 1));
}

bool mw_value_next(const struct mw_value *table, size_t *at, struct mw_value *key, struct mw_value *value) {
    if (table->type != MW_VALUE_TABLE || *at >= table->size) {
        return false;
    }
    struct rest rest = {table->bytes + *at, table->size - *at};
    bool whole = read_value(&rest, key) && read_value(&rest, value);
    *at = table->size - rest.left;
    return whole;
}

struct mw_value mw_value_field(const struct mw_value *table, const char *key) {
    struct mw_value name, value;
    size_t length = strlen(key);
    for (size_t at = 0; mw_value_next(table, &at, &name, &value);) {
        if (name.type == MW_VALUE_STRING && name.size == length && memcmp(name.bytes, key, length) == 0) {
            return value;
        }
    }
    return (struct mw_value){.type = MW_VALUE_NIL, .bytes = ""};
}

int64_t mw_value_integer(const struct mw_value *table, const char *key, int64_t otherwise) {
    struct mw_value value = mw_value_field(table, key);
    return value.type == MW_VALUE_INTEGER ? value.integer : otherwise;
}

double mw_value_number(const struct mw_value *table, const char *key, double otherwise) {
    struct mw_value value = mw_value_field(table, key);
    return value.type == MW_VALUE_INTEGER || value.type == MW_VALUE_NUMBER ? value.number : otherwise;
}

bool mw_value_boolean(const struct mw_value *table, const char *key, bool otherwise) {
    struct mw_value value = mw_value_field(table, key);
    return value.type == MW_VALUE_BOOLEAN ? value.boolean : otherwise;
}

const char *mw_value_string(const struct mw_value *table, const char *key, char *text, size_t size) {
    struct mw_value value = mw_value_field(table, key);
    size_t length = value.type != MW_VALUE_STRING ? 0 : value.size < size ? value.size : size - 1;
    if (length > 0) {
        memcpy(text, value.bytes, length);
    }
    text[length] = '\0';
    return text;
}
