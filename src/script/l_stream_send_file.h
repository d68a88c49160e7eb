/* A file into a stream of a script. */
#ifndef MW_SCRIPT_L_STREAM_SEND_FILE_H
#define MW_SCRIPT_L_STREAM_SEND_FILE_H

#include "script/task.h"

#include <lua.h>

/* What a task waits for that has the writing of a stream. */
extern const struct mw_wait mw_l_stream_send_file_wait;

/* Registers the type of a file under way. */
void mw_l_stream_send_file_open(lua_State *L);

/* stream:send_file(path_or_file, offset, length) → bytes | nil, err, code */
int mw_l_stream_send_file(lua_State *L);

#endif
