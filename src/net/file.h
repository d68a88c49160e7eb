/* Files below a folder. These functions block, and are for threads of the pool;
 * they keep no state. Names are resolved by the kernel (openat2), so that nobody
 * can exchange a part of a path for a link in between. */
#ifndef MW_NET_FILE_H
#define MW_NET_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Where names begin, and how far they may lead. Links of /proc to what a process
 * has open ("magic links") are followed nowhere. */
struct mw_file_place {
    int folder;    /* descriptor, or AT_FDCWD */
    bool confined; /* what leads out of the folder is refused: MW_FILE_OUTSIDE */
    bool no_links; /* symbolic links are refused, also those that stay inside: ELOOP */
};

/* What is no regular file: a FIFO, a device, a socket. */
#define MW_FILE_IRREGULAR ENXIO

/* The name leads out of the folder. (EXDEV, the kernel's word, may also mean that
 * something cannot be renamed into another file system.) */
#define MW_FILE_OUTSIDE EREMCHG

/* A descriptor of whatever bears the name, or -errno. */
int mw_file_resolve(const struct mw_file_place *place, const char *name, int flags, mode_t mode);

/* Opens a regular file with the O_ flags given: a descriptor, or -errno. A folder
 * is EISDIR, what is neither MW_FILE_IRREGULAR; such a thing is not even opened,
 * which would wake the other end of a FIFO. */
int mw_file_open(const struct mw_file_place *place, const char *name, int flags, mode_t mode);

/* The same for reading, without waiting for a disk: for the loop. Sets `*status` to what is known of the file. -EAGAIN
 * when the kernel does not know the way to the name by heart; a thread has to look then. */
int mw_file_open_known(const struct mw_file_place *place, const char *name, struct stat *status);

/* Opens the folder that the last part of the name stands in, and sets `*base` to
 * that part. A descriptor that can be synced, or -errno; EINVAL when there is no
 * last part but "." or "..". */
int mw_file_open_parent(const struct mw_file_place *place, const char *name, const char **base);

/* Reads `size` bytes from `offset` on, fewer only at the end of the file. Their
 * number, or -errno. */
ssize_t mw_file_read(int fd, char *data, size_t size, off_t offset);

/* Reads all from `offset` on. 0, and `*data` is the caller's to free; or errno:
 * EMSGSIZE when there is more than `max`. */
int mw_file_read_all(int fd, off_t offset, size_t max, char **data, size_t *size);

enum { MW_FILE_END = -1 }; /* an offset: behind the last byte of a file opened with O_APPEND */

/* Writes all of it and returns 0, or errno: then the file is cut to the size that
 * it had, so that no part is left at its end. ECANCELED when `unwanted` became
 * true (NULL: never). */
int mw_file_write(int fd, const char *data, size_t size, off_t offset, atomic_bool *unwanted);

struct mw_file_content {
    const char *data;
    size_t size;
    int mode;       /* permissions; -1: those of the file that is replaced, or the usual ones */
    bool only_new;  /* EEXIST when there is something */
    bool sync;      /* on the disk before it is seen, and the name with it */
    atomic_bool *unwanted; /* NULL: never */
};

/* Makes this the content of the file, at once: whoever opens the name meets the
 * old content or the new, also after a crash. 0 or errno, and then there is the
 * old one and nothing beside it (but see EIO of the last sync: the new one is
 * there, and may not survive a crash). A link is replaced, not followed. */
int mw_file_replace(const struct mw_file_place *place, const char *name, const struct mw_file_content *content);

/* Whether the name is one that mw_file_replace gives to what is not complete. */
bool mw_file_is_draft(const char *name);

/* Appends. Appenders at the same time do not mix, of this or of other processes.
 * `sync` as above. 0 or errno as of mw_file_write. */
int mw_file_append(const struct mw_file_place *place, const char *name, const struct mw_file_content *content);

#endif
