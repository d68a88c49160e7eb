#include "net/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    BUFFER = 4096,
    INTERESTING = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                  IN_MOVE_SELF | IN_ONLYDIR,
};

struct mw_file_watch {
    struct mw_pool_job closing;
    int fd, wd;
    char only[MW_FILE_NAME];     /* the one name of interest; empty: all */
    char changing[MW_FILE_NAME]; /* that was told to have changed last, see is_repeated */
    bool ended;
    size_t start, end; /* of the events in `bytes` that were not taken yet */
    _Alignas(struct inotify_event) char bytes[BUFFER];
};

/* Names in a folder have 255 bytes at most. */
static void copy_name(char target[MW_FILE_NAME], const char *name) {
    snprintf(target, MW_FILE_NAME, "%s", name);
}

/* --- opening --- */

/* The folder to watch, and the name in it, which is empty when all are of interest. */
static int find(const struct mw_file_place *place, const char *name, const char **only) {
    int folder = mw_file_resolve(place, name, O_RDONLY | O_DIRECTORY, 0);
    *only = "";
    if (folder == -ENOTDIR || folder == -ENOENT) {
        folder = mw_file_open_parent(place, name, only);
    }
    return folder;
}

static int start(struct mw_file_watch *watch, int folder) {
    char link[32];
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->fd < 0) {
        return errno == EMFILE ? MW_FILE_WATCHES : errno;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    watch->wd = inotify_add_watch(watch->fd, link, INTERESTING);
    if (watch->wd < 0) {
        return errno == ENOSPC ? MW_FILE_WATCHES : errno;
    }
    return 0;
}

static void close_fd(struct mw_pool_job *job) {
    const struct mw_file_watch *watch = mw_list_owner(job, struct mw_file_watch, closing);
    if (watch->fd >= 0) {
        close(watch->fd);
    }
}

static void free_watch(struct mw_pool_job *job) {
    free(mw_list_owner(job, struct mw_file_watch, closing));
}

struct mw_file_watch *mw_file_watch_open(const struct mw_file_place *place, const char *name) {
    const char *only;
    int folder = find(place, name, &only);
    if (folder < 0) {
        errno = -folder;
        return NULL;
    }
    struct mw_file_watch *watch = calloc(1, sizeof *watch);
    int error = strlen(only) >= MW_FILE_NAME ? ENAMETOOLONG : ENOMEM;
    if (watch) {
        watch->fd = -1;
    }
    if (watch && error == ENOMEM) {
        copy_name(watch->only, only);
        error = start(watch, folder);
    }
    close(folder);
    if (error && watch) {
        close_fd(&watch->closing);
        free(watch);
    }
    errno = error;
    return error ? NULL : watch;
}

/* libev leaves a descriptor in its epoll set until it is closed: it must not become
 * readable while a thread does that, when its number may be another's already. */
static void silence(struct mw_file_watch *watch) {
    inotify_rm_watch(watch->fd, watch->wd);
    while (read(watch->fd, watch->bytes, sizeof watch->bytes) > 0) {
    }
}

void mw_file_watch_close(struct mw_file_watch *watch, struct mw_pool *threads) {
    silence(watch);
    watch->closing.work = close_fd;
    watch->closing.done = free_watch;
    if (mw_pool_submit(threads, &watch->closing) != 0) {
        close_fd(&watch->closing);
        free(watch);
    }
}

int mw_file_watch_fd(const struct mw_file_watch *watch) {
    return watch->fd;
}

/* --- taking --- */

/* The next event of the kernel, which stays where it is; NULL: none. */
static const struct inotify_event *peek(struct mw_file_watch *watch) {
    if (watch->start == watch->end) {
        ssize_t got = read(watch->fd, watch->bytes, sizeof watch->bytes);
        watch->start = 0;
        watch->end = got > 0 ? (size_t)got : 0;
    }
    return watch->start < watch->end ? (const void *)(watch->bytes + watch->start) : NULL;
}

static void skip(struct mw_file_watch *watch, const struct inotify_event *event) {
    watch->start += sizeof *event + event->len;
}

static const char *name_of(const struct inotify_event *event) {
    return event->len ? event->name : "";
}

static void set(struct mw_file_event *event, enum mw_file_event_kind kind, const char *name) {
    event->kind = kind;
    if (name != event->name) {
        copy_name(event->name, name);
    }
    event->from[0] = '\0';
}

/* The two halves of a renaming come one behind the other; else it led elsewhere. */
static void take_moved_from(struct mw_file_watch *watch, uint32_t cookie, struct mw_file_event *event) {
    const struct inotify_event *next = peek(watch);
    event->kind = MW_FILE_REMOVED;
    if (next && (next->mask & IN_MOVED_TO) && next->cookie == cookie) {
        char from[MW_FILE_NAME];
        copy_name(from, event->name);
        set(event, MW_FILE_RENAMED, name_of(next));
        copy_name(event->from, from);
        skip(watch, next);
    }
}

static void take(struct mw_file_watch *watch, struct mw_file_event *event) {
    const struct inotify_event *raw = peek(watch);
    if (!raw) {
        set(event, MW_FILE_NONE, "");
        return;
    }
    uint32_t mask = raw->mask, cookie = raw->cookie;
    set(event, MW_FILE_CHANGED, name_of(raw));
    skip(watch, raw);
    if (mask & IN_Q_OVERFLOW) {
        event->kind = MW_FILE_OVERFLOW;
    } else if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
        event->kind = MW_FILE_ENDED;
        watch->ended = true;
    } else if (mask & IN_MOVED_FROM) {
        take_moved_from(watch, cookie, event);
    } else if (mask & (IN_CREATE | IN_MOVED_TO)) {
        event->kind = MW_FILE_CREATED;
    } else if (mask & IN_DELETE) {
        event->kind = MW_FILE_REMOVED;
    }
}

/* Files that are written without a name, as mw_file_replace does where it can, are
 * told as "#" and a number. */
static bool is_nameless(const char *name) {
    return name[0] == '#' && name[1] != '\0' && strspn(name + 1, "0123456789") == strlen(name + 1);
}

/* What mw_file_replace does beside the name that it replaces is nobody's concern. */
static bool is_draft(struct mw_file_event *event) {
    if (event->kind == MW_FILE_RENAMED && mw_file_is_draft(event->from)) {
        set(event, MW_FILE_CHANGED, event->name);
    }
    return mw_file_is_draft(event->name) || (event->kind == MW_FILE_CHANGED && is_nameless(event->name));
}

/* For one name: what others do is left out, and a file that takes the name is a
 * change of it, as when an editor writes a new file and renames it. */
static bool concerns(const struct mw_file_watch *watch, struct mw_file_event *event) {
    if (!watch->only[0] || event->kind == MW_FILE_OVERFLOW || event->kind >= MW_FILE_ENDED ||
        event->kind == MW_FILE_NONE) {
        return true;
    }
    if (event->kind == MW_FILE_RENAMED && strcmp(event->name, watch->only) == 0) {
        set(event, MW_FILE_CHANGED, watch->only);
    } else if (event->kind == MW_FILE_RENAMED && strcmp(event->from, watch->only) == 0) {
        set(event, MW_FILE_REMOVED, watch->only);
    }
    return strcmp(event->name, watch->only) == 0;
}

/* Whether the same name has just been told to have changed, and nobody has waited
 * since: writers make an event a write. */
static bool is_repeated(struct mw_file_watch *watch, const struct mw_file_event *event) {
    bool repeated = event->kind == MW_FILE_CHANGED && strcmp(event->name, watch->changing) == 0;
    copy_name(watch->changing, event->kind == MW_FILE_CHANGED ? event->name : "");
    return repeated;
}

void mw_file_watch_next(struct mw_file_watch *watch, struct mw_file_event *event) {
    do {
        if (watch->ended) {
            set(event, MW_FILE_ENDED, "");
            return;
        }
        take(watch, event);
    } while (is_draft(event) || !concerns(watch, event) || is_repeated(watch, event));
}
