/* Open files for scripts. One operation at a time; the position is ours, so that
 * one which was given up has not moved it. */
#ifndef MW_SCRIPT_L_FILE_H
#define MW_SCRIPT_L_FILE_H

#include <lua.h>
#include <stdbool.h>

#define MW_L_FILE_TYPE "moonwire.file"

enum { MW_L_FILE_MOST = 1024 * 1024 * 1024 }; /* bytes read or written in one call */

/* For Lua's own waiting: try_lock(file, exclusive) → true | nil, err, code, "busy"
 * when another has the lock. */
int mw_l_file_try_lock(lua_State *L);

/* Registers the type. Raises when memory is out. */
void mw_l_file_open(lua_State *L);

/* Pushes a file of the running task for `*fd`, opened with `flags`; takes it and
 * sets it to -1. Raises when memory is out, and then `*fd` is still the caller's. */
void mw_l_file_push(lua_State *L, int *fd, const char *name, int flags);

/* The same in two steps, for who has no other owner for a descriptor: pushes a file that is closed, which may raise, and
 * then takes `fd` over, which raises nothing. False when memory is out: `fd` is still the caller's. */
struct mw_l_file;
struct mw_l_file *mw_l_file_push_closed(lua_State *L);
bool mw_l_file_attach(lua_State *L, struct mw_l_file *file, int fd, const char *name, int flags);

/* A second descriptor of the file at `index`, the caller's; -1 with errno, EBADF
 * when the file is closed. Raises for what is no file. */
int mw_l_file_duplicate(lua_State *L, int index);

/* The descriptor of the file at `index`, borrowed; -1: what is there is no open file that can be read. */
int mw_l_file_readable(lua_State *L, int index);

#endif
