/* What was typed at a prompt, in memory and in a file: newest last, bounded,
 * nothing twice in a row. */
#ifndef MW_SCRIPT_HISTORY_H
#define MW_SCRIPT_HISTORY_H

#include <histedit.h>

struct mw_history;

/* With what the file `path` has (NULL: no file); its folders are made. A file
 * that cannot be used is a line in the log at level debug, and history is kept in
 * memory only. NULL when memory is out. */
struct mw_history *mw_history_new(const char *path);
void mw_history_free(struct mw_history *past);

/* Lets the editor walk through it. */
void mw_history_attach(struct mw_history *past, EditLine *editline);

/* Adds an entry of one or several lines, to the file too: at once, so that it is
 * there whatever ends the process, and in turns with other processes. */
void mw_history_add(struct mw_history *past, const char *text);

#endif
