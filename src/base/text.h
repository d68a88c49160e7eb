/* A text that grows: what is made piece by piece and then sent whole. Once memory
 * is out it stays as it was and says so: look at the end, once. */
#ifndef MW_BASE_TEXT_H
#define MW_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: empty. Not NUL-terminated, but for mw_text_string. */
struct mw_text {
    char *bytes;
    size_t size, room;
    bool failed; /* memory was out: what was added since is missing */
};

void mw_text_free(struct mw_text *text); /* empty again after */

/* Makes room for `size` more bytes and returns their place, to be written by the
 * caller, who adds to `size`. NULL when memory is out. */
char *mw_text_reserve(struct mw_text *text, size_t size);

void mw_text_add(struct mw_text *text, const void *bytes, size_t size);
void mw_text_puts(struct mw_text *text, const char *string);
void mw_text_format(struct mw_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a JSON string with its quotes (RFC 8259 section 7); what is no UTF-8
 * becomes U+FFFD. */
void mw_text_json(struct mw_text *text, const char *bytes, size_t size);

/* The text with a NUL behind; valid until the next call. "" when memory is out. */
const char *mw_text_string(struct mw_text *text);

#endif
