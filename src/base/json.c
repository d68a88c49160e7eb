#include "base/json.h"

#include "base/utf8.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What may come next. */
enum { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COMMA_OR_END, NOTHING, FAILED };

static enum mw_json_token refuse(struct mw_json *json, size_t at, const char *why) {
    json->start = at < json->length ? at : json->length;
    json->why = at < json->length ? why : "the text ends too early";
    json->expects = FAILED;
    return MW_JSON_FAULT;
}

static void skip_space(struct mw_json *json) {
    for (; json->at < json->length; json->at++) {
        char c = json->text[json->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return;
        }
    }
}

/* The byte at `at`, 0 behind the end. */
static char byte_at(const struct mw_json *json, size_t at) {
    if (at < json->length) {
        return json->text[at];
    }
    return '\0';
}

static bool in_object(const struct mw_json *json) {
    unsigned level = json->depth - 1;
    return json->objects[level / 8] >> level % 8 & 1;
}

/* A value is complete. */
static enum mw_json_token complete(struct mw_json *json, enum mw_json_token token) {
    json->expects = json->depth ? COMMA_OR_END : NOTHING;
    return token;
}

/* --- strings --- */

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static uint32_t hex_value(char c) {
    return (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* The unit that \uXXXX at `at` stands for; -1: it is none. */
static int32_t unit_at(const struct mw_json *json, size_t at) {
    if (byte_at(json, at) != '\\' || byte_at(json, at + 1) != 'u') {
        return -1;
    }
    uint32_t unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = byte_at(json, i);
        if (!is_hex(c)) {
            return -1;
        }
        unit = unit << 4 | hex_value(c);
    }
    return (int32_t)unit;
}

/* The code point of the \u escape at `at`, whose length is set; -1: half of a pair. */
static int32_t point_at(const struct mw_json *json, size_t at, size_t *length) {
    int32_t high = unit_at(json, at);
    *length = 6;
    if (high < 0xD800 || high > 0xDFFF) {
        return high;
    }
    int32_t low = high < 0xDC00 ? unit_at(json, at + 6) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        return -1;
    }
    *length = 12;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* The length of the escape at `at`; 0 with a fault. */
static size_t check_escape(struct mw_json *json, size_t at) {
    char c = byte_at(json, at + 1);
    if (c != 'u') {
        if (c && strchr("\"\\/bfnrt", c)) {
            return 2;
        }
        refuse(json, at + 1 < json->length ? at : json->length, "an escape that does not exist");
        return 0;
    }
    size_t length = 2;
    while (length < 6 && is_hex(byte_at(json, at + length))) {
        length++;
    }
    if (length < 6) {
        bool cut = at + length >= json->length;
        refuse(json, cut ? json->length : at, "\\u without four hexadecimal digits behind it");
        return 0;
    }
    if (point_at(json, at, &length) < 0 && !json->replace) {
        refuse(json, at, "half of a surrogate pair");
        return 0;
    }
    return length;
}

/* Checks one character of a string; returns its length, 0 with a fault. */
static size_t check_character(struct mw_json *json, size_t at) {
    unsigned char c = (unsigned char)json->text[at];
    if (c >= ' ' && c < 0x80 && c != '\\') {
        return 1;
    }
    if (c < ' ') {
        refuse(json, at, "a control character in a string");
        return 0;
    }
    if (c == '\\') {
        json->written_otherwise = true;
        return check_escape(json, at);
    }
    size_t length = mw_utf8_length(json->text + at, json->length - at);
    if (!length && !json->replace) {
        refuse(json, at, "bytes that are no UTF-8");
    }
    json->written_otherwise |= !length;
    return length ? length : json->replace;
}

/* The string whose opening quote is at `json->at`. False with a fault. */
static bool read_string(struct mw_json *json) {
    size_t at = json->at + 1;
    json->string = at;
    json->written_otherwise = false;
    while (byte_at(json, at) != '"') {
        size_t length = at < json->length ? check_character(json, at) : 0;
        if (!length) {
            if (at >= json->length) {
                refuse(json, at, "");
            }
            return false;
        }
        at += length;
    }
    json->string_length = at - json->string;
    json->at = at + 1;
    return true;
}

static char simple_escape(char c) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *found = strchr(from, c);
    if (found) {
        return to[found - from];
    }
    return c;
}

static size_t write_replacement(char *out) {
    return mw_utf8_write(MW_UTF8_REPLACEMENT, out);
}

size_t mw_json_string(const struct mw_json *json, char *out) {
    size_t written = 0, end = json->string + json->string_length;
    for (size_t at = json->string, length; at < end; at += length) {
        const char *text = json->text + at;
        if (*text == '\\' && text[1] != 'u') {
            length = 2;
            out[written++] = simple_escape(text[1]);
        } else if (*text == '\\') {
            int32_t point = point_at(json, at, &length);
            written += point < 0 ? write_replacement(out + written) : mw_utf8_write((uint32_t)point, out + written);
        } else {
            length = mw_utf8_length(text, end - at);
            if (!length) {
                length = 1;
                written += write_replacement(out + written);
                continue;
            }
            memcpy(out + written, text, length);
            written += length;
        }
    }
    return written;
}

/* --- numbers --- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t skip_digits(const struct mw_json *json, size_t at) {
    while (is_digit(byte_at(json, at))) {
        at++;
    }
    return at;
}

/* Whether the digits, of a negative number or not, fit into `integer`. */
static bool to_integer(struct mw_json *json, size_t from, size_t to, bool negative) {
    uint64_t value = 0;
    for (size_t i = from; i < to; i++) {
        uint64_t digit = (uint64_t)(json->text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative || (negative && value == 0)) {
        return false;
    }
    json->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* The text ends with a NUL or with what is no part of a number. The locale of
 * the process, which a script may set, must not decide what a point is. */
static double to_real(const char *text) {
    static locale_t plain;
    if (!plain) {
        plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    }
    return strtod_l(text, NULL, plain);
}

static enum mw_json_token read_number(struct mw_json *json) {
    size_t from = json->at, whole = from + (byte_at(json, from) == '-'), at = skip_digits(json, whole);
    if (at == whole) {
        return refuse(json, at, "a digit expected");
    }
    if (json->text[whole] == '0' && at > whole + 1) {
        return refuse(json, whole, "a number with a leading zero");
    }
    size_t end = at;
    if (byte_at(json, at) == '.') {
        size_t fraction = at + 1;
        at = skip_digits(json, fraction);
        if (at == fraction) {
            return refuse(json, at, "a digit expected");
        }
    }
    if (byte_at(json, at) == 'e' || byte_at(json, at) == 'E') {
        size_t exponent = at + 1 + (byte_at(json, at + 1) == '-' || byte_at(json, at + 1) == '+');
        at = skip_digits(json, exponent);
        if (at == exponent) {
            return refuse(json, at, "a digit expected");
        }
    }
    json->at = at;
    if (at == end && to_integer(json, whole, end, whole > from)) {
        return complete(json, MW_JSON_INTEGER);
    }
    json->real = to_real(json->text + from);
    if (isinf(json->real)) {
        return refuse(json, from, "a number that is out of range");
    }
    return complete(json, MW_JSON_REAL);
}

/* --- values --- */

static enum mw_json_token read_word(struct mw_json *json, const char *word, enum mw_json_token token) {
    size_t length = strlen(word), left = json->length - json->at;
    if (memcmp(json->text + json->at, word, left < length ? left : length) != 0) {
        return refuse(json, json->at, "a value expected");
    }
    if (left < length) {
        return refuse(json, json->length, "");
    }
    json->at += length;
    return complete(json, token);
}

static enum mw_json_token open_level(struct mw_json *json, bool object) {
    if (json->depth == json->depth_limit) {
        json->too_deep = true;
        return refuse(json, json->at, "nested too deeply");
    }
    unsigned level = json->depth++, bit = 1u << level % 8;
    unsigned char others = (unsigned char)(json->objects[level / 8] & ~bit);
    json->objects[level / 8] = (unsigned char)(others | (object ? bit : 0));
    json->expects = object ? KEY_OR_END : VALUE_OR_END;
    json->at++;
    return object ? MW_JSON_OBJECT : MW_JSON_ARRAY;
}

static enum mw_json_token close_level(struct mw_json *json) {
    bool object = in_object(json);
    json->depth--;
    json->at++;
    return complete(json, object ? MW_JSON_OBJECT_END : MW_JSON_ARRAY_END);
}

static enum mw_json_token read_value(struct mw_json *json) {
    switch (byte_at(json, json->at)) {
    case '{':
        return open_level(json, true);
    case '[':
        return open_level(json, false);
    case '"':
        return read_string(json) ? complete(json, MW_JSON_STRING) : MW_JSON_FAULT;
    case 'n':
        return read_word(json, "null", MW_JSON_NULL);
    case 't':
        return read_word(json, "true", MW_JSON_TRUE);
    case 'f':
        return read_word(json, "false", MW_JSON_FALSE);
    case '-':
    case '0' ... '9':
        return read_number(json);
    default:
        return refuse(json, json->at, "a value expected");
    }
}

static enum mw_json_token read_key(struct mw_json *json) {
    if (byte_at(json, json->at) != '"') {
        return refuse(json, json->at, "a key in quotes expected");
    }
    if (!read_string(json)) {
        return MW_JSON_FAULT;
    }
    skip_space(json);
    if (byte_at(json, json->at) != ':') {
        return refuse(json, json->at, "a colon expected");
    }
    json->at++;
    json->expects = VALUE;
    return MW_JSON_KEY;
}

/* Behind a value within an array or object. */
static enum mw_json_token read_next(struct mw_json *json) {
    bool object = in_object(json);
    char c = byte_at(json, json->at);
    if (c == (object ? '}' : ']')) {
        return close_level(json);
    }
    if (c != ',') {
        return refuse(json, json->at, object ? "a comma or '}' expected" : "a comma or ']' expected");
    }
    json->at++;
    skip_space(json);
    json->start = json->at;
    return object ? read_key(json) : read_value(json);
}

enum mw_json_token mw_json_next(struct mw_json *json) {
    if (json->expects == FAILED) {
        return MW_JSON_FAULT;
    }
    skip_space(json);
    json->start = json->at;
    char c = byte_at(json, json->at);
    switch (json->expects) {
    case VALUE_OR_END:
        return c == ']' ? close_level(json) : read_value(json);
    case KEY_OR_END:
        return c == '}' ? close_level(json) : read_key(json);
    case COMMA_OR_END:
        return read_next(json);
    case NOTHING:
        return json->at == json->length ? MW_JSON_END : refuse(json, json->at, "something behind the value");
    default:
        return read_value(json);
    }
}

void mw_json_position(const struct mw_json *json, size_t at, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (json->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)json->text[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}
