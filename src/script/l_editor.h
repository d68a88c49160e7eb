/* moonwire.core.editor: lines typed at a terminal, or read from standard input,
 * for the prompt. */
#ifndef MW_SCRIPT_L_EDITOR_H
#define MW_SCRIPT_L_EDITOR_H

#include <lua.h>

/* Adds the field `editor` to the table on top of the stack. */
void mw_l_editor_open(lua_State *L);

#endif
