#include "script/l_file.h"

#include "script/check.h"
#include "script/l_file_internal.h"
#include "script/l_file_job.h"
#include "script/sched.h"

#include <fcntl.h>

struct mw_l_file *mw_l_file_check(lua_State *L) {
    return luaL_checkudata(L, 1, MW_L_FILE_TYPE);
}

/* --- life --- */

static void close_file(struct mw_l_file *file) {
    if (file->descriptor) {
        mw_task_disown(&file->resource);
        mw_l_descriptor_release(file->descriptor);
        file->descriptor = NULL;
    }
}

static void close_resource(struct mw_resource *resource) {
    close_file(mw_list_owner(resource, struct mw_l_file, resource));
}

struct mw_l_file *mw_l_file_push_closed(lua_State *L) {
    struct mw_l_file *file = lua_newuserdatauv(L, sizeof *file, 0);
    *file = (struct mw_l_file){.resource.close = close_resource};
    mw_list_init(&file->resource.node);
    luaL_setmetatable(L, MW_L_FILE_TYPE);
    return file;
}

bool mw_l_file_attach(lua_State *L, struct mw_l_file *file, int fd, const char *name, int flags) {
    file->descriptor = mw_l_descriptor_new(fd, name);
    if (!file->descriptor) {
        return false;
    }
    file->flags = flags;
    mw_task_own(L, &file->resource);
    return true;
}

void mw_l_file_push(lua_State *L, int *fd, const char *name, int flags) {
    if (!mw_l_file_attach(L, mw_l_file_push_closed(L), *fd, name, flags)) {
        luaL_error(L, "not enough memory");
        return;
    }
    *fd = -1;
}

int mw_l_file_readable(lua_State *L, int index) {
    const struct mw_l_file *file = luaL_testudata(L, index, MW_L_FILE_TYPE);
    bool is_readable = file && file->descriptor && (file->flags & O_ACCMODE) != O_WRONLY;
    return is_readable ? file->descriptor->fd : -1;
}

int mw_l_file_duplicate(lua_State *L, int index) {
    const struct mw_l_file *file = luaL_checkudata(L, index, MW_L_FILE_TYPE);
    return fcntl(file->descriptor ? file->descriptor->fd : -1, F_DUPFD_CLOEXEC, 0);
}

static int file_close(lua_State *L) {
    close_file(mw_l_file_check(L));
    return 0;
}

static int file_gc(lua_State *L) {
    struct mw_l_file *file = mw_l_file_check(L);
    if (file->descriptor) {
        mw_sched_warn_of_lost(mw_sched_of(L), "file", file->descriptor->name);
    }
    close_file(file);
    return 0;
}

static int file_keep(lua_State *L) {
    struct mw_l_file *file = mw_l_file_check(L);
    if (file->descriptor) {
        mw_task_disown(&file->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &file->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int file_is_open(lua_State *L) {
    lua_pushboolean(L, mw_l_file_check(L)->descriptor != NULL);
    return 1;
}

static int file_tostring(lua_State *L) {
    const struct mw_l_file *file = mw_l_file_check(L);
    if (file->descriptor) {
        lua_pushfstring(L, "%s: %s open", MW_L_FILE_TYPE, file->descriptor->name);
    } else {
        lua_pushfstring(L, "%s: closed", MW_L_FILE_TYPE);
    }
    return 1;
}

/* seek(position) → position */
static int file_seek(lua_State *L) {
    struct mw_l_file *file = mw_l_file_check(L);
    file->position = (lua_Integer)mw_check_count(L, 2, 0, LUA_MAXINTEGER / 2);
    lua_pushinteger(L, file->position);
    return 1;
}

static int file_position(lua_State *L) {
    lua_pushinteger(L, mw_l_file_check(L)->position);
    return 1;
}

static const luaL_Reg methods[] = {
    {"read", mw_l_file_read},
    {"chunks", mw_l_file_chunks},
    {"write", mw_l_file_write},
    {"seek", file_seek},
    {"position", file_position},
    {"size", mw_l_file_size},
    {"stat", mw_l_file_stat},
    {"truncate", mw_l_file_truncate},
    {"sync", mw_l_file_sync},
    {"unlock", mw_l_file_unlock},
    {"keep", file_keep},
    {"is_open", file_is_open},
    {"close", file_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", file_tostring},
    {"__close", file_close},
    {"__gc", file_gc},
    {NULL, NULL},
};

void mw_l_file_open(lua_State *L) {
    mw_new_type(L, MW_L_FILE_TYPE, methods, metamethods);
}
