/* What is kept over a fall of the machine. Pages of the live file reach the disk in any order: it is sound whatever a
 * process was killed at, and good for nothing once the machine has fallen. Hence a second file, saved.mdb, which is
 * written whole beside the old one and takes its place when the disk has it. Who opens the store first after a boot
 * begins from that. */
#include "net/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIVE "live.mdb"
#define LIVE_LOCK "live.mdb-lock"
#define SAVED "saved.mdb"
#define DRAFT "saved.new"
#define BOOT "boot"
#define OPENING "opening.lock"
#define SAVING "saving.lock" /* holds the transaction that was saved last */

enum { BOOT_TEXT = 80 };

/* How far two looks at the moment of the same boot may differ, while the clock is being set. */
static const double BOOT_SECONDS = 2;

static int open_folder(const struct mw_store *store) {
    return open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A descriptor that holds the lock, or -1 and errno. */
static int take_lock(int folder, const char *name, int how) {
    int fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, how) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* --- which boot this is --- */

static double boot_moment(void) {
    struct timespec now, since;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since);
    return (double)(now.tv_sec - since.tv_sec) + (double)(now.tv_nsec - since.tv_nsec) * 1e-9;
}

static void read_text(int folder, const char *path, char *text, size_t size) {
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : 0;
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

/* What the kernel calls it; where a service may not see that, since when it is. */
static void name_boot(char *text) {
    read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, BOOT_TEXT);
    if (!text[0]) {
        snprintf(text, BOOT_TEXT, "%.3f", boot_moment());
    }
}

static bool is_same_boot(const char *before, const char *now) {
    char *end_before, *end_now;
    if (strcmp(before, now) == 0) {
        return true;
    }
    double since = strtod(before, &end_before), moment = strtod(now, &end_now);
    return before[0] && !*end_before && !*end_now && fabs(since - moment) < BOOT_SECONDS;
}

static int write_boot(int folder, const char *name) {
    int fd = openat(folder, BOOT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    ssize_t length = (ssize_t)strlen(name);
    int error = write(fd, name, (size_t)length) == length ? 0 : errno ? errno : ENOSPC;
    close(fd);
    return error;
}

/* --- after a boot --- */

static int copy(int from, int to) {
    struct stat status;
    if (fstat(from, &status) != 0) {
        return errno;
    }
    for (off_t left = status.st_size; left > 0;) {
        ssize_t count = sendfile(to, from, NULL, (size_t)left);
        if (count <= 0) {
            return count < 0 ? errno : EIO;
        }
        left -= count;
    }
    return 0;
}

/* The live file is what was saved; nothing, if nothing was. */
static int restore(int folder) {
    unlinkat(folder, LIVE, 0);
    unlinkat(folder, LIVE_LOCK, 0);
    unlinkat(folder, SAVING, 0);
    int from = openat(folder, SAVED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0) {
        return errno == ENOENT ? 0 : errno;
    }
    int to = openat(folder, LIVE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error = to >= 0 ? copy(from, to) : errno;
    if (to >= 0) {
        close(to);
    }
    close(from);
    return error;
}

int mw_store_restore(const struct mw_store *store, int *lock) {
    char before[BOOT_TEXT], now[BOOT_TEXT];
    int folder = open_folder(store), error = 0;
    *lock = folder >= 0 ? take_lock(folder, OPENING, LOCK_EX) : -1;
    if (*lock < 0) {
        error = errno;
    } else {
        read_text(folder, BOOT, before, sizeof before);
        name_boot(now);
        if (!is_same_boot(before, now)) {
            error = restore(folder);
            error = error ? error : write_boot(folder, now);
        }
    }
    if (folder >= 0) {
        close(folder);
    }
    return error;
}

/* --- saving --- */

static int write_copy(const struct mw_store *store, int folder) {
    int fd = openat(folder, DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    int error = mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT);
    if (!error && fsync(fd) != 0) {
        error = errno;
    }
    close(fd);
    if (!error && renameat(folder, DRAFT, folder, SAVED) != 0) {
        error = errno;
    }
    return !error && fsync(folder) != 0 ? errno : error;
}

/* Nothing to do if somebody has saved all that is there. */
static int save_behind_lock(const struct mw_store *store, int folder, int lock) {
    MDB_envinfo info;
    size_t saved = 0;
    int error = mdb_env_info(store->env, &info);
    if (error || (pread(lock, &saved, sizeof saved, 0) == sizeof saved && saved >= info.me_last_txnid)) {
        return error;
    }
    error = write_copy(store, folder);
    if (!error && pwrite(lock, &info.me_last_txnid, sizeof info.me_last_txnid, 0) < 0) {
        error = errno;
    }
    return error;
}

int mw_store_save(const struct mw_store *store, bool wait) {
    int folder = open_folder(store);
    if (folder < 0) {
        return errno;
    }
    int lock = take_lock(folder, SAVING, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    int error = lock >= 0 ? save_behind_lock(store, folder, lock) : errno;
    if (lock >= 0) {
        close(lock);
    }
    close(folder);
    return error;
}
