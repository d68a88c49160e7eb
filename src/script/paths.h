/* Where Moonwire's own Lua modules are. */
#ifndef MW_SCRIPT_PATHS_H
#define MW_SCRIPT_PATHS_H

#include <stdbool.h>
#include <stddef.h>

/* Finds the library by the place of the running binary: in a checkout the
 * folder `lua` above it, installed PREFIX/share/moonwire/lua. False, with the
 * places that were tried in `path`, when it is nowhere. Once the library is kept in memory
 * (script/library.h): where that was read. */
bool mw_find_library(char *path, size_t size);

#endif
