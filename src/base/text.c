#include "base/text.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROOM = 256 };

void mw_text_free(struct mw_text *text) {
    free(text->bytes);
    *text = (struct mw_text){.bytes = NULL};
}

char *mw_text_reserve(struct mw_text *text, size_t size) {
    if (text->failed) {
        return NULL;
    }
    if (text->room - text->size < size) {
        size_t room = text->room ? text->room : LEAST_ROOM;
        while (room - text->size < size && room <= SIZE_MAX / 2) {
            room *= 2;
        }
        char *bytes = room - text->size < size ? NULL : realloc(text->bytes, room);
        if (!bytes) {
            text->failed = true;
            return NULL;
        }
        text->bytes = bytes;
        text->room = room;
    }
    return text->bytes + text->size;
}

void mw_text_add(struct mw_text *text, const void *bytes, size_t size) {
    char *place = size ? mw_text_reserve(text, size) : NULL;
    if (place) {
        memcpy(place, bytes, size);
        text->size += size;
    }
}

void mw_text_puts(struct mw_text *text, const char *string) {
    mw_text_add(text, string, strlen(string));
}

void mw_text_format(struct mw_text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *place = length > 0 ? mw_text_reserve(text, (size_t)length + 1) : NULL;
    if (place) {
        vsnprintf(place, (size_t)length + 1, format, again);
        text->size += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

static void add_escaped(struct mw_text *text, unsigned char byte) {
    static const char short_forms[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    const char *form = strchr(short_forms, byte);
    if (byte && form) {
        mw_text_add(text, (char[]){'\\', letters[form - short_forms]}, 2);
    } else {
        mw_text_format(text, "\\u%04x", byte);
    }
}

/* Bytes that stand for themselves are added in one piece. */
void mw_text_json(struct mw_text *text, const char *bytes, size_t size) {
    const char *end = bytes + size, *plain = bytes;
    mw_text_add(text, "\"", 1);
    while (bytes < end) {
        unsigned char byte = (unsigned char)*bytes;
        size_t length = byte < 0x80 ? 1 : mw_utf8_length(bytes, (size_t)(end - bytes));
        if (length && byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) {
            bytes += length;
            continue;
        }
        mw_text_add(text, plain, (size_t)(bytes - plain));
        if (length) {
            add_escaped(text, byte);
        } else {
            mw_text_puts(text, "\xef\xbf\xbd");
        }
        plain = ++bytes;
    }
    mw_text_add(text, plain, (size_t)(bytes - plain));
    mw_text_add(text, "\"", 1);
}

const char *mw_text_string(struct mw_text *text) {
    char *place = mw_text_reserve(text, 1);
    if (!place) {
        return "";
    }
    *place = '\0';
    return text->bytes;
}
