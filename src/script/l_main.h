/* moonwire.core.main: the main task of a service, whose life is the service's.
 * Everything else is started by it, and ends with it. */
#ifndef MW_SCRIPT_L_MAIN_H
#define MW_SCRIPT_L_MAIN_H

#include "script/sched.h"

#include <lua.h>

/* Adds the field `main` to the table on top of the stack. */
void mw_l_main_open(lua_State *L);

/* Spawns the main task: the function `main` of the module, with the value on
 * top of the stack of L, which is popped. False when it cannot be, with the
 * reason in the log. */
bool mw_main_spawn(struct mw_sched *sched, const char *module);

/* Asks the main task to end: from where it waits for that, else by cancelling it. */
void mw_main_stop(struct mw_sched *sched);

/* Something that the main task may wait for has come to an end. */
void mw_main_note(struct mw_sched *sched);

#endif
