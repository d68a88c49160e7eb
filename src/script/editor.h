/* A line editor at the terminal that holds nobody up: libedit runs on a stack
 * of its own, which it leaves for the loop's whenever it wants a key that has
 * not been typed. Knows no Lua. One a process. */
#ifndef MW_SCRIPT_EDITOR_H
#define MW_SCRIPT_EDITOR_H

#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

enum mw_editor_event {
    MW_EDITOR_KEY,         /* a key is awaited: never told */
    MW_EDITOR_LINE,        /* a line was entered */
    MW_EDITOR_COMPLETE,    /* what stands before the cursor should be completed */
    MW_EDITOR_INTERRUPTED, /* the line was given up */
    MW_EDITOR_END          /* there is no more input */
};

struct mw_editor;

/* Standard input and output must be a terminal. `path` names the file of the
 * history, NULL: none. NULL when memory is out. */
struct mw_editor *mw_editor_new(struct mw_loop *loop, const char *path);

/* Gives the terminal back as it was. */
void mw_editor_free(struct mw_editor *editor);

/* Asks for a line, or goes on with the one that was to be completed. on_event
 * is called once, from the loop or from mw_editor_interrupt: then the editor
 * rests until this is called again. While it rests after anything else than
 * MW_EDITOR_COMPLETE, the terminal is as it was before. */
void mw_editor_read(struct mw_editor *editor, const char *prompt,
                    void (*on_event)(void *context, enum mw_editor_event event), void *context);

/* The line that was entered, or what stands before the cursor. Valid until the next call. */
const char *mw_editor_text(const struct mw_editor *editor, size_t *length);

/* After MW_EDITOR_COMPLETE: adds a text at the cursor. */
void mw_editor_insert(struct mw_editor *editor, const char *text);

/* Gives up the line that is being entered. */
void mw_editor_interrupt(struct mw_editor *editor);

/* Adds an entry to the history. */
void mw_editor_remember(struct mw_editor *editor, const char *text);

/* Writes to the terminal, above the line that is being entered. Then only whole
 * lines are shown; what follows the last newline waits for more. */
void mw_editor_print(struct mw_editor *editor, const char *bytes, size_t length);

#endif
