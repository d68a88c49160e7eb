#include "net/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *mw_file_kind(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "folder";
    case S_IFLNK:
        return "link";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    default:
        return "device";
    }
}

int mw_file_stat(const struct mw_file_place *place, const char *name, bool follow, struct stat *status) {
    int fd = mw_file_resolve(place, name, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
    if (fd < 0) {
        return -fd;
    }
    int error = fstat(fd, status) == 0 ? 0 : errno;
    close(fd);
    return error;
}

/* --- listing --- */

static bool add(struct mw_file_list *list, const char *name, const char *kind) {
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct mw_file_entry *larger = realloc(list->entries, room * sizeof *larger);
        if (!larger) {
            return false;
        }
        list->entries = larger;
        list->room = room;
    }
    char *copy = strdup(name);
    if (!copy) {
        return false;
    }
    list->entries[list->count++] = (struct mw_file_entry){.name = copy, .kind = kind};
    return true;
}

/* NULL: it has vanished meanwhile. */
static const char *kind_of(int folder, const struct dirent *entry) {
    struct stat status;
    if (entry->d_type != DT_UNKNOWN) {
        return mw_file_kind((mode_t)DTTOIF(entry->d_type));
    }
    return fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? mw_file_kind(status.st_mode) : NULL;
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int collect(DIR *folder, size_t max, struct mw_file_list *list) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            return errno;
        }
        const char *kind = is_dots(entry->d_name) ? NULL : kind_of(dirfd(folder), entry);
        if (!kind) {
            continue;
        }
        if (list->count == max) {
            return EMSGSIZE;
        }
        if (!add(list, entry->d_name, kind)) {
            return ENOMEM;
        }
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct mw_file_entry *)a)->name, ((const struct mw_file_entry *)b)->name);
}

int mw_file_list(const struct mw_file_place *place, const char *name, size_t max, struct mw_file_list *list) {
    int fd = mw_file_resolve(place, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return -fd;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int error = errno;
        close(fd);
        return error;
    }
    int error = collect(folder, max, list);
    closedir(folder);
    if (list->count > 0) {
        qsort(list->entries, list->count, sizeof *list->entries, by_name);
    }
    return error;
}

void mw_file_list_clear(struct mw_file_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].name);
    }
    free(list->entries);
    *list = (struct mw_file_list){0};
}

/* --- changing --- */

/* What has changed in a folder is on the disk when it returns. 0 or errno. */
static int sync_folder(int folder) {
    return fsync(folder) == 0 ? 0 : errno;
}

static int make_one(const struct mw_file_place *place, const char *name, const struct mw_file_making *how) {
    const char *base;
    int folder = mw_file_open_parent(place, name, &base);
    if (folder < 0) {
        return -folder;
    }
    int error = mkdirat(folder, base, how->mode) == 0 ? 0 : errno;
    if (!error && how->sync) {
        error = sync_folder(folder);
    }
    close(folder);
    return error;
}

/* Whether EEXIST may be passed over: a folder is there, or a link to one. */
static int check_folder(const struct mw_file_place *place, const char *name) {
    int fd = mw_file_resolve(place, name, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0) {
        close(fd);
    }
    return fd == -ENOTDIR ? EEXIST : fd < 0 ? -fd : 0;
}

int mw_file_make_folder(const struct mw_file_place *place, const char *name, const struct mw_file_making *how) {
    char path[PATH_MAX];
    size_t length = strlen(name);
    if (!how->parents || length >= sizeof path) {
        return make_one(place, name, how);
    }
    for (size_t end = 1; end <= length; end++) {
        if (end < length && (name[end] != '/' || name[end - 1] == '/')) {
            continue;
        }
        snprintf(path, sizeof path, "%.*s", (int)end, name);
        int error = make_one(place, path, how);
        /* A part such as "." or ".." is none to be made, and must be there. */
        if (error == EEXIST || error == EINVAL) {
            error = check_folder(place, path);
        }
        if (error) {
            return error;
        }
    }
    return 0;
}

int mw_file_remove(const struct mw_file_place *place, const char *name, bool sync) {
    const char *base;
    int folder = mw_file_open_parent(place, name, &base);
    if (folder < 0) {
        return -folder;
    }
    int error = unlinkat(folder, base, 0) == 0 ? 0 : errno;
    if (error == EISDIR) {
        error = unlinkat(folder, base, AT_REMOVEDIR) == 0 ? 0 : errno;
    }
    if (!error && sync) {
        error = sync_folder(folder);
    }
    close(folder);
    return error;
}

/* The new name first: a file that is lost is worse than one with two names. */
static int sync_both(int target, int source) {
    int error = sync_folder(target);
    return error ? error : sync_folder(source);
}

int mw_file_rename(const struct mw_file_place *place, const char *from, const char *to,
                   const struct mw_file_renaming *how) {
    const char *old_base, *new_base;
    int source = mw_file_open_parent(place, from, &old_base);
    if (source < 0) {
        return -source;
    }
    int target = mw_file_open_parent(place, to, &new_base);
    int error = target < 0 ? -target : 0;
    if (!error && renameat2(source, old_base, target, new_base, how->replaces ? 0 : RENAME_NOREPLACE) != 0) {
        error = errno;
    }
    if (!error && how->sync) {
        error = sync_both(target, source);
    }
    if (target >= 0) {
        close(target);
    }
    close(source);
    return error;
}
