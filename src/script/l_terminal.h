/* moonwire.core.terminal: the whole screen of the terminal, for a program that
 * draws on it. What is typed comes by moonwire.core.input. */
#ifndef MW_SCRIPT_L_TERMINAL_H
#define MW_SCRIPT_L_TERMINAL_H

#include <lua.h>

/* Adds the field `terminal` to the table on top of the stack. */
void mw_l_terminal_open(lua_State *L);

#endif
