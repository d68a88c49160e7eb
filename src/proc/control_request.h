/* A line of the control socket as a message. */
#ifndef MW_PROC_CONTROL_REQUEST_H
#define MW_PROC_CONTROL_REQUEST_H

#include "base/text.h"

#include <stdbool.h>

enum { MW_CONTROL_WHY = 160 };

/* Appends the flat JSON object `line` (with a NUL behind its `length` bytes) to `message`, as a table. `scratch` has
 * room for `length` bytes. False, and what is wrong in `why`, when it is none, has too many fields, or one twice, or no
 * command; `message` holds nothing of use then. Memory that is out shows in `message`. */
bool mw_control_read(struct mw_text *message, const char *line, size_t length, char *scratch,
                     char why[MW_CONTROL_WHY]);

#endif
