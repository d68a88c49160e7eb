#include "base/utf8.h"

#include <string.h>

static int is_continuation(const char *text) {
    return ((unsigned char)*text & 0xC0) == 0x80;
}

size_t mw_utf8_length(const char *text, size_t size) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || size < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(text + i)) {
            return 0;
        }
    }
    unsigned char second = (unsigned char)text[1];
    int overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    int beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
    return overlong || beyond ? 0 : length;
}

size_t mw_utf8_write(uint32_t point, char *text) {
    if (point < 0x80) {
        text[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--) {
        text[i] = (char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    text[0] = (char)(marks[length] | point);
    return length;
}

/* How many bytes of ASCII the text begins with: whole words of them, and then what is left. */
static size_t ascii_run(const char *bytes, size_t size) {
    size_t at = 0;
    uint64_t word[2];
    while (size - at >= sizeof word) {
        memcpy(word, bytes + at, sizeof word);
        if ((word[0] | word[1]) & 0x8080808080808080U) {
            break;
        }
        at += sizeof word;
    }
    while (at < size && (unsigned char)bytes[at] < 0x80) {
        at++;
    }
    return at;
}

/* The first byte of a character that is not ASCII: what must follow. */
static bool begin_character(struct mw_utf8_check *check, unsigned char first) {
    if (first < 0xC2 || first > 0xF4) {
        return false;
    }
    check->missing = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    check->low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    check->high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool mw_utf8_check_add(struct mw_utf8_check *check, const char *bytes, size_t size) {
    for (size_t at = 0; at < size; at++) {
        if (check->missing == 0) {
            at += ascii_run(bytes + at, size - at);
            if (at < size && !begin_character(check, (unsigned char)bytes[at])) {
                return false;
            }
            continue;
        }
        unsigned char byte = (unsigned char)bytes[at];
        if (byte < check->low || byte > check->high) {
            return false;
        }
        check->missing--;
        check->low = 0x80;
        check->high = 0xBF;
    }
    return true;
}
