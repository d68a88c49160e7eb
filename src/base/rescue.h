/* Reading what may be in the middle of a change: for signal handlers that look at what they have interrupted. */
#ifndef MW_BASE_RESCUE_H
#define MW_BASE_RESCUE_H

#include <stdbool.h>

/* Calls `fn`, and leaves it where it reads memory that is not there. Whether it came to its end. It must own nothing
 * that somebody has to release, and lock nothing. By one thread at a time; safe in a signal handler. */
bool mw_rescue(void (*fn)(void *context), void *context);

#endif
