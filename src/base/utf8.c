#include "base/utf8.h"

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
