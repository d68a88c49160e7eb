/* Where a task waits, as text for an operator: its calls, and on request what their
 * local variables hold. Runs no code of the script's. */
#ifndef MW_SCRIPT_STACK_H
#define MW_SCRIPT_STACK_H

#include "base/text.h"
#include "script/task.h"

/* Adds the stack of a task that waits: a line for each call, "echo.lua:3: in function <echo.lua:1>", with `locals`
 * followed by a line for each variable, indented. */
void mw_stack_write(const struct mw_task *task, bool locals, struct mw_text *text);

#endif
