#include "script/screen.h"

#include <stdbool.h>
#include <wchar.h>
#include <wctype.h>

static void advance(struct mw_place *place, int columns, int width) {
    if (place->column + width > columns) { /* a wide character is not cut */
        place->row++;
        place->column = 0;
    }
    place->column += width;
    if (place->column >= columns) {
        place->row++;
        place->column = 0;
    }
}

static void step(struct mw_place *place, int columns, wchar_t character) {
    if (character == L'\n') {
        place->row++;
        place->column = 0;
    } else if (character == L'\t') {
        advance(place, columns, 8 - place->column % 8);
    } else if (iswcntrl((wint_t)character)) {
        advance(place, columns, 1);
        advance(place, columns, 1);
    } else {
        int width = wcwidth(character);
        advance(place, columns, width < 0 ? 1 : width);
    }
}

struct mw_place mw_screen_walk(struct mw_place place, int columns, const char *text, size_t length) {
    mbstate_t state = {0};
    while (length > 0) {
        wchar_t character;
        size_t used = mbrtowc(&character, text, length, &state);
        bool valid = used > 0 && used <= length;
        step(&place, columns, valid ? character : L'?');
        used = valid ? used : 1;
        text += used;
        length -= used;
    }
    return place;
}
