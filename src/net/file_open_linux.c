/* Names to descriptors, by openat2. */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel gives up with EAGAIN when folders are renamed while it looks. */
enum { TRIES = 64 };

static struct open_how how_to_open(const struct mw_file_place *place, int flags) {
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    if (!(flags & O_PATH)) {
        how.flags |= O_NONBLOCK | O_NOCTTY;
    }
    if (place->confined) {
        how.resolve |= RESOLVE_BENEATH;
    }
    if (place->no_links) {
        how.resolve |= RESOLVE_NO_SYMLINKS;
    }
    return how;
}

int mw_file_resolve(const struct mw_file_place *place, const char *name, int flags, mode_t mode) {
    struct open_how how = how_to_open(place, flags);
    how.mode = mode;
    long fd;
    int tries = TRIES;
    do {
        fd = syscall(SYS_openat2, place->folder, name, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries > 0)));
    return fd >= 0 ? (int)fd : errno == EXDEV ? -MW_FILE_OUTSIDE : -errno;
}

/* 0 for a regular file, or -errno. */
static int check_regular(int fd, struct stat *status) {
    if (fstat(fd, status) != 0) {
        return -errno;
    }
    if (S_ISDIR(status->st_mode)) {
        return -EISDIR;
    }
    return S_ISREG(status->st_mode) ? 0 : -MW_FILE_IRREGULAR;
}

/* What is there now may be another thing when it is opened: hence the second look. */
int mw_file_open(const struct mw_file_place *place, const char *name, int flags, mode_t mode) {
    struct stat status;
    int fd = mw_file_resolve(place, name, O_PATH, 0);
    int error = fd < 0 ? fd : check_regular(fd, &status);
    if (fd >= 0) {
        close(fd);
    }
    if (error && !(error == -ENOENT && (flags & O_CREAT))) {
        return error;
    }
    fd = mw_file_resolve(place, name, flags, flags & O_CREAT ? mode : 0);
    error = fd < 0 ? fd : check_regular(fd, &status);
    if (error && fd >= 0) {
        close(fd);
    }
    return error ? error : fd;
}

static int open_known(const struct mw_file_place *place, const char *name, int flags) {
    struct open_how how = how_to_open(place, flags);
    how.resolve |= RESOLVE_CACHED;
    long fd = syscall(SYS_openat2, place->folder, name, &how, sizeof how);
    /* EINVAL: a kernel that cannot do that. */
    return fd >= 0 ? (int)fd : errno == EXDEV ? -MW_FILE_OUTSIDE : errno == EINVAL || errno == EINTR ? -EAGAIN : -errno;
}

int mw_file_open_known(const struct mw_file_place *place, const char *name, struct stat *status) {
    int fd = open_known(place, name, O_PATH);
    int error = fd < 0 ? fd : check_regular(fd, status);
    if (fd >= 0) {
        close(fd);
    }
    if (error) {
        return error;
    }
    fd = open_known(place, name, O_RDONLY);
    error = fd < 0 ? fd : check_regular(fd, status);
    if (error && fd >= 0) {
        close(fd);
    }
    return error ? error : fd;
}

int mw_file_open_parent(const struct mw_file_place *place, const char *name, const char **base) {
    char path[PATH_MAX];
    const char *slash = strrchr(name, '/');
    *base = slash ? slash + 1 : name;
    if (**base == '\0' || strcmp(*base, ".") == 0 || strcmp(*base, "..") == 0) {
        return *name == '\0' ? -ENOENT : -EINVAL;
    }
    size_t length = slash ? (size_t)(slash - name) + 1 : 1;
    if (length >= sizeof path) {
        return -ENAMETOOLONG;
    }
    memcpy(path, slash ? name : ".", length);
    path[length] = '\0';
    return mw_file_resolve(place, path, O_RDONLY | O_DIRECTORY, 0);
}
