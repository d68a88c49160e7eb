/* Functions of folders that look at what is in them, and change it. */
#include "net/file_tree.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_folder.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 10000, LIST_MOST = 10 * 1000 * 1000 };

/* --- stat(name [, options]) → table --- */

struct looking {
    struct mw_l_file_job base;
    bool follow;
    struct stat status;
};

static void stat_work(struct mw_l_job *job) {
    struct looking *looking = (struct looking *)job;
    looking->base.error = mw_file_stat(&looking->base.place, looking->base.name, looking->follow, &looking->status);
}

static int stat_push(lua_State *L, struct mw_l_job *job) {
    const struct looking *looking = (struct looking *)job;
    if (looking->base.error) {
        return mw_l_file_job_push_fault(L, &looking->base);
    }
    mw_l_file_push_status(L, &looking->status);
    return 1;
}

static const struct mw_l_job_kind stat_kind = {MW_L_JOB_WAIT("stat"), stat_work, stat_push, mw_l_file_job_release};

int mw_l_folder_stat(lua_State *L) {
    static const char *const known[] = {"follow", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    mw_check_options(L, first + 1, known);
    bool follow = mw_option_boolean(L, first + 1, "follow", true);
    struct looking *looking = mw_l_folder_job(L, &stat_kind, sizeof *looking, folder, first);
    if (!looking) {
        return 3;
    }
    looking->follow = follow;
    return mw_l_job_run(L, &looking->base.job);
}

/* --- list([name [, options]]) → array --- */

struct listing {
    struct mw_l_file_job base;
    size_t max;
    struct mw_file_list list;
};

static void list_work(struct mw_l_job *job) {
    struct listing *listing = (struct listing *)job;
    listing->base.error = mw_file_list(&listing->base.place, listing->base.name, listing->max, &listing->list);
}

static int list_push(lua_State *L, struct mw_l_job *job) {
    const struct listing *listing = (struct listing *)job;
    const struct mw_file_list *list = &listing->list;
    if (listing->base.error) {
        return mw_l_file_job_push_fault(L, &listing->base);
    }
    lua_createtable(L, list->count < INT_MAX ? (int)list->count : 0, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, list->entries[i].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, list->entries[i].kind);
        lua_setfield(L, -2, "kind");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static void list_release(struct mw_l_job *job) {
    mw_file_list_clear(&((struct listing *)job)->list);
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind list_kind = {MW_L_JOB_WAIT("list"), list_work, list_push, list_release};

int mw_l_folder_list(lua_State *L) {
    static const char *const known[] = {"max", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    lua_settop(L, first + 1);
    if (lua_isnil(L, first)) {
        lua_pushliteral(L, ".");
        lua_replace(L, first);
    }
    luaL_checkstring(L, first);
    mw_check_options(L, first + 1, known);
    size_t max = (size_t)mw_option_integer(L, first + 1, "max", 1, LIST_MOST, LIST_DEFAULT);
    struct listing *listing = mw_l_folder_job(L, &list_kind, sizeof *listing, folder, first);
    if (!listing) {
        return 3;
    }
    listing->max = max;
    return mw_l_job_run(L, &listing->base.job);
}

/* --- make_folder(name [, options]) → true --- */

struct making {
    struct mw_l_file_job base;
    struct mw_file_making how;
};

static void make_work(struct mw_l_job *job) {
    struct making *making = (struct making *)job;
    making->base.error = mw_file_make_folder(&making->base.place, making->base.name, &making->how);
}

static const struct mw_l_job_kind make_kind = {MW_L_JOB_WAIT("make_folder"), make_work, mw_l_file_job_push_success,
                                               mw_l_file_job_release};

int mw_l_folder_make_folder(lua_State *L) {
    static const char *const known[] = {"permissions", "parents", "sync", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    mw_check_options(L, first + 1, known);
    int mode = mw_l_file_permissions(L, first + 1);
    struct mw_file_making how = {.mode = mode < 0 ? 0777 : (mode_t)mode,
                                 .parents = mw_option_boolean(L, first + 1, "parents", false),
                                 .sync = mw_option_boolean(L, first + 1, "sync", false)};
    struct making *making = mw_l_folder_job(L, &make_kind, sizeof *making, folder, first);
    if (!making) {
        return 3;
    }
    making->how = how;
    return mw_l_job_run(L, &making->base.job);
}

/* --- remove(name [, options]) → true --- */

struct removing {
    struct mw_l_file_job base;
    bool sync;
};

static void remove_work(struct mw_l_job *job) {
    struct removing *removing = (struct removing *)job;
    removing->base.error = mw_file_remove(&removing->base.place, removing->base.name, removing->sync);
}

static const struct mw_l_job_kind remove_kind = {MW_L_JOB_WAIT("remove"), remove_work, mw_l_file_job_push_success,
                                                 mw_l_file_job_release};

int mw_l_folder_remove(lua_State *L) {
    static const char *const known[] = {"sync", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    mw_check_options(L, first + 1, known);
    bool sync = mw_option_boolean(L, first + 1, "sync", false);
    struct removing *removing = mw_l_folder_job(L, &remove_kind, sizeof *removing, folder, first);
    if (!removing) {
        return 3;
    }
    removing->sync = sync;
    return mw_l_job_run(L, &removing->base.job);
}

/* --- rename(from, to [, options]) → true --- */

struct renaming {
    struct mw_l_file_job base;
    char *to;
    struct mw_file_renaming how;
};

static void rename_work(struct mw_l_job *job) {
    struct renaming *renaming = (struct renaming *)job;
    renaming->base.error =
        mw_file_rename(&renaming->base.place, renaming->base.name, renaming->to, &renaming->how);
}

static void rename_release(struct mw_l_job *job) {
    free(((struct renaming *)job)->to);
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind rename_kind = {MW_L_JOB_WAIT("rename"), rename_work, mw_l_file_job_push_success,
                                                 rename_release};

int mw_l_folder_rename(lua_State *L) {
    static const char *const known[] = {"replace", "sync", NULL};
    int first;
    size_t length;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    const char *to = luaL_checklstring(L, first + 1, &length);
    mw_check_options(L, first + 2, known);
    struct mw_file_renaming how = {.replaces = mw_option_boolean(L, first + 2, "replace", true),
                                   .sync = mw_option_boolean(L, first + 2, "sync", false)};
    if (strlen(to) != length) {
        return mw_l_file_push_errno(L, EINVAL, "rename", to);
    }
    struct renaming *renaming = mw_l_folder_job(L, &rename_kind, sizeof *renaming, folder, first);
    if (!renaming) {
        return 3;
    }
    renaming->to = strdup(to);
    if (!renaming->to) {
        return luaL_error(L, "not enough memory");
    }
    renaming->how = how;
    return mw_l_job_run(L, &renaming->base.job);
}
