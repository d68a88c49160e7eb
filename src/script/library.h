/* Moonwire's own Lua modules in memory: read once by a process whose children give up the
 * right to read them, or live longer than the files as they are now. They are the children's
 * from the moment of the fork. */
#ifndef MW_SCRIPT_LIBRARY_H
#define MW_SCRIPT_LIBRARY_H

#include "base/fault.h"

#include <stddef.h>

/* Reads all of the library, wherever it is (script/paths.h). False and a fault. */
bool mw_library_keep(struct mw_fault *fault);

/* Where it was read; NULL: it was not. */
const char *mw_library_folder(void);

/* The text of "moonwire.task"; NULL: there is none, or the library was not read. `*path` is that of its file. */
const char *mw_library_text(const char *module, size_t *size, const char **path);

#endif
