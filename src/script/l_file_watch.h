/* Watches for scripts: changes in a folder, one at a time. */
#ifndef MW_SCRIPT_L_FILE_WATCH_H
#define MW_SCRIPT_L_FILE_WATCH_H

#include <lua.h>

#define MW_L_FILE_WATCH_TYPE "moonwire.watch"

/* Registers the type. Raises when memory is out. */
void mw_l_file_watch_open(lua_State *L);

#endif
