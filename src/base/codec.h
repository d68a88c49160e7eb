/* Bytes as text and back: base64 and base64url (RFC 4648), hex, percent
 * encoding (RFC 3986), quoted-printable (RFC 2045). Decoders take untrusted
 * bytes and are strict: what an encoder would not write is a fault. Nothing
 * here allocates; a decoder writes into room as large as its input. */
#ifndef MW_BASE_CODEC_H
#define MW_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>

/* Where and why a text is refused. */
struct mw_codec_fault {
    size_t at; /* offset of the byte; the length of the text when it ends too early */
    const char *why;
};

struct mw_base64 {
    bool url;     /* "-" and "_" instead of "+" and "/" */
    bool padded;  /* encoding: "=" up to a multiple of 4; decoding: not there is a fault */
    bool spaced;  /* decoding: spaces, tabs and line ends are skipped */
};

/* The room that `size` bytes need, padded or not. */
static inline size_t mw_base64_room(size_t size) {
    return (size + 2) / 3 * 4;
}

/* Writes the text and returns its length. */
size_t mw_base64_encode(const struct mw_base64 *kind, const char *data, size_t size, char *text);

/* Padding that is wrong, or bits behind the end that are not 0, are faults: every
 * value has one text. False with `fault` set, else `*size` bytes are in `data`. */
bool mw_base64_decode(const struct mw_base64 *kind, const char *text, size_t length, char *data, size_t *size,
                      struct mw_codec_fault *fault);

/* Lower-case digits, two for each byte. */
void mw_hex_encode(const char *data, size_t size, char *text);

/* Digits of either case. */
bool mw_hex_decode(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault);

/* Letters, digits and "-._~" stay, other bytes become %XX; `text` has room for
 * three times `size`. `plus`: a space becomes "+". Returns the length. */
size_t mw_url_encode(bool plus, const char *data, size_t size, char *text);

/* "%" must be followed by two digits; other bytes stay as they are. `plus`: "+" is a space. */
bool mw_url_decode(bool plus, const char *text, size_t length, char *data, size_t *size,
                   struct mw_codec_fault *fault);

/* The room that quoted-printable needs for `size` bytes. */
static inline size_t mw_qp_room(size_t size) {
    return size * 3 + size * 3 / 72 * 3 + 8;
}

/* Lines of 76 characters at most. LF and CRLF are line ends and written as
 * CRLF; `binary`: they are bytes as all others. Returns the length. */
size_t mw_qp_encode(bool binary, const char *data, size_t size, char *text);

/* Spaces and tabs at the end of a line are dropped, as the RFC has it; line ends
 * stay as they are, LF or CRLF. */
bool mw_qp_decode(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault);

#endif
