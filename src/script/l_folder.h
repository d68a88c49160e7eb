/* Folders for scripts: where the names of files begin. The functions of the
 * module do the same for names from the current folder, or from "/". */
#ifndef MW_SCRIPT_L_FOLDER_H
#define MW_SCRIPT_L_FOLDER_H

#include "script/l_file_job.h"

#include <lauxlib.h>

struct mw_l_folder {
    struct mw_l_descriptor *descriptor; /* NULL: closed */
    bool confined, no_links;
    struct mw_resource resource;
};

/* Adds the field `file` to the table on top. Raises when memory is out. */
void mw_l_folder_open(lua_State *L);

/* The folder that a function works in: the argument `self`, or that of the module.
 * `*first` is the index of the first argument behind it. Raises. */
struct mw_l_folder *mw_l_folder_check(lua_State *L, int *first);

/* Where the names of an open folder begin. */
void mw_l_folder_place(const struct mw_l_folder *folder, struct mw_file_place *place);

/* Pushes a job of `size` bytes for the name at `index`. NULL: no such job can be,
 * and nil, err, code lie on the stack instead (3 values). Raises. */
void *mw_l_folder_job(lua_State *L, const struct mw_l_job_kind *kind, size_t size, struct mw_l_folder *folder,
                      int index);

/* The functions, in files of their own. */
int mw_l_folder_read(lua_State *L);
int mw_l_folder_write(lua_State *L);
int mw_l_folder_append(lua_State *L);
int mw_l_folder_open_file(lua_State *L);
int mw_l_folder_stat(lua_State *L);
int mw_l_folder_list(lua_State *L);
int mw_l_folder_make_folder(lua_State *L);
int mw_l_folder_remove(lua_State *L);
int mw_l_folder_rename(lua_State *L);
int mw_l_folder_watch(lua_State *L);

#endif
