#include "script/l_file_job.h"

#include "net/file_tree.h"
#include "script/check.h"
#include "script/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mw_l_descriptor *mw_l_descriptor_new(int fd, const char *name) {
    size_t length = strlen(name);
    struct mw_l_descriptor *descriptor = malloc(sizeof *descriptor + length + 1);
    if (descriptor) {
        *descriptor = (struct mw_l_descriptor){.fd = fd, .references = 1};
        memcpy(descriptor->name, name, length + 1);
    }
    return descriptor;
}

void mw_l_descriptor_release(struct mw_l_descriptor *descriptor) {
    if (--descriptor->references == 0) {
        if (descriptor->fd >= 0) {
            close(descriptor->fd);
        }
        free(descriptor);
    }
}

bool mw_l_descriptor_is_busy(const struct mw_l_descriptor *descriptor) {
    return descriptor->user && descriptor->user->job.under_way;
}

void *mw_l_file_job_push(lua_State *L, const struct mw_l_job_kind *kind, size_t size,
                         struct mw_l_descriptor *descriptor, const char *name) {
    size_t length = name ? strlen(name) + 1 : 0;
    struct mw_l_file_job *job = mw_l_job_push(L, kind, size + length);
    descriptor->references++;
    job->descriptor = descriptor;
    job->name = name ? memcpy((char *)job + size, name, length) : descriptor->name;
    return job;
}

int mw_l_file_job_run_alone(lua_State *L, struct mw_l_file_job *job) {
    if (mw_l_descriptor_is_busy(job->descriptor)) {
        return mw_push_word(L, "busy");
    }
    job->descriptor->user = job;
    return mw_l_job_run(L, &job->job);
}

void mw_l_file_job_release(struct mw_l_job *job) {
    struct mw_l_file_job *file_job = (struct mw_l_file_job *)job;
    struct mw_l_descriptor *descriptor = file_job->descriptor;
    if (!descriptor) {
        return;
    }
    if (descriptor->user == file_job) {
        descriptor->user = NULL;
    }
    mw_l_descriptor_release(descriptor);
}

static int push_reason(lua_State *L, const char *code, const char *operation, const char *name, const char *reason) {
    struct mw_fault fault;
    mw_fault_format(&fault, code, "%s %.200s: %s", operation, name, reason);
    return mw_push_fault(L, &fault);
}

int mw_l_file_push_errno(lua_State *L, int error, const char *operation, const char *name) {
    switch (error) {
    case MW_FILE_OUTSIDE:
        return push_reason(L, "denied", operation, name, "leads out of the folder");
    case ELOOP:
        return push_reason(L, "denied", operation, name, "a link that is not followed");
    case MW_FILE_IRREGULAR:
        return push_reason(L, "invalid", operation, name, "not a regular file");
    default:
        return mw_push_errno(L, error, operation, name);
    }
}

int mw_l_file_job_push_fault(lua_State *L, const struct mw_l_file_job *job) {
    return mw_l_file_push_errno(L, job->error, job->job.kind->wait.name, job->name);
}

int mw_l_file_job_push_success(lua_State *L, struct mw_l_job *job) {
    const struct mw_l_file_job *file_job = (struct mw_l_file_job *)job;
    if (file_job->error) {
        return mw_l_file_job_push_fault(L, file_job);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

void mw_l_file_push_status(lua_State *L, const struct stat *status) {
    mode_t mode = status->st_mode;
    char permissions[3] = {(char)('0' + (mode >> 6 & 7)), (char)('0' + (mode >> 3 & 7)), (char)('0' + (mode & 7))};
    lua_createtable(L, 0, 7);
    lua_pushstring(L, mw_file_kind(mode));
    lua_setfield(L, -2, "kind");
    set_integer(L, "size", (lua_Integer)status->st_size);
    lua_pushnumber(L, (double)status->st_mtim.tv_sec + (double)status->st_mtim.tv_nsec * 1e-9);
    lua_setfield(L, -2, "modified");
    lua_pushlstring(L, permissions, sizeof permissions);
    lua_setfield(L, -2, "permissions");
    set_integer(L, "user", (lua_Integer)status->st_uid);
    set_integer(L, "group", (lua_Integer)status->st_gid);
    set_integer(L, "id", (lua_Integer)status->st_ino);
}

int mw_l_file_permissions(lua_State *L, int index) {
    const char *text = mw_option_string(L, index, "permissions");
    if (!text) {
        return -1;
    }
    if (strlen(text) != 3 || strspn(text, "01234567") != 3) {
        luaL_argerror(L, index, "option 'permissions': three octal digits expected, such as \"640\"");
    }
    return (int)strtol(text, NULL, 8);
}
