#include "base/logline.h"

#include <stdio.h>
#include <string.h>

enum {
    UNIT_MAX = 16, /* bytes: the longest escape of one character */
    LEVEL_WIDTH = sizeof " error " - 1
};

/* How a character that is not plain is written. */
enum style { STYLE_PLAIN, STYLE_QUOTED, STYLE_TRACEBACK, STYLE_JSON };

static const char ellipsis[] = "…";
static const char json_begin[] = "{\"time\":\"";

_Static_assert(sizeof json_begin - 1 + MW_LOGLINE_TIME == MW_LOGLINE_HEAD, "the head holds the time");

static bool is_continuation(unsigned char byte) {
    return (byte & 0xc0) == 0x80;
}

/* Length of the UTF-8 character at `text`, 0 when it is invalid or a C1 control
 * (which terminals obey as they do an escape). */
static size_t utf8_length(const unsigned char *text, size_t left) {
    unsigned char first = text[0];
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(text[i])) {
            return 0;
        }
    }
    bool control = first == 0xc2 && text[1] < 0xa0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool no_character = (first == 0xed && text[1] >= 0xa0) || (first == 0xf4 && text[1] >= 0x90);
    return control || overlong || no_character ? 0 : length;
}

static const char *short_escape(unsigned char byte, enum style style) {
    switch (byte) {
    case '\n':
        return style == STYLE_TRACEBACK ? "\n\t" : "\\n";
    case '\t':
        return style == STYLE_TRACEBACK ? "\t" : "\\t";
    case '\r':
        return "\\r";
    case '"':
        return style == STYLE_QUOTED || style == STYLE_JSON ? "\\\"" : NULL;
    case '\\':
        return style == STYLE_QUOTED || style == STYLE_JSON ? "\\\\" : NULL;
    default:
        return NULL;
    }
}

static size_t escape_byte(unsigned char byte, enum style style, char unit[UNIT_MAX]) {
    const char *escape = short_escape(byte, style);
    if (escape) {
        return (size_t)(stpcpy(unit, escape) - unit);
    }
    if (byte >= ' ' && byte < 0x7f) {
        unit[0] = (char)byte;
        return 1;
    }
    const char *format = "\\x%02x";
    if (style == STYLE_JSON) {
        /* JSON cannot say a byte that is no character: the reader sees \xff. */
        format = byte < 0x80 ? "\\u%04x" : "\\\\x%02x";
    }
    return (size_t)snprintf(unit, UNIT_MAX, format, byte);
}

/* Writes the first character of `text` to `unit`; returns how many bytes it was. */
static size_t next_unit(const unsigned char *text, size_t left, enum style style, char unit[UNIT_MAX],
                        size_t *length) {
    size_t taken = text[0] < 0x80 ? 0 : utf8_length(text, left);
    if (taken > 0) {
        memcpy(unit, text, taken);
        *length = taken;
        return taken;
    }
    *length = escape_byte(text[0], style, unit);
    return 1;
}

static void put(struct mw_logline *line, const char *bytes, size_t length) {
    if (length > line->limit - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void put_text(struct mw_logline *line, const char *text) {
    put(line, text, strlen(text));
}

/* Puts `value` escaped; past MW_LOG_VALUE_MAX it ends in "…", after a whole character. */
static void put_value(struct mw_logline *line, const char *value, size_t length, enum style style) {
    size_t begin = line->length, cut = begin;
    for (size_t at = 0; at < length && !line->full;) {
        char unit[UNIT_MAX];
        size_t size;
        at += next_unit((const unsigned char *)value + at, length - at, style, unit, &size);
        if (line->length + size > begin + MW_LOG_VALUE_MAX) {
            line->length = cut;
            put_text(line, ellipsis);
            return;
        }
        put(line, unit, size);
        if (line->length + sizeof ellipsis - 1 <= begin + MW_LOG_VALUE_MAX) {
            cut = line->length;
        }
    }
}

/* Whether a text value can stand without quotes and still be told from what follows. */
static bool is_plain(const char *value, size_t length) {
    for (size_t at = 0; at < length && at < MW_LOG_VALUE_MAX; at++) {
        unsigned char byte = (unsigned char)value[at];
        if (byte <= ' ' || byte == 0x7f || byte == '"' || byte == '\\' || byte == '=') {
            return false;
        }
        size_t more = byte < 0x80 ? 1 : utf8_length((const unsigned char *)value + at, length - at);
        if (more == 0) {
            return false;
        }
        at += more - 1;
    }
    return length > 0;
}

/* Bytes that would end the key in a text line become '_'. */
static void put_key(struct mw_logline *line, const char *key) {
    size_t left = strlen(key);
    while (left > 0 && !line->full) {
        size_t length = is_plain(key, 1) ? 1 : utf8_length((const unsigned char *)key, left);
        put(line, length > 0 ? key : "_", length > 0 ? length : 1);
        key += length > 0 ? length : 1;
        left -= length > 0 ? length : 1;
    }
}

static bool is_traceback(const struct mw_log_field *field) {
    return strcmp(field->key, "traceback") == 0;
}

static void put_text_field(struct mw_logline *line, const struct mw_log_field *field) {
    put_text(line, " ");
    put_key(line, field->key);
    put_text(line, "=");
    if (is_plain(field->value, field->length)) {
        put_value(line, field->value, field->length, STYLE_PLAIN);
    } else {
        put_text(line, "\"");
        put_value(line, field->value, field->length, STYLE_QUOTED);
        put_text(line, "\"");
    }
}

static void put_traceback(struct mw_logline *line, const struct mw_log_field *field) {
    size_t length = field->length;
    while (length > 0 && field->value[length - 1] == '\n') {
        length--;
    }
    put_text(line, "\n\t");
    put_value(line, field->value, length, STYLE_TRACEBACK);
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* A bare field of a script may still be inf or nan, which JSON has not. */
static bool is_json_bare(const struct mw_log_field *field) {
    static const char *const words[] = {"true", "false", "null"};
    static const char in_numbers[] = "0123456789+-.eE";
    for (size_t i = 0; field->bare && i < sizeof words / sizeof *words; i++) {
        if (field->length == strlen(words[i]) && memcmp(field->value, words[i], field->length) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < field->length; i++) {
        if (!memchr(in_numbers, field->value[i], sizeof in_numbers - 1)) {
            return false;
        }
    }
    return field->bare && field->length > 0 && is_digit(field->value[field->length - 1]);
}

static void put_json_field(struct mw_logline *line, const struct mw_log_field *field) {
    bool taken = strcmp(field->key, "time") == 0 || strcmp(field->key, "level") == 0 ||
                 strcmp(field->key, "message") == 0;
    put_text(line, ",\"");
    put_value(line, field->key, strlen(field->key), STYLE_JSON);
    put_text(line, taken ? "_\":" : "\":");
    if (is_json_bare(field)) {
        put_value(line, field->value, field->length, STYLE_PLAIN);
    } else {
        put_text(line, "\"");
        put_value(line, field->value, field->length, STYLE_JSON);
        put_text(line, "\"");
    }
}

typedef void put_field(struct mw_logline *line, const struct mw_log_field *field);

/* Puts the whole field, or nothing of it. */
static bool try_field(struct mw_logline *line, const struct mw_log_field *field, put_field *put_one) {
    size_t before = line->length;
    put_one(line, field);
    if (line->full) {
        line->length = before;
        line->full = false;
        return false;
    }
    return true;
}

static void compose_text(struct mw_logline *line, const char *level, const char *message, size_t length,
                         const struct mw_log_field *fields, size_t count) {
    static const char truncated[] = " truncated=true";
    bool fits = true;
    line->limit -= sizeof truncated; /* room for it and the newline */
    put_text(line, " ");
    put_text(line, level);
    put(line, "  ", 6 - strlen(level));
    put_value(line, message, length, STYLE_PLAIN);
    for (size_t i = 0; i < count; i++) {
        fits = (is_traceback(&fields[i]) || try_field(line, &fields[i], put_text_field)) && fits;
    }
    size_t end_of_fields = line->length;
    for (size_t i = 0; i < count; i++) {
        fits = (!is_traceback(&fields[i]) || try_field(line, &fields[i], put_traceback)) && fits;
    }
    line->limit += sizeof truncated;
    if (!fits) {
        memmove(line->bytes + end_of_fields + sizeof truncated - 1, line->bytes + end_of_fields,
                line->length - end_of_fields);
        memcpy(line->bytes + end_of_fields, truncated, sizeof truncated - 1);
        line->length += sizeof truncated - 1;
    }
    put_text(line, "\n");
}

static void compose_json(struct mw_logline *line, const char *level, const char *message, size_t length,
                         const struct mw_log_field *fields, size_t count) {
    static const char truncated[] = ",\"truncated\":true";
    bool fits = true;
    line->limit -= sizeof truncated + 1; /* room for it, the brace and the newline */
    put_text(line, "\",\"level\":\"");
    put_text(line, level);
    put_text(line, "\",\"message\":\"");
    put_value(line, message, length, STYLE_JSON);
    put_text(line, "\"");
    for (size_t i = 0; i < count; i++) {
        fits = try_field(line, &fields[i], put_json_field) && fits;
    }
    line->limit += sizeof truncated + 1;
    put_text(line, fits ? "" : truncated);
    put_text(line, "}\n");
}

void mw_logline_compose(struct mw_logline *line, enum mw_log_format format, const char *level,
                        const char *message, size_t length, const struct mw_log_field *fields, size_t count) {
    line->format = format;
    line->length = MW_LOGLINE_HEAD;
    line->limit = sizeof line->bytes;
    line->full = false;
    if (format == MW_LOG_JSON) {
        compose_json(line, level, message, length, fields, count);
    } else {
        compose_text(line, level, message, length, fields, count);
    }
}

const char *mw_logline_stamp(struct mw_logline *line, const char time[MW_LOGLINE_TIME], size_t *length) {
    size_t begin = MW_LOGLINE_HEAD - MW_LOGLINE_TIME;
    memcpy(line->bytes + begin, time, MW_LOGLINE_TIME);
    if (line->format == MW_LOG_JSON) {
        memcpy(line->bytes, json_begin, sizeof json_begin - 1);
        begin = 0;
    }
    *length = line->length - begin;
    return line->bytes + begin;
}

const char *mw_logline_body(const struct mw_logline *line, size_t *length) {
    size_t begin = MW_LOGLINE_HEAD + LEVEL_WIDTH;
    *length = line->length - begin - 1;
    return line->bytes + begin;
}

bool mw_logline_equal(const struct mw_logline *one, const struct mw_logline *other) {
    return one->length == other->length &&
           memcmp(one->bytes + MW_LOGLINE_HEAD, other->bytes + MW_LOGLINE_HEAD,
                  one->length - MW_LOGLINE_HEAD) == 0;
}
