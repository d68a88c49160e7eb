/* UTF-8 from untrusted bytes (RFC 3629): neither surrogates nor overlong forms. */
#ifndef MW_BASE_UTF8_H
#define MW_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The code point, of three bytes, that stands for bytes that are no UTF-8. */
enum { MW_UTF8_REPLACEMENT = 0xFFFD };

/* The number of bytes of the character at `text`, of which `size` are there, 1 to 4; 0: it is none. */
size_t mw_utf8_length(const char *text, size_t size);

/* Writes a code point up to U+10FFFF and returns the number of bytes, at most 4. */
size_t mw_utf8_write(uint32_t point, char *text);

#endif
