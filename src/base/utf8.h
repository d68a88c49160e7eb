/* UTF-8 from untrusted bytes (RFC 3629): neither surrogates nor overlong forms. */
#ifndef MW_BASE_UTF8_H
#define MW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point, of three bytes, that stands for bytes that are no UTF-8. */
enum { MW_UTF8_REPLACEMENT = 0xFFFD };

/* The number of bytes of the character at `text`, of which `size` are there, 1 to 4; 0: it is none. */
size_t mw_utf8_length(const char *text, size_t size);

/* Writes a code point up to U+10FFFF and returns the number of bytes, at most 4. */
size_t mw_utf8_write(uint32_t point, char *text);

/* The check of a text that comes in pieces. Zeroed before the first one: between two characters. */
struct mw_utf8_check {
    unsigned char missing;   /* bytes that the character under way still lacks */
    unsigned char low, high; /* the bounds of its next one */
};

/* False as soon as the bytes cannot be the next ones of any text, and the check is worth nothing from then on. */
bool mw_utf8_check_add(struct mw_utf8_check *check, const char *bytes, size_t size);

/* Whether the text may end here. */
static inline bool mw_utf8_check_ends(const struct mw_utf8_check *check) {
    return check->missing == 0;
}

#endif
