/* moonwire.core.input: standard input as it comes, for a prompt that is no
 * terminal. */
#ifndef MW_SCRIPT_L_INPUT_H
#define MW_SCRIPT_L_INPUT_H

#include <lua.h>

/* Adds the field `input` to the table on top of the stack. */
void mw_l_input_open(lua_State *L);

#endif
