#include "proc/control_request.h"

#include "base/json.h"
#include "proc/control.h"

#include <stdio.h>
#include <string.h>

struct reader {
    struct mw_json json;
    struct mw_text *message;
    char *scratch, *why;
};

static bool fail(const struct reader *reader, const char *what) {
    snprintf(reader->why, MW_CONTROL_WHY, "%s", what);
    return false;
}

static bool fail_at(const struct reader *reader, const char *what) {
    size_t line, column;
    mw_json_position(&reader->json, reader->json.start, &line, &column);
    snprintf(reader->why, MW_CONTROL_WHY, "a request is one flat JSON object: column %zu: %s", column, what);
    return false;
}

static void put_string(struct reader *reader) {
    size_t length = mw_json_string(&reader->json, reader->scratch);
    mw_message_string(reader->message, reader->scratch, length);
}

static bool put_value(struct reader *reader) {
    enum mw_json_token token = mw_json_next(&reader->json);
    switch (token) {
    case MW_JSON_NULL:
        mw_message_nil(reader->message);
        return true;
    case MW_JSON_FALSE:
    case MW_JSON_TRUE:
        mw_message_boolean(reader->message, token == MW_JSON_TRUE);
        return true;
    case MW_JSON_INTEGER:
        mw_message_integer(reader->message, reader->json.integer);
        return true;
    case MW_JSON_REAL:
        mw_message_number(reader->message, reader->json.real);
        return true;
    case MW_JSON_STRING:
        put_string(reader);
        return true;
    case MW_JSON_FAULT:
        return fail_at(reader, reader->json.why);
    default:
        return fail_at(reader, "objects and arrays within it are not taken");
    }
}

/* The fields of the object that was opened, up to the end of the text. */
static bool put_fields(struct reader *reader) {
    enum mw_json_token token;
    int fields = 0;
    while ((token = mw_json_next(&reader->json)) == MW_JSON_KEY) {
        if (++fields > MW_CONTROL_FIELDS) {
            return fail(reader, "the request has too many fields");
        }
        put_string(reader);
        if (!put_value(reader)) {
            return false;
        }
    }
    if (token == MW_JSON_OBJECT_END) {
        token = mw_json_next(&reader->json);
    }
    return token == MW_JSON_END || fail_at(reader, reader->json.why);
}

static bool equal(const struct mw_value *one, const struct mw_value *other) {
    return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0;
}

/* Of a field that is there twice, two readers might each see another one. */
static bool has_twice(const struct mw_value *table) {
    struct mw_value key, other, value;
    for (size_t at = 0; mw_value_next(table, &at, &key, &value);) {
        for (size_t next = at; mw_value_next(table, &next, &other, &value);) {
            if (equal(&key, &other)) {
                return true;
            }
        }
    }
    return false;
}

static bool check(const struct reader *reader) {
    struct mw_value table;
    if (reader->message->failed) {
        return true;
    }
    if (!mw_message_read(&table, reader->message->bytes, reader->message->size)) {
        return fail(reader, "the request cannot be passed on");
    }
    if (has_twice(&table)) {
        return fail(reader, "the request has a field twice");
    }
    return mw_value_field(&table, "command").type == MW_VALUE_STRING ||
           fail(reader, "the request has no \"command\", or it is not a string");
}

bool mw_control_read(struct mw_text *message, const char *line, size_t length, char *scratch,
                     char why[MW_CONTROL_WHY]) {
    struct reader reader = {
        .json = {.text = line, .length = length, .depth_limit = 2},
        .message = message,
        .scratch = scratch,
        .why = why,
    };
    enum mw_json_token first = mw_json_next(&reader.json);
    if (first != MW_JSON_OBJECT) {
        return fail_at(&reader, first == MW_JSON_FAULT ? reader.json.why : "this is none");
    }
    size_t opened = mw_message_open(message);
    if (!put_fields(&reader)) {
        return false;
    }
    mw_message_close(message, opened);
    return check(&reader);
}
