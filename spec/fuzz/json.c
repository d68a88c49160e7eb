/* layers: base */
/* JSON: tokens lie within the text and balance, a fault has a place in it, and
 * the tokens, written in ASCII, are read as the same ones. */
#include "base/json.h"
#include "base/utf8.h"
#include "target.h"

#include <inttypes.h>
#include <string.h>

enum { NUMBER_MAX = 32 };

struct text {
    char *bytes;
    size_t length;
};

static void start(struct mw_json *json, const struct text *text, unsigned depth_limit, bool replace) {
    memset(json, 0, sizeof *json);
    json->text = text->bytes;
    json->length = text->length;
    json->depth_limit = depth_limit;
    json->replace = replace;
}

/* What the present string stands for, in a block of the size that is promised to be enough. */
static char *copy_string(const struct mw_json *json, size_t *length) {
    size_t room = json->string_length * (json->replace ? 3 : 1);
    char *copy = malloc(room);
    must(copy != NULL);
    must(json->string > 0 && json->string + json->string_length < json->length);
    *length = mw_json_string(json, copy);
    must(*length <= room);
    must(json->written_otherwise ||
         (*length == json->string_length && memcmp(copy, json->text + json->string, *length) == 0));
    return copy;
}

static void write_escape(struct text *out, uint32_t unit) {
    out->length += (size_t)sprintf(out->bytes + out->length, "\\u%04" PRIx32, unit);
}

/* A character of more than one byte, as what \u stands for: one or a pair. */
static void write_point(struct text *out, const char *text, size_t length) {
    uint32_t point = (unsigned char)*text & (0xFFU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        point = point << 6 | ((unsigned char)text[i] & 0x3FU);
    }
    if (point >= 0x10000) {
        write_escape(out, 0xD800 + ((point - 0x10000) >> 10));
        point = 0xDC00 + ((point - 0x10000) & 0x3FF);
    }
    write_escape(out, point);
}

static void write_string(struct text *out, const struct mw_json *json) {
    size_t left, length;
    char *copy = copy_string(json, &left);
    out->bytes[out->length++] = '"';
    for (const char *at = copy; left > 0; at += length, left -= length) {
        unsigned char byte = (unsigned char)*at;
        length = mw_utf8_length(at, left);
        must(length > 0);
        if (length > 1) {
            write_point(out, at, length);
        } else if (byte < ' ' || byte == '"' || byte == '\\') {
            write_escape(out, byte);
        } else {
            out->bytes[out->length++] = *at;
        }
    }
    out->bytes[out->length++] = '"';
    free(copy);
}

static void write_word(struct text *out, const char *word) {
    out->length += (size_t)sprintf(out->bytes + out->length, "%s", word);
}

/* An integer has one text only. */
static void write_integer(struct text *out, const struct mw_json *json) {
    char number[NUMBER_MAX];
    snprintf(number, sizeof number, "%" PRId64, json->integer);
    must(strncmp(json->text + json->start, number, strlen(number)) == 0);
    write_word(out, number);
}

static void write_real(struct text *out, double real) {
    char number[NUMBER_MAX];
    snprintf(number, sizeof number, "%.17g", real);
    write_word(out, number);
    if (!strpbrk(number, ".e")) {
        write_word(out, ".0");
    }
}

static void write_token(struct text *out, const struct mw_json *json, enum mw_json_token token) {
    static const char *const words[] = {
        [MW_JSON_NULL] = "null",    [MW_JSON_FALSE] = "false", [MW_JSON_TRUE] = "true",
        [MW_JSON_ARRAY] = "[",      [MW_JSON_ARRAY_END] = "]", [MW_JSON_OBJECT] = "{",
        [MW_JSON_OBJECT_END] = "}",
    };
    switch (token) {
    case MW_JSON_INTEGER:
        write_integer(out, json);
        break;
    case MW_JSON_REAL:
        write_real(out, json->real);
        break;
    case MW_JSON_STRING:
    case MW_JSON_KEY:
        write_string(out, json);
        write_word(out, token == MW_JSON_KEY ? ":" : "");
        break;
    default:
        write_word(out, words[token]);
    }
}

static bool is_opening(enum mw_json_token token) {
    return token == MW_JSON_ARRAY || token == MW_JSON_OBJECT;
}

static bool is_closing(enum mw_json_token token) {
    return token == MW_JSON_ARRAY_END || token == MW_JSON_OBJECT_END;
}

static void check_fault(struct mw_json *json) {
    size_t line, column;
    must(json->why && *json->why && json->start <= json->length);
    mw_json_position(json, json->start, &line, &column);
    must(line >= 1 && column >= 1 && line + column <= json->length + 2);
    must(mw_json_next(json) == MW_JSON_FAULT);
}

/* Reads all and writes it in ASCII; false with a fault. */
static bool rewrite(struct mw_json *json, struct text *out) {
    enum mw_json_token token, last = MW_JSON_FAULT;
    size_t at = 0, depth = 0;
    while ((token = mw_json_next(json)) > MW_JSON_END) {
        must(json->start >= at && json->start < json->length);
        at = json->start + 1;
        must(!is_closing(token) || depth > 0);
        depth = depth + is_opening(token) - is_closing(token);
        must(depth <= json->depth_limit);
        bool first = last == MW_JSON_FAULT || last == MW_JSON_KEY || is_opening(last);
        write_word(out, first || is_closing(token) ? "" : ",");
        write_token(out, json, token);
        last = token;
    }
    if (token == MW_JSON_FAULT) {
        check_fault(json);
        return false;
    }
    must(depth == 0 && last != MW_JSON_FAULT);
    return true;
}

static void compare_strings(const struct mw_json *one, const struct mw_json *other) {
    size_t length, other_length;
    char *copy = copy_string(one, &length), *other_copy = copy_string(other, &other_length);
    must(length == other_length && memcmp(copy, other_copy, length) == 0);
    free(copy);
    free(other_copy);
}

static void compare(struct mw_json *one, struct mw_json *other) {
    enum mw_json_token token;
    do {
        token = mw_json_next(one);
        must(mw_json_next(other) == token && token != MW_JSON_FAULT);
        must(token != MW_JSON_INTEGER || one->integer == other->integer);
        must(token != MW_JSON_REAL || memcmp(&one->real, &other->real, sizeof one->real) == 0);
        if (token == MW_JSON_STRING || token == MW_JSON_KEY) {
            compare_strings(one, other);
        }
    } while (token != MW_JSON_END);
}

/* The first byte says how deep values may nest, and whether bytes are replaced. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct mw_json json, again;
    struct input input = {bytes, size};
    unsigned how = input_byte(&input), depth = how & 0x40 ? MW_JSON_DEPTH_MOST : how & 0x3f;
    struct text text = {malloc(input.left + 1), input.left},
                plain = {malloc(NUMBER_MAX * (input.left + 1)), 0};
    must(text.bytes != NULL && plain.bytes != NULL);
    memcpy(text.bytes, input.at, input.left);
    text.bytes[text.length] = '\0';
    start(&json, &text, depth, how & 0x80);
    if (rewrite(&json, &plain)) {
        start(&json, &text, depth, how & 0x80);
        plain.bytes[plain.length] = '\0';
        start(&again, &plain, depth, false);
        compare(&json, &again);
    }
    free(text.bytes);
    free(plain.bytes);
    return 0;
}
