#include "proc/watch.h"

#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static const double QUIET_SECONDS = 0.1, LONGEST_SECONDS = 2; /* of a burst of changes */

/* Folders are watched, because an editor may give the name to another file. */
enum {
    INTERESTING = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                  IN_ONLYDIR
};

enum { LINKS_MOST = 8 };

struct file {
    struct mw_list node;
    int folder; /* as inotify knows it */
    char name[NAME_MAX + 1];
};

struct mw_watch {
    ev_io io; /* of inotify */
    struct mw_loop *loop;
    struct mw_list files;
    struct mw_timer quiet;
    double first; /* change of the burst; 0: none */
    void (*on_change)(void *owner);
    void *owner;
};

static void add_path(struct mw_watch *watch, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[PATH_MAX];
    struct file *file = strlen(name) <= NAME_MAX ? calloc(1, sizeof *file) : NULL;
    if (!file) {
        return;
    }
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    file->folder = inotify_add_watch(watch->io.fd, folder[0] ? folder : "/", INTERESTING);
    if (file->folder < 0) {
        mw_log(MW_LOG_WARN, "cannot watch %s: %s%s", path, strerror(errno),
               errno == ENOSPC ? " (raise fs.inotify.max_user_watches)" : "");
        free(file);
        return;
    }
    snprintf(file->name, sizeof file->name, "%s", name);
    mw_list_append(&watch->files, &file->node);
}

static bool is_link(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
}

/* A folder on the way that is a link may come to lead elsewhere. */
static void add_links(struct mw_watch *watch, char *path) {
    for (char *slash = *path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (is_link(path)) {
            add_path(watch, path);
        }
        *slash = '/';
    }
}

/* A link may lead to another, and any of them may be exchanged: as certificates are that are switched by one link. The
 * path is changed. */
static void add_chain(struct mw_watch *watch, char path[PATH_MAX]) {
    char target[PATH_MAX], next[PATH_MAX];
    for (int links = 0; links < LINKS_MOST; links++) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length <= 0) {
            return;
        }
        target[length] = '\0';
        const char *slash = strrchr(path, '/');
        int folder = target[0] == '/' || !slash ? 0 : (int)(slash - path + 1);
        if (snprintf(next, sizeof next, "%.*s%s", folder, path, target) >= (int)sizeof next) {
            return;
        }
        memcpy(path, next, sizeof next);
        add_path(watch, path);
        add_links(watch, path);
    }
}

/* What a link leads to is watched as well as the link. */
static void add(struct mw_watch *watch, const struct mw_value *value) {
    char path[PATH_MAX], real[PATH_MAX];
    if (value->type != MW_VALUE_STRING || value->size >= sizeof path) {
        return;
    }
    memcpy(path, value->bytes, value->size);
    path[value->size] = '\0';
    add_path(watch, path);
    add_links(watch, path);
    if (realpath(path, real) && strcmp(path, real) != 0) {
        add_path(watch, real);
    }
    add_chain(watch, path);
}

static bool has_folder(const struct mw_list *files, int folder) {
    for (struct mw_list *node = files->next; node != files; node = node->next) {
        if (mw_list_owner(node, struct file, node)->folder == folder) {
            return true;
        }
    }
    return false;
}

static void drop(struct mw_watch *watch, struct mw_list *files) {
    for (struct mw_list *node = files->next, *next; node != files; node = next) {
        struct file *file = mw_list_owner(node, struct file, node);
        next = node->next;
        mw_list_remove(node);
        if (!has_folder(&watch->files, file->folder) && !has_folder(files, file->folder)) {
            inotify_rm_watch(watch->io.fd, file->folder);
        }
        free(file);
    }
}

/* A folder that stays is never left out of sight. */
void mw_watch_set(struct mw_watch *watch, const struct mw_value *files, bool added) {
    struct mw_value key, path;
    struct mw_list before;
    mw_list_init(&before);
    if (!added) {
        mw_list_splice(&before, &watch->files);
    }
    for (size_t at = 0; files->type == MW_VALUE_TABLE && mw_value_next(files, &at, &key, &path);) {
        add(watch, &path);
    }
    drop(watch, &before);
}

/* A module or an included file may be new. Names that begin otherwise are those of editors. */
static bool is_script(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".lua") == 0 && name[0] != '.' && name[0] != '#';
}

static bool concerns(const struct mw_watch *watch, const struct inotify_event *event) {
    const char *name = event->len ? event->name : "";
    if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) {
        return true;
    }
    if (event->mask & (IN_IGNORED | IN_ISDIR)) {
        return false;
    }
    for (const struct mw_list *node = watch->files.next; node != &watch->files; node = node->next) {
        const struct file *file = mw_list_owner(node, struct file, node);
        if (file->folder == event->wd && strcmp(file->name, name) == 0) {
            return true;
        }
    }
    return is_script(name);
}

/* A file that was just made is not complete, unless it came by link or by renaming: its closing counts, and if there
 * is none the quiet after. */
static void note(struct mw_watch *watch) {
    double now = mw_loop_update(watch->loop);
    if (watch->first == 0) {
        watch->first = now;
    }
    double due = now + QUIET_SECONDS;
    double latest = watch->first + LONGEST_SECONDS;
    mw_timer_set(mw_loop_timers(watch->loop), &watch->quiet, due < latest ? due : latest);
}

static void on_quiet(struct mw_timer *timer) {
    struct mw_watch *watch = mw_list_owner(timer, struct mw_watch, quiet);
    watch->first = 0;
    watch->on_change(watch->owner);
}

static void on_events(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_watch *watch = mw_list_owner(io, struct mw_watch, io);
    _Alignas(struct inotify_event) char bytes[4096];
    ssize_t size = read(io->fd, bytes, sizeof bytes);
    (void)ev;
    (void)events;
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const void *)(bytes + at);
        at += (ssize_t)(sizeof *event + event->len);
        if (concerns(watch, event)) {
            note(watch);
        }
    }
}

struct mw_watch *mw_watch_new(struct mw_loop *loop, void (*on_change)(void *owner), void *owner) {
    struct mw_watch *watch = calloc(1, sizeof *watch);
    int fd = watch ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
    if (fd < 0) {
        free(watch);
        return NULL;
    }
    watch->loop = loop;
    watch->on_change = on_change;
    watch->owner = owner;
    mw_list_init(&watch->files);
    mw_timer_init(&watch->quiet, on_quiet);
    ev_io_init(&watch->io, on_events, fd, EV_READ);
    ev_io_start(mw_loop_ev(loop), &watch->io);
    return watch;
}

void mw_watch_free(struct mw_watch *watch) {
    struct mw_list files;
    mw_list_init(&files);
    mw_list_splice(&files, &watch->files);
    drop(watch, &files);
    mw_timer_remove(mw_loop_timers(watch->loop), &watch->quiet);
    ev_io_stop(mw_loop_ev(watch->loop), &watch->io);
    close(watch->io.fd);
    free(watch);
}
