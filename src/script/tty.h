/* The terminal's modes: noted once, and given back whatever ends the process. */
#ifndef MW_SCRIPT_TTY_H
#define MW_SCRIPT_TTY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a person may be there: standard input and output are a terminal, and
 * one on which the cursor can be moved. */
bool mw_tty_is_there(void);

/* Notes the modes of the terminal on standard input. From now on to
 * mw_tty_release they are restored at exit and by every signal that ends the
 * process and that nobody handles; fatal ones are passed on to who handled them. */
void mw_tty_keep(void);

/* Restores the modes. */
void mw_tty_restore(void);

/* Restores the modes and forgets them. */
void mw_tty_release(void);

/* Takes the whole screen after mw_tty_keep: keys come one by one and are not
 * shown, Ctrl-C is a signal still, Ctrl-Z is not. What was on the screen before
 * is there again when the modes are restored. False: not a terminal. */
bool mw_tty_take_screen(void);

/* How many columns a line has. */
int mw_tty_columns(void);

/* How many lines there are. */
int mw_tty_rows(void);

/* Writes to standard output, whole if it can be. */
void mw_tty_write(const char *bytes, size_t length);

#endif
