/* Functions of folders that read and write whole files, or open them. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_file.h"
#include "script/l_folder.h"
#include "script/sched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_DEFAULT (1024 * 1024)

/* --- read(name [, options]) → data --- */

struct reading {
    struct mw_l_file_job base;
    size_t max, size;
    char *data;
};

static void read_work(struct mw_l_job *job) {
    struct reading *reading = (struct reading *)job;
    int fd = mw_file_open(&reading->base.place, reading->base.name, O_RDONLY, 0);
    if (fd < 0) {
        reading->base.error = -fd;
        return;
    }
    reading->base.error = mw_file_read_all(fd, 0, reading->max, &reading->data, &reading->size);
    close(fd);
}

static int read_push(lua_State *L, struct mw_l_job *job) {
    const struct reading *reading = (struct reading *)job;
    if (reading->base.error) {
        return mw_l_file_job_push_fault(L, &reading->base);
    }
    lua_pushlstring(L, reading->data, reading->size);
    return 1;
}

static void read_release(struct mw_l_job *job) {
    free(((struct reading *)job)->data);
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind read_kind = {MW_L_JOB_WAIT("read"), read_work, read_push, read_release};

int mw_l_folder_read(lua_State *L) {
    static const char *const known[] = {"max", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    mw_check_options(L, first + 1, known);
    size_t max = (size_t)mw_option_integer(L, first + 1, "max", 0, MW_L_FILE_MOST, READ_DEFAULT);
    struct reading *reading = mw_l_folder_job(L, &read_kind, sizeof *reading, folder, first);
    if (!reading) {
        return 3;
    }
    reading->max = max;
    return mw_l_job_run(L, &reading->base.job);
}

/* --- write(name, data [, options]) → true, append likewise --- */

struct writing {
    struct mw_l_file_job base;
    struct mw_file_content content;
    char *data; /* a copy */
};

static void write_work(struct mw_l_job *job) {
    struct writing *writing = (struct writing *)job;
    writing->base.error = mw_file_replace(&writing->base.place, writing->base.name, &writing->content);
}

static void append_work(struct mw_l_job *job) {
    struct writing *writing = (struct writing *)job;
    writing->base.error = mw_file_append(&writing->base.place, writing->base.name, &writing->content);
}

static void write_release(struct mw_l_job *job) {
    free(((struct writing *)job)->data);
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind write_kind = {MW_L_JOB_WAIT("write"), write_work, mw_l_file_job_push_success,
                                                write_release};
static const struct mw_l_job_kind append_kind = {MW_L_JOB_WAIT("append"), append_work, mw_l_file_job_push_success,
                                                 write_release};

static int run_writing(lua_State *L, const struct mw_l_job_kind *kind, struct mw_l_folder *folder, int first,
                       struct mw_file_content content) {
    const char *data = lua_tolstring(L, first + 1, &content.size);
    struct writing *writing = mw_l_folder_job(L, kind, sizeof *writing, folder, first);
    if (!writing) {
        return 3;
    }
    writing->data = malloc(content.size + 1);
    if (!writing->data) {
        return luaL_error(L, "not enough memory");
    }
    content.data = memcpy(writing->data, data, content.size);
    content.unwanted = &writing->base.job.pool.unwanted;
    writing->content = content;
    return mw_l_job_run(L, &writing->base.job);
}

int mw_l_folder_write(lua_State *L) {
    static const char *const known[] = {"permissions", "only_new", "sync", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    luaL_checkstring(L, first + 1);
    mw_check_options(L, first + 2, known);
    struct mw_file_content content = {
        .mode = mw_l_file_permissions(L, first + 2),
        .only_new = mw_option_boolean(L, first + 2, "only_new", false),
        .sync = mw_option_boolean(L, first + 2, "sync", true),
    };
    return run_writing(L, &write_kind, folder, first, content);
}

int mw_l_folder_append(lua_State *L) {
    static const char *const known[] = {"permissions", "sync", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    luaL_checkstring(L, first + 1);
    mw_check_options(L, first + 2, known);
    struct mw_file_content content = {
        .mode = mw_l_file_permissions(L, first + 2),
        .sync = mw_option_boolean(L, first + 2, "sync", false),
    };
    return run_writing(L, &append_kind, folder, first, content);
}

/* --- open(name [, mode [, options]]) → file --- */

static const char *const modes[] = {"read", "write", "append", "update", NULL};

static const int mode_flags[] = {
    O_RDONLY,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_WRONLY | O_CREAT | O_APPEND,
    O_RDWR | O_CREAT,
};

struct opening {
    struct mw_l_file_job base;
    int flags, mode, fd;
    bool with_status;
    struct stat status;
};

/* Nothing is cut before it is sure that this is a file. */
static void open_work(struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    int flags = opening->flags & ~O_TRUNC;
    opening->fd = mw_file_open(&opening->base.place, opening->base.name, flags, (mode_t)opening->mode);
    opening->base.error = opening->fd < 0 ? -opening->fd : 0;
    if (opening->fd >= 0 && (opening->flags & O_TRUNC) && ftruncate(opening->fd, 0) != 0) {
        opening->base.error = errno;
    }
    if (opening->fd >= 0 && opening->with_status && fstat(opening->fd, &opening->status) != 0) {
        opening->base.error = errno;
    }
}

static int open_push(lua_State *L, struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    if (opening->base.error) {
        return mw_l_file_job_push_fault(L, &opening->base);
    }
    mw_l_file_push(L, &opening->fd, opening->base.name, opening->flags);
    if (opening->with_status) {
        mw_l_file_push_status(L, &opening->status);
    }
    return opening->with_status ? 2 : 1;
}

static void open_release(struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    if (opening->fd >= 0) {
        close(opening->fd);
    }
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind open_kind = {MW_L_JOB_WAIT("open"), open_work, open_push, open_release};

/* Opens a file for reading without asking a thread. How many results lie on the stack; 0: a thread must look, or say what
 * is wrong with the name or the folder. */
static int open_at_once(lua_State *L, const struct mw_l_folder *folder, int index, bool with_status) {
    size_t length;
    const char *name = lua_tolstring(L, index, &length);
    struct mw_file_place place;
    struct stat status;
    if (!folder->descriptor || strlen(name) != length || length >= PATH_MAX) {
        return 0;
    }
    mw_l_folder_place(folder, &place);
    struct mw_l_file *file = mw_l_file_push_closed(L);
    int fd = mw_file_open_known(&place, name, &status);
    if (fd < 0) {
        return fd == -EAGAIN ? 0 : mw_l_file_push_errno(L, -fd, open_kind.wait.name, name);
    }
    if (!mw_l_file_attach(L, file, fd, name, O_RDONLY)) {
        close(fd);
        return luaL_error(L, "not enough memory");
    }
    if (with_status) {
        mw_l_file_push_status(L, &status);
    }
    return with_status ? 2 : 1;
}

int mw_l_folder_open_file(lua_State *L) {
    static const char *const known[] = {"permissions", "status", NULL};
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    luaL_checkstring(L, first);
    int flags = mode_flags[luaL_checkoption(L, first + 1, "read", modes)];
    mw_check_options(L, first + 2, known);
    int mode = mw_l_file_permissions(L, first + 2);
    bool with_status = mw_option_boolean(L, first + 2, "status", false);
    mw_task_begin_wait(L, MW_TIMER_NEVER); /* raises where nobody may wait, whether it will have to or not */
    int count = flags == O_RDONLY ? open_at_once(L, folder, first, with_status) : 0;
    if (count) {
        return count;
    }
    struct opening *opening = mw_l_folder_job(L, &open_kind, sizeof *opening, folder, first);
    if (!opening) {
        return 3;
    }
    opening->flags = flags;
    opening->mode = mode < 0 ? 0666 : mode;
    opening->fd = -1;
    opening->with_status = with_status;
    return mw_l_job_run(L, &opening->base.job);
}
