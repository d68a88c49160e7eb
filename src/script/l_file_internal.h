/* What the parts of the file type share. */
#ifndef MW_SCRIPT_L_FILE_INTERNAL_H
#define MW_SCRIPT_L_FILE_INTERNAL_H

#include "script/l_file.h"
#include "script/task.h"

struct mw_l_descriptor;

struct mw_l_file {
    struct mw_l_descriptor *descriptor; /* NULL: closed */
    int flags;                          /* as it was opened */
    lua_Integer position;               /* of the next byte to read or write */
    struct mw_resource resource;
};

/* The file at index 1; raises for anything else. It may be closed. */
struct mw_l_file *mw_l_file_check(lua_State *L);

/* The methods that wait. */
int mw_l_file_read(lua_State *L);
int mw_l_file_chunks(lua_State *L);
int mw_l_file_write(lua_State *L);
int mw_l_file_size(lua_State *L);
int mw_l_file_stat(lua_State *L);
int mw_l_file_truncate(lua_State *L);
int mw_l_file_sync(lua_State *L);
int mw_l_file_unlock(lua_State *L);

#endif
