/* What open files do on threads. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_file_internal.h"
#include "script/l_file_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A job on an open file. Its userdata lies at index 1 of the function that waits. */
struct file_job {
    struct mw_l_file_job base;
    off_t offset;
    size_t size;
    char *data;
    struct stat status;
    int operation; /* of flock */
    bool iterates; /* a fault is raised, the end of the file is nil alone */
    bool began;    /* a thread has asked for the lock */
    bool told;     /* the task knows that it has the lock */
};

static void release(struct mw_l_job *job) {
    free(((struct file_job *)job)->data);
    mw_l_file_job_release(job);
}

/* Pushes a job on the open file, or nil, "closed", "closed": NULL. */
static struct file_job *push_job(lua_State *L, const struct mw_l_job_kind *kind, const struct mw_l_file *file) {
    if (!file->descriptor) {
        mw_push_word(L, "closed");
        return NULL;
    }
    return mw_l_file_job_push(L, kind, sizeof(struct file_job), file->descriptor, NULL);
}

/* Raises when the file was opened for the other direction only. */
static void check_direction(lua_State *L, const struct mw_l_file *file, bool writes) {
    int access = file->flags & O_ACCMODE;
    if (access == (writes ? O_RDONLY : O_WRONLY)) {
        luaL_error(L, "this file was not opened for %s", writes ? "writing" : "reading");
    }
}

static int fail(lua_State *L, const struct file_job *job) {
    int count = mw_l_file_job_push_fault(L, &job->base);
    if (!job->iterates) {
        return count;
    }
    mw_push_fault_object(L, lua_tostring(L, -1), lua_tostring(L, -2));
    return lua_error(L);
}

static void read_work(struct mw_l_job *job) {
    struct file_job *reading = (struct file_job *)job;
    ssize_t got = mw_file_read(reading->base.descriptor->fd, reading->data, reading->size, reading->offset);
    reading->base.error = got < 0 ? (int)-got : 0;
    reading->size = got < 0 ? 0 : (size_t)got;
}

static int read_push(lua_State *L, struct mw_l_job *job) {
    const struct file_job *reading = (struct file_job *)job;
    if (reading->base.error) {
        return fail(L, reading);
    }
    if (reading->size == 0) {
        return reading->iterates ? 0 : mw_push_word(L, "eof");
    }
    struct mw_l_file *file = mw_l_file_check(L);
    lua_pushlstring(L, reading->data, reading->size);
    file->position = (lua_Integer)reading->offset + (lua_Integer)reading->size;
    return 1;
}

static const struct mw_l_job_kind read_kind = {MW_L_JOB_WAIT("read"), read_work, read_push, release};

static int run_reading(lua_State *L, const struct mw_l_file *file, size_t size, bool iterates) {
    struct file_job *reading = push_job(L, &read_kind, file);
    if (!reading) {
        return 3;
    }
    reading->offset = (off_t)file->position;
    reading->size = size;
    reading->iterates = iterates;
    reading->data = malloc(size);
    if (!reading->data) {
        return luaL_error(L, "not enough memory");
    }
    return mw_l_file_job_run_alone(L, &reading->base);
}

/* read(n) → data, fewer bytes only at the end of the file | nil, "eof", "eof" */
int mw_l_file_read(lua_State *L) {
    const struct mw_l_file *file = mw_l_file_check(L);
    size_t size = mw_check_count(L, 2, 1, MW_L_FILE_MOST);
    check_direction(L, file, false);
    return run_reading(L, file, size, false);
}

static int next_chunk(lua_State *L) {
    lua_settop(L, 1);
    struct mw_l_file *file = mw_l_file_check(L);
    if (!file->descriptor || mw_l_descriptor_is_busy(file->descriptor)) {
        const char *word = file->descriptor ? "busy" : "closed";
        mw_push_fault_object(L, word, word);
        return lua_error(L);
    }
    return run_reading(L, file, (size_t)lua_tointeger(L, lua_upvalueindex(1)), true);
}

/* chunks([options]) → iterator */
int mw_l_file_chunks(lua_State *L) {
    static const char *const known[] = {"max", NULL};
    const struct mw_l_file *file = mw_l_file_check(L);
    mw_check_options(L, 2, known);
    lua_Integer max = mw_option_integer(L, 2, "max", 1, MW_L_FILE_MOST, 64 * 1024);
    check_direction(L, file, false);
    lua_pushinteger(L, max);
    lua_pushcclosure(L, next_chunk, 1);
    lua_pushvalue(L, 1);
    return 2;
}

static void write_work(struct mw_l_job *job) {
    struct file_job *writing = (struct file_job *)job;
    writing->base.error = mw_file_write(writing->base.descriptor->fd, writing->data, writing->size, writing->offset,
                                        &job->pool.unwanted);
}

static int write_push(lua_State *L, struct mw_l_job *job) {
    const struct file_job *writing = (struct file_job *)job;
    if (writing->base.error) {
        return mw_l_file_job_push_fault(L, &writing->base);
    }
    struct mw_l_file *file = mw_l_file_check(L);
    if (writing->offset != MW_FILE_END) {
        file->position = (lua_Integer)writing->offset + (lua_Integer)writing->size;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const struct mw_l_job_kind write_kind = {MW_L_JOB_WAIT("write"), write_work, write_push, release};

/* The bytes of all arguments from the second on, at most MW_L_FILE_MOST. */
static size_t total(lua_State *L, int count) {
    size_t size = 0;
    for (int i = 2; i <= count; i++) {
        size_t length;
        luaL_checklstring(L, i, &length);
        luaL_argcheck(L, length <= MW_L_FILE_MOST - size, i, "more than 1 GiB in one call");
        size += length;
    }
    return size;
}

/* write(...) → true */
int mw_l_file_write(lua_State *L) {
    const struct mw_l_file *file = mw_l_file_check(L);
    int count = lua_gettop(L);
    size_t size = total(L, count);
    check_direction(L, file, true);
    struct file_job *writing = push_job(L, &write_kind, file);
    if (!writing) {
        return 3;
    }
    writing->data = malloc(size + 1);
    if (!writing->data) {
        return luaL_error(L, "not enough memory");
    }
    for (int i = 2; i <= count; i++) {
        size_t length;
        const char *bytes = lua_tolstring(L, i, &length);
        memcpy(writing->data + writing->size, bytes, length);
        writing->size += length;
    }
    writing->offset = file->flags & O_APPEND ? (off_t)MW_FILE_END : (off_t)file->position;
    return mw_l_file_job_run_alone(L, &writing->base);
}

static void stat_work(struct mw_l_job *job) {
    struct file_job *asking = (struct file_job *)job;
    asking->base.error = fstat(asking->base.descriptor->fd, &asking->status) == 0 ? 0 : errno;
}

static int stat_push(lua_State *L, struct mw_l_job *job) {
    const struct file_job *asking = (struct file_job *)job;
    if (asking->base.error) {
        return mw_l_file_job_push_fault(L, &asking->base);
    }
    mw_l_file_push_status(L, &asking->status);
    return 1;
}

static int size_push(lua_State *L, struct mw_l_job *job) {
    const struct file_job *asking = (struct file_job *)job;
    if (asking->base.error) {
        return mw_l_file_job_push_fault(L, &asking->base);
    }
    lua_pushinteger(L, (lua_Integer)asking->status.st_size);
    return 1;
}

static void truncate_work(struct mw_l_job *job) {
    struct file_job *cutting = (struct file_job *)job;
    cutting->base.error = ftruncate(cutting->base.descriptor->fd, cutting->offset) == 0 ? 0 : errno;
}

static void sync_work(struct mw_l_job *job) {
    struct file_job *syncing = (struct file_job *)job;
    syncing->base.error = fsync(syncing->base.descriptor->fd) == 0 ? 0 : errno;
}

static void lock_work(struct mw_l_job *job) {
    struct file_job *locking = (struct file_job *)job;
    locking->began = true;
    locking->base.error = flock(locking->base.descriptor->fd, locking->operation) == 0 ? 0 : errno;
    if (locking->base.error == EWOULDBLOCK) {
        locking->base.error = EBUSY;
    }
}

static int lock_push(lua_State *L, struct mw_l_job *job) {
    ((struct file_job *)job)->told = true;
    return mw_l_file_job_push_success(L, job);
}

/* A lock that came when nobody waited for it any more is given up. */
static void lock_release(struct mw_l_job *job) {
    const struct file_job *locking = (struct file_job *)job;
    if (locking->began && !locking->base.error && !locking->told) {
        flock(locking->base.descriptor->fd, LOCK_UN);
    }
    release(job);
}

static const struct mw_l_job_kind size_kind = {MW_L_JOB_WAIT("size"), stat_work, size_push, release};
static const struct mw_l_job_kind stat_kind = {MW_L_JOB_WAIT("stat"), stat_work, stat_push, release};
static const struct mw_l_job_kind truncate_kind = {MW_L_JOB_WAIT("truncate"), truncate_work,
                                                   mw_l_file_job_push_success, release};
static const struct mw_l_job_kind sync_kind = {MW_L_JOB_WAIT("sync"), sync_work, mw_l_file_job_push_success, release};
static const struct mw_l_job_kind lock_kind = {MW_L_JOB_WAIT("lock"), lock_work, lock_push, lock_release};

/* size() → bytes */
int mw_l_file_size(lua_State *L) {
    struct file_job *asking = push_job(L, &size_kind, mw_l_file_check(L));
    return asking ? mw_l_file_job_run_alone(L, &asking->base) : 3;
}

/* stat() → table */
int mw_l_file_stat(lua_State *L) {
    struct file_job *asking = push_job(L, &stat_kind, mw_l_file_check(L));
    return asking ? mw_l_file_job_run_alone(L, &asking->base) : 3;
}

/* truncate(size) → true */
int mw_l_file_truncate(lua_State *L) {
    const struct mw_l_file *file = mw_l_file_check(L);
    size_t size = mw_check_count(L, 2, 0, LUA_MAXINTEGER);
    check_direction(L, file, true);
    struct file_job *cutting = push_job(L, &truncate_kind, file);
    if (!cutting) {
        return 3;
    }
    cutting->offset = (off_t)size;
    return mw_l_file_job_run_alone(L, &cutting->base);
}

/* sync() → true */
int mw_l_file_sync(lua_State *L) {
    struct file_job *syncing = push_job(L, &sync_kind, mw_l_file_check(L));
    return syncing ? mw_l_file_job_run_alone(L, &syncing->base) : 3;
}

/* try_lock(file, exclusive) → true | nil, "busy", "busy" */
int mw_l_file_try_lock(lua_State *L) {
    struct file_job *locking = push_job(L, &lock_kind, mw_l_file_check(L));
    if (!locking) {
        return 3;
    }
    locking->operation = (lua_toboolean(L, 2) ? LOCK_EX : LOCK_SH) | LOCK_NB;
    return mw_l_file_job_run_alone(L, &locking->base);
}

/* unlock() → true */
int mw_l_file_unlock(lua_State *L) {
    struct file_job *locking = push_job(L, &lock_kind, mw_l_file_check(L));
    if (!locking) {
        return 3;
    }
    locking->operation = LOCK_UN;
    return mw_l_file_job_run_alone(L, &locking->base);
}
