/* Files that are looked after: whoever saves one, in whatever way editors do that, calls for a
 * reload. */
#ifndef MW_PROC_WATCH_H
#define MW_PROC_WATCH_H

#include "loop/loop.h"
#include "proto/message.h"

struct mw_watch;

/* on_change is called when a file has changed and no other has for a tenth of a second. NULL and errno. */
struct mw_watch *mw_watch_new(struct mw_loop *loop, void (*on_change)(void *owner), void *owner);
void mw_watch_free(struct mw_watch *watch);

/* Looks after these (a table of paths), and what comes beside them as *.lua; `added`: after those before, too. */
void mw_watch_set(struct mw_watch *watch, const struct mw_value *files, bool added);

#endif
