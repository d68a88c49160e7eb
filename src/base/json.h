/* JSON (RFC 8259) in tokens: a strict reader of untrusted text, without Lua and
 * without allocations. It checks the grammar, so that whoever builds values from
 * its tokens need not. */
#ifndef MW_BASE_JSON_H
#define MW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MW_JSON_DEPTH_MOST = 1000 };

enum mw_json_token {
    MW_JSON_FAULT, /* `why` and `start` say what and where; nothing follows */
    MW_JSON_END,
    MW_JSON_NULL,
    MW_JSON_FALSE,
    MW_JSON_TRUE,
    MW_JSON_INTEGER, /* without fraction and exponent, and fits */
    MW_JSON_REAL,
    MW_JSON_STRING,
    MW_JSON_KEY, /* a string; its value follows */
    MW_JSON_ARRAY,
    MW_JSON_ARRAY_END,
    MW_JSON_OBJECT,
    MW_JSON_OBJECT_END,
};

struct mw_json {
    /* Set by the caller, all else zero. */
    const char *text; /* with a NUL behind its end */
    size_t length;
    unsigned depth_limit; /* arrays and objects within each other, at most MW_JSON_DEPTH_MOST */
    bool replace;         /* what is no UTF-8 stands for U+FFFD instead of being a fault */

    /* Of the present token. */
    size_t start;
    size_t string, string_length; /* between the quotes, as it is written */
    bool written_otherwise;       /* mw_json_string must be asked what it stands for */
    int64_t integer;
    double real;
    const char *why;
    bool too_deep; /* the fault is that of the limit */

    size_t at; /* the reader's own, from here on */
    unsigned depth;
    unsigned char expects;
    unsigned char objects[MW_JSON_DEPTH_MOST / 8];
};

enum mw_json_token mw_json_next(struct mw_json *json);

/* Writes what the present string stands for and returns its length, at most
 * `string_length` (three times that with `replace`). */
size_t mw_json_string(const struct mw_json *json, char *out);

/* Line and column, in characters, of an offset, both from 1. */
void mw_json_position(const struct mw_json *json, size_t at, size_t *line, size_t *column);

#endif
