#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FIRST = 4096,       /* bytes of a buffer when the size of a file is not known, as in /proc */
    PIECE = 1024 * 1024 /* bytes written between two looks whether they are still wanted */
};

ssize_t mw_file_read(int fd, char *data, size_t size, off_t offset) {
    size_t filled = 0;
    while (filled < size) {
        ssize_t got = pread(fd, data + filled, size - filled, offset + (off_t)filled);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        filled += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)filled;
}

/* Room for the bytes from `offset` on, as far as the size of the file is to be
 * believed, and for one more, which shows that it is all. 0: more than `max`. */
static size_t room_for(int fd, off_t offset, size_t max) {
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size <= offset) {
        return FIRST < max ? FIRST : max + 1;
    }
    size_t size = (size_t)(status.st_size - offset);
    return size > max ? 0 : size + 1;
}

/* Fills the buffer, doubling it, until the file ends. 0 or errno. */
static int fill(int fd, off_t offset, size_t max, char **data, size_t *size) {
    size_t room = room_for(fd, offset, max), filled = 0;
    if (room == 0) {
        return EMSGSIZE;
    }
    for (;;) {
        char *larger = realloc(*data, room);
        if (!larger) {
            return ENOMEM;
        }
        *data = larger;
        ssize_t got = mw_file_read(fd, larger + filled, room - filled, offset + (off_t)filled);
        if (got < 0) {
            return (int)-got;
        }
        filled += (size_t)got;
        *size = filled;
        if (filled < room) {
            return 0;
        }
        if (filled > max) {
            return EMSGSIZE;
        }
        room = room < (max + 1) / 2 ? room * 2 : max + 1;
    }
}

int mw_file_read_all(int fd, off_t offset, size_t max, char **data, size_t *size) {
    *data = NULL;
    *size = 0;
    int error = fill(fd, offset, max, data, size);
    if (error) {
        free(*data);
        *data = NULL;
        *size = 0;
    }
    return error;
}

static ssize_t write_piece(int fd, const char *data, size_t size, off_t offset) {
    size = size < PIECE ? size : PIECE;
    ssize_t put = offset == MW_FILE_END ? write(fd, data, size) : pwrite(fd, data, size, offset);
    if (put == 0) {
        errno = EIO;
        return -1;
    }
    return put;
}

/* 0 or errno; `*written` bytes are in the file by then. */
static int write_all(int fd, const char *data, size_t size, off_t offset, atomic_bool *unwanted, size_t *written) {
    while (*written < size) {
        if (unwanted && atomic_load_explicit(unwanted, memory_order_relaxed)) {
            return ECANCELED;
        }
        off_t place = offset == MW_FILE_END ? offset : offset + (off_t)*written;
        ssize_t put = write_piece(fd, data + *written, size - *written, place);
        if (put < 0 && errno != EINTR) {
            return errno;
        }
        *written += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* Cuts off what was written behind `size`, unless others have written since. */
static void undo(int fd, off_t size, off_t end) {
    struct stat status;
    int ignored = -1;
    if (end > size && fstat(fd, &status) == 0 && status.st_size == end) {
        ignored = ftruncate(fd, size);
    }
    (void)ignored;
}

int mw_file_write(int fd, const char *data, size_t size, off_t offset, atomic_bool *unwanted) {
    struct stat before;
    size_t written = 0;
    if (fstat(fd, &before) != 0) {
        return errno;
    }
    int error = write_all(fd, data, size, offset, unwanted, &written);
    if (error && written > 0) {
        /* After an append the kernel's position is the end of ours. */
        off_t end = offset == MW_FILE_END ? lseek(fd, 0, SEEK_CUR) : offset + (off_t)written;
        undo(fd, offset == MW_FILE_END ? end - (off_t)written : before.st_size, end);
    }
    return error;
}

int mw_file_append(const struct mw_file_place *place, const char *name, const struct mw_file_content *content) {
    int mode = content->mode < 0 ? 0666 : content->mode;
    int fd = mw_file_open(place, name, O_WRONLY | O_APPEND | O_CREAT, (mode_t)mode);
    if (fd < 0) {
        return -fd;
    }
    int error = mw_file_write(fd, content->data, content->size, MW_FILE_END, content->unwanted);
    if (!error && content->sync && fdatasync(fd) != 0) {
        error = errno;
    }
    close(fd);
    return error;
}
