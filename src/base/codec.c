#include "base/codec.h"

#include <string.h>

static bool refuse(struct mw_codec_fault *fault, size_t at, const char *why) {
    fault->at = at;
    fault->why = why;
    return false;
}

/* --- base64 --- */

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t mw_base64_encode(const struct mw_base64 *kind, const char *data, size_t size, char *text) {
    const char *alphabet = kind->url ? URL : STANDARD;
    const unsigned char *in = (const unsigned char *)data;
    char *out = text;
    for (; size >= 3; size -= 3, in += 3) {
        *out++ = alphabet[in[0] >> 2];
        *out++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        *out++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
        *out++ = alphabet[in[2] & 63];
    }
    if (size) {
        int second = size == 2 ? in[1] : 0;
        *out++ = alphabet[in[0] >> 2];
        *out++ = alphabet[(in[0] & 3) << 4 | second >> 4];
        if (size == 2) {
            *out++ = alphabet[(second & 15) << 2];
        }
        for (; kind->padded && (out - text) % 4;) {
            *out++ = '=';
        }
    }
    return (size_t)(out - text);
}

/* The six bits that the character stands for; -1: none. */
static int base64_value(char c, bool url) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : -1;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_spaces(const struct mw_base64 *kind, const char *text, size_t length, size_t at) {
    while (kind->spaced && at < length && is_space(text[at])) {
        at++;
    }
    return at;
}

/* What follows the last of `digits` characters, from offset `at`. */
static bool base64_end(const struct mw_base64 *kind, const char *text, size_t length, size_t at, size_t digits,
                       struct mw_codec_fault *fault) {
    size_t missing = (4 - digits % 4) % 4, found = 0;
    for (; at < length && text[at] == '='; found++) {
        if (found == missing || missing == 3) {
            return refuse(fault, at, "padding that is not needed");
        }
        at = skip_spaces(kind, text, length, at + 1);
    }
    if (at < length) {
        return refuse(fault, at, found ? "a character behind the padding" : "not a character of the alphabet");
    }
    if (missing == 3) {
        return refuse(fault, at, "the last group is one character, which is too short");
    }
    if (found < missing && (found > 0 || kind->padded)) {
        return refuse(fault, at, "padding is missing");
    }
    return true;
}

bool mw_base64_decode(const struct mw_base64 *kind, const char *text, size_t length, char *data, size_t *size,
                      struct mw_codec_fault *fault) {
    unsigned bits = 0;
    size_t digits = 0, last = 0, written = 0;
    size_t at = skip_spaces(kind, text, length, 0);
    for (; at < length; at = skip_spaces(kind, text, length, at + 1)) {
        int value = base64_value(text[at], kind->url);
        if (value < 0) {
            break;
        }
        bits = bits << 6 | (unsigned)value;
        last = at;
        if (++digits % 4 != 1) {
            data[written++] = (char)(bits >> (6 - (digits + 3) % 4 * 2));
        }
    }
    if (!base64_end(kind, text, length, at, digits, fault)) {
        return false;
    }
    if ((digits % 4 == 2 && (bits & 15)) || (digits % 4 == 3 && (bits & 3))) {
        return refuse(fault, last, "bits behind the end that are not 0");
    }
    *size = written;
    return true;
}

/* --- hex --- */

static const char LOWER[] = "0123456789abcdef";
static const char UPPER[] = "0123456789ABCDEF";

void mw_hex_encode(const char *data, size_t size, char *text) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        *text++ = LOWER[byte >> 4];
        *text++ = LOWER[byte & 15];
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool mw_hex_decode(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    for (size_t i = 0; i < length; i++) {
        int value = hex_value(text[i]);
        if (value < 0) {
            return refuse(fault, i, "not a hexadecimal digit");
        }
        if (i % 2 == 0) {
            data[i / 2] = (char)(value << 4);
        } else {
            data[i / 2] = (char)(data[i / 2] | value);
        }
    }
    if (length % 2) {
        return refuse(fault, length, "an odd number of digits");
    }
    *size = length / 2;
    return true;
}

/* The byte that the two digits at `at` stand for; -1: there are none. */
static int hex_pair(const char *text, size_t length, size_t at) {
    if (length - at < 2) {
        return -1;
    }
    int high = hex_value(text[at]), low = hex_value(text[at + 1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static char *write_escaped(char *out, char mark, char c) {
    unsigned char byte = (unsigned char)c;
    *out++ = mark;
    *out++ = UPPER[byte >> 4];
    *out++ = UPPER[byte & 15];
    return out;
}

/* --- percent encoding --- */

static bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

size_t mw_url_encode(bool plus, const char *data, size_t size, char *text) {
    char *out = text;
    for (size_t i = 0; i < size; i++) {
        if (is_unreserved(data[i])) {
            *out++ = data[i];
        } else if (plus && data[i] == ' ') {
            *out++ = '+';
        } else {
            out = write_escaped(out, '%', data[i]);
        }
    }
    return (size_t)(out - text);
}

bool mw_url_decode(bool plus, const char *text, size_t length, char *data, size_t *size,
                   struct mw_codec_fault *fault) {
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int value = hex_pair(text, length, i + 1);
            if (value < 0) {
                return refuse(fault, i, "'%' without two hexadecimal digits behind it");
            }
            c = (char)value;
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        data[written++] = c;
    }
    *size = written;
    return true;
}

/* --- quoted-printable --- */

enum { QP_LINE = 76 };

/* The length of the line end at `at`, which is LF, CRLF or the end; 0: there is none. */
static size_t line_end(const char *text, size_t length, size_t at) {
    if (at < length && text[at] == '\n') {
        return 1;
    }
    return length - at >= 2 && text[at] == '\r' && text[at + 1] == '\n' ? 2 : 0;
}

static bool ends_line(bool binary, const char *data, size_t size, size_t at) {
    return at == size || (!binary && line_end(data, size, at));
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

size_t mw_qp_encode(bool binary, const char *data, size_t size, char *text) {
    char *out = text, *line = text;
    for (size_t i = 0; i < size; i++) {
        size_t end = binary ? 0 : line_end(data, size, i);
        if (end) {
            *out++ = '\r';
            *out++ = '\n';
            line = out;
            i += end - 1;
            continue;
        }
        bool last = ends_line(binary, data, size, i + 1);
        bool plain = (data[i] > ' ' && data[i] <= '~' && data[i] != '=') || (is_blank(data[i]) && !last);
        /* The last column of a line that goes on belongs to the "=" of the soft break. */
        if (out - line + (plain ? 1 : 3) > (last ? QP_LINE : QP_LINE - 1)) {
            *out++ = '=';
            *out++ = '\r';
            *out++ = '\n';
            line = out;
        }
        if (plain) {
            *out++ = data[i];
        } else {
            out = write_escaped(out, '=', data[i]);
        }
    }
    return (size_t)(out - text);
}

/* The number of bytes of a soft line break at the "=" at `at`, with blanks
 * before its line end; 0: it is none. A "=" at the very end is one too. */
static size_t soft_break(const char *text, size_t length, size_t at) {
    size_t next = at + 1;
    while (next < length && is_blank(text[next])) {
        next++;
    }
    size_t end = line_end(text, length, next);
    return end || next == length ? next + end - at : 0;
}

/* What stands at `at`, which is no blank, stands for a byte or, a soft break, for
 * nothing (-1); returns how many characters it has, 0 with `fault` set. */
static size_t qp_unit(const char *text, size_t length, size_t at, int *byte, struct mw_codec_fault *fault) {
    *byte = (unsigned char)text[at];
    if (text[at] == '=') {
        *byte = hex_pair(text, length, at + 1);
        if (*byte >= 0) {
            return 3;
        }
        size_t skipped = soft_break(text, length, at);
        if (!skipped) {
            refuse(fault, at, "'=' without two hexadecimal digits or a line end behind it");
        }
        return skipped;
    }
    if ((text[at] < ' ' || text[at] > '~') && !line_end(text, length, at)) {
        refuse(fault, at, "a byte that must be written as =XX");
        return 0;
    }
    return 1;
}

/* Copies a run of blanks, unless it stands at the end of a line; returns its length. */
static size_t qp_blanks(const char *text, size_t length, size_t at, char *data, size_t *written) {
    size_t next = at;
    while (next < length && is_blank(text[next])) {
        next++;
    }
    if (next < length && !line_end(text, length, next)) {
        memmove(data + *written, text + at, next - at);
        *written += next - at;
    }
    return next - at;
}

bool mw_qp_decode(const char *text, size_t length, char *data, size_t *size, struct mw_codec_fault *fault) {
    size_t written = 0;
    for (size_t i = 0, unit; i < length; i += unit) {
        int byte = -1;
        if (is_blank(text[i])) {
            unit = qp_blanks(text, length, i, data, &written);
            continue;
        }
        unit = qp_unit(text, length, i, &byte, fault);
        if (!unit) {
            return false;
        }
        if (byte >= 0) {
            data[written++] = (char)byte;
        }
    }
    *size = written;
    return true;
}
