/* Replacing a file at once: the content is written to a file that has no name
 * yet, and takes the old one's place when it is complete. */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct draft {
    int folder;
    int fd;
    bool named;    /* there is a temporary name, to be renamed or removed */
    char name[40];
    char link[32]; /* what the kernel calls the descriptor */
};

#define DRAFT ".moonwire-"

bool mw_file_is_draft(const char *name) {
    return strncmp(name, DRAFT, strlen(DRAFT)) == 0;
}

static int choose_name(struct draft *draft) {
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        return errno;
    }
    snprintf(draft->name, sizeof draft->name, DRAFT "%016llx", (unsigned long long)random);
    return 0;
}

static bool has_link(struct draft *draft) {
    snprintf(draft->link, sizeof draft->link, "/proc/self/fd/%d", draft->fd);
    return access(draft->link, F_OK) == 0;
}

/* Without a name nothing is left behind, whatever happens. Not every file system
 * has that. 0 or errno. */
static int open_draft(struct draft *draft, mode_t mode) {
    int error = choose_name(draft);
    if (error) {
        return error;
    }
    draft->fd = openat(draft->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
    if (draft->fd >= 0 && has_link(draft)) {
        return 0;
    }
    if (draft->fd >= 0) {
        close(draft->fd);
    }
    draft->fd = openat(draft->folder, draft->name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
    draft->named = draft->fd >= 0;
    return draft->named ? 0 : errno;
}

/* The owner of the file that is replaced keeps it where we may give it away; where
 * we may not, a group that is not the same gets no more than all others. */
static int take_over(int fd, const struct stat *old, int mode) {
    if (old && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
        fchown(fd, old->st_uid, old->st_gid) != 0) {
        mode = (mode & 0707) | ((mode & 07) << 3);
    }
    return mode < 0 || fchmod(fd, (mode_t)mode) == 0 ? 0 : errno;
}

static int fill_draft(const struct draft *draft, const struct stat *old, int mode,
                      const struct mw_file_content *content) {
    int error = mw_file_write(draft->fd, content->data, content->size, 0, content->unwanted);
    if (!error && mode >= 0) {
        error = take_over(draft->fd, old, mode);
    }
    if (!error && content->sync && fsync(draft->fd) != 0) {
        error = errno;
    }
    return error;
}

/* Gives the draft the name of the file. 0 or errno. */
static int publish(struct draft *draft, const char *base, bool only_new) {
    if (!draft->named) {
        if (linkat(AT_FDCWD, draft->link, draft->folder, draft->name, AT_SYMLINK_FOLLOW) != 0) {
            return errno;
        }
        draft->named = true;
    }
    if (renameat2(draft->folder, draft->name, draft->folder, base, only_new ? RENAME_NOREPLACE : 0) != 0) {
        return errno;
    }
    draft->named = false;
    return 0;
}

static void close_draft(struct draft *draft) {
    if (draft->named) {
        unlinkat(draft->folder, draft->name, 0);
    }
    if (draft->fd >= 0) {
        close(draft->fd);
    }
}

/* What stands there: 1 a file whose status is in `old`, 0 nothing or a link, or -errno. */
static int look(int folder, const char *base, struct stat *old) {
    if (fstatat(folder, base, old, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISDIR(old->st_mode)) {
        return -EISDIR;
    }
    if (S_ISLNK(old->st_mode)) {
        return 0;
    }
    return S_ISREG(old->st_mode) ? 1 : -MW_FILE_IRREGULAR;
}

static int replace(int folder, const char *base, const struct mw_file_content *content) {
    struct stat old;
    struct draft draft = {.folder = folder, .fd = -1};
    int there = look(folder, base, &old);
    if (there < 0) {
        return -there;
    }
    int mode = content->mode >= 0 || !there ? content->mode : (int)(old.st_mode & 0777);
    int error = open_draft(&draft, mode < 0 ? 0666 : 0600);
    if (!error) {
        error = fill_draft(&draft, there ? &old : NULL, mode, content);
    }
    if (!error) {
        error = publish(&draft, base, content->only_new);
    }
    close_draft(&draft);
    if (!error && content->sync && fsync(folder) != 0) {
        error = errno;
    }
    return error;
}

int mw_file_replace(const struct mw_file_place *place, const char *name, const struct mw_file_content *content) {
    const char *base;
    int folder = mw_file_open_parent(place, name, &base);
    if (folder < 0) {
        return -folder;
    }
    int error = replace(folder, base, content);
    close(folder);
    return error;
}
