/* Where on a screen a text ends. */
#ifndef MW_SCRIPT_SCREEN_H
#define MW_SCRIPT_SCREEN_H

#include <stddef.h>

struct mw_place {
    int row, column; /* from 0; the column is below the number of columns */
};

/* The place behind `length` bytes of text that begins at `place`, in lines of
 * `columns`, with control characters as libedit shows them: ^A, and tabs to the
 * next multiple of eight. */
struct mw_place mw_screen_walk(struct mw_place place, int columns, const char *text, size_t length);

#endif
