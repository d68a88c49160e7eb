/* moonwire.core.codec: text encodings for scripts. */
#ifndef MW_SCRIPT_L_CODEC_H
#define MW_SCRIPT_L_CODEC_H

#include <lua.h>

/* Adds the field `codec` to the table on top of the stack. */
void mw_l_codec_open(lua_State *L);

#endif
