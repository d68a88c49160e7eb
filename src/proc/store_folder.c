#include "proc/store_folder.h"

#include "base/privilege_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEME "lmdb:"

struct mw_store_folder {
    char url[PATH_MAX], path[PATH_MAX];
    bool passing; /* it goes with the daemon */
};

/* "/run/moonwire/control.sock": "/run/moonwire/control.store". */
static void name_beside(const char *control, char *path, size_t size) {
    size_t length = strlen(control);
    if (length > 5 && strcmp(control + length - 5, ".sock") == 0) {
        length -= 5;
    }
    snprintf(path, size, "%.*s.store", (int)length, control);
}

/* The path in the URL "lmdb:///path?size=64M"; false: there is none. */
static bool name_from(const char *url, char *path, size_t size) {
    const char *rest = url + strlen(SCHEME);
    size_t length = strcspn(rest, "?");
    if (length <= 2) {
        return false;
    }
    snprintf(path, size, "%.*s", (int)length - 2, rest + 2);
    return true;
}

/* With what the store keeps there, and nothing else. */
static void remove_folder(const char *path) {
    static const char *const names[] = {"live.mdb", "live.mdb-lock"};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlinkat(fd, names[i], 0);
    }
    close(fd);
    rmdir(path);
}

static const char *or_null(const char *name) {
    return name[0] ? name : NULL;
}

/* A folder that was there is not given away. */
static bool make(const struct mw_store_folder *folder, const struct mw_settings *settings, struct mw_fault *fault) {
    if (folder->passing) {
        remove_folder(folder->path);
    }
    bool made = mkdir(folder->path, 0700) == 0;
    bool there = made || (errno == EEXIST && !folder->passing);
    int fd = there ? open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0) {
        mw_fault_set(fault, errno, "make the folder of the store", folder->path);
        return false;
    }
    bool good = !made || mw_privilege_give(fd, or_null(settings->user), or_null(settings->group), fault);
    close(fd);
    return good;
}

struct mw_store_folder *mw_store_folder_open(const struct mw_settings *settings, struct mw_fault *fault) {
    struct mw_store_folder *folder = calloc(1, sizeof *folder);
    if (!folder) {
        mw_fault_set(fault, ENOMEM, "open", "the store");
        return NULL;
    }
    snprintf(folder->url, sizeof folder->url, "%s", settings->store);
    if (strncmp(folder->url, SCHEME, strlen(SCHEME)) != 0) {
        return folder;
    }
    folder->passing = !name_from(folder->url, folder->path, sizeof folder->path);
    if (folder->passing) {
        name_beside(settings->control, folder->path, sizeof folder->path);
    }
    if (!make(folder, settings, fault)) {
        free(folder);
        return NULL;
    }
    return folder;
}

void mw_store_folder_close(struct mw_store_folder *folder) {
    if (folder && folder->passing) {
        remove_folder(folder->path);
    }
    free(folder);
}

const char *mw_store_folder_url(const struct mw_store_folder *folder) {
    return or_null(folder->url);
}

/* "redis://user:secret@cache:6379/0?prefix=x": "cache:6379/0". */
void mw_store_folder_where(const struct mw_store_folder *folder, char *text, size_t size) {
    const char *rest = strchr(folder->url, ':');
    rest = rest ? rest + 1 : "";
    rest += strncmp(rest, "//", 2) == 0 ? 2 : 0;
    size_t length = strcspn(rest, "?");
    for (size_t i = length; i > 0; i--) {
        if (rest[i - 1] == '@') {
            rest += i;
            length -= i;
            break;
        }
    }
    if (folder->path[0]) {
        snprintf(text, size, "%s", folder->path);
    } else {
        snprintf(text, size, "%.*s", (int)length, rest);
    }
}

bool mw_store_folder_is_here(const struct mw_store_folder *folder) {
    return folder->path[0] != '\0';
}

bool mw_store_folder_is_kept(const struct mw_store_folder *folder) {
    return !folder->passing;
}

const char *mw_store_folder_path(const struct mw_store_folder *folder) {
    return folder->passing ? folder->path : NULL;
}
