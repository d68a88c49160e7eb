#include "script/l_folder.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_file.h"
#include "script/l_file_watch.h"
#include "script/sched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.folder";

static struct mw_l_folder *check_folder(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

struct mw_l_folder *mw_l_folder_check(lua_State *L, int *first) {
    struct mw_l_folder *here = lua_touserdata(L, lua_upvalueindex(1));
    *first = here ? 1 : 2;
    return here ? here : check_folder(L);
}

static void close_folder(struct mw_l_folder *folder) {
    if (folder->descriptor) {
        mw_task_disown(&folder->resource);
        mw_l_descriptor_release(folder->descriptor);
        folder->descriptor = NULL;
    }
}

static void close_resource(struct mw_resource *resource) {
    close_folder(mw_list_owner(resource, struct mw_l_folder, resource));
}

/* A folder that is closed still. */
static struct mw_l_folder *push_folder(lua_State *L, bool confined, bool no_links) {
    struct mw_l_folder *folder = lua_newuserdatauv(L, sizeof *folder, 0);
    *folder = (struct mw_l_folder){.confined = confined, .no_links = no_links, .resource.close = close_resource};
    mw_list_init(&folder->resource.node);
    luaL_setmetatable(L, TYPE);
    return folder;
}

/* Takes `fd` over; raises when memory is out, and then it is still the caller's. */
static void attach(lua_State *L, struct mw_l_folder *folder, int fd, const char *name) {
    folder->descriptor = mw_l_descriptor_new(fd, name);
    if (!folder->descriptor) {
        luaL_error(L, "not enough memory");
    }
}

void mw_l_folder_place(const struct mw_l_folder *folder, struct mw_file_place *place) {
    *place = (struct mw_file_place){
        .folder = folder->confined ? folder->descriptor->fd : AT_FDCWD,
        .confined = folder->confined,
        .no_links = folder->no_links,
    };
}

void *mw_l_folder_job(lua_State *L, const struct mw_l_job_kind *kind, size_t size, struct mw_l_folder *folder,
                      int index) {
    size_t length;
    const char *name = luaL_checklstring(L, index, &length);
    if (!folder->descriptor) {
        mw_push_word(L, "closed");
        return NULL;
    }
    /* A name with a zero byte would be another one to the kernel. */
    if (strlen(name) != length || length >= PATH_MAX) {
        mw_l_file_push_errno(L, length >= PATH_MAX ? ENAMETOOLONG : EINVAL, kind->wait.name, name);
        return NULL;
    }
    struct mw_l_file_job *job = mw_l_file_job_push(L, kind, size, folder->descriptor, name);
    mw_l_folder_place(folder, &job->place);
    return job;
}

/* --- opening --- */

struct opening {
    struct mw_l_file_job base;
    int fd;
};

static void open_work(struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    opening->fd = mw_file_resolve(&opening->base.place, opening->base.name, O_PATH | O_DIRECTORY, 0);
    opening->base.error = opening->fd < 0 ? -opening->fd : 0;
}

static int open_push(lua_State *L, struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    const struct mw_file_place *place = &opening->base.place;
    if (opening->base.error) {
        return mw_l_file_job_push_fault(L, &opening->base);
    }
    struct mw_l_folder *folder = push_folder(L, true, place->no_links);
    lua_pushfstring(L, "%s/%s", opening->base.descriptor->name, opening->base.name);
    attach(L, folder, opening->fd, lua_tostring(L, -1));
    opening->fd = -1;
    lua_pop(L, 1);
    mw_task_own(L, &folder->resource);
    return 1;
}

static void open_release(struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    if (opening->fd >= 0) {
        close(opening->fd);
    }
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind open_kind = {MW_L_JOB_WAIT("folder"), open_work, open_push, open_release};

/* folder:folder(name) → folder */
static int folder_folder(lua_State *L) {
    struct opening *opening = mw_l_folder_job(L, &open_kind, sizeof *opening, check_folder(L), 2);
    if (!opening) {
        return 3;
    }
    opening->fd = -1;
    return mw_l_job_run(L, &opening->base.job);
}

/* root(path [, options]) → folder. Does not wait, so that a module may have one. */
static int file_root(lua_State *L) {
    static const char *const known[] = {"links", NULL};
    size_t length;
    const char *path = luaL_checklstring(L, 1, &length);
    luaL_argcheck(L, strlen(path) == length, 1, "a path has no zero bytes");
    mw_check_options(L, 2, known);
    struct mw_l_folder *folder = push_folder(L, true, !mw_option_boolean(L, 2, "links", true));
    attach(L, folder, -1, path);
    folder->descriptor->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    mw_task_own(L, &folder->resource);
    if (folder->descriptor->fd < 0) {
        close_folder(folder);
        return mw_push_errno(L, error, "root", path);
    }
    return 1;
}

/* --- as an object --- */

static int folder_close(lua_State *L) {
    close_folder(check_folder(L));
    return 0;
}

static int folder_gc(lua_State *L) {
    struct mw_l_folder *folder = check_folder(L);
    if (folder->descriptor && folder->confined) {
        mw_sched_warn_of_lost(mw_sched_of(L), "folder", folder->descriptor->name);
    }
    close_folder(folder);
    return 0;
}

static int folder_keep(lua_State *L) {
    struct mw_l_folder *folder = check_folder(L);
    if (folder->descriptor) {
        mw_task_disown(&folder->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &folder->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int folder_is_open(lua_State *L) {
    lua_pushboolean(L, check_folder(L)->descriptor != NULL);
    return 1;
}

static int folder_tostring(lua_State *L) {
    const struct mw_l_folder *folder = check_folder(L);
    if (folder->descriptor) {
        lua_pushfstring(L, "%s: %s open", TYPE, folder->descriptor->name);
    } else {
        lua_pushfstring(L, "%s: closed", TYPE);
    }
    return 1;
}

/* What both folders and the module have. */
static const luaL_Reg common[] = {
    {"read", mw_l_folder_read},
    {"write", mw_l_folder_write},
    {"append", mw_l_folder_append},
    {"open", mw_l_folder_open_file},
    {"stat", mw_l_folder_stat},
    {"list", mw_l_folder_list},
    {"make_folder", mw_l_folder_make_folder},
    {"remove", mw_l_folder_remove},
    {"rename", mw_l_folder_rename},
    {"watch", mw_l_folder_watch},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"folder", folder_folder}, {"keep", folder_keep}, {"is_open", folder_is_open}, {"close", folder_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", folder_tostring},
    {"__close", folder_close},
    {"__gc", folder_gc},
    {NULL, NULL},
};

/* Pushes the methods, so that those written in Lua can be added. */
static void push_methods(lua_State *L, const char *type) {
    luaL_getmetatable(L, type);
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
}

void mw_l_folder_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_l_file_open(L);
    mw_l_file_watch_open(L);
    lua_newtable(L);
    attach(L, push_folder(L, false, false), -1, ".");
    luaL_setfuncs(L, common, 1);
    lua_pushcfunction(L, file_root);
    lua_setfield(L, -2, "root");
    lua_pushcfunction(L, mw_l_file_try_lock);
    lua_setfield(L, -2, "try_lock");
    push_methods(L, TYPE);
    lua_pushnil(L); /* no folder of the module's: the argument counts */
    luaL_setfuncs(L, common, 1);
    lua_setfield(L, -2, "folder_methods");
    push_methods(L, MW_L_FILE_TYPE);
    lua_setfield(L, -2, "file_methods");
    push_methods(L, MW_L_FILE_WATCH_TYPE);
    lua_setfield(L, -2, "watch_methods");
    lua_setfield(L, -2, "file");
}
