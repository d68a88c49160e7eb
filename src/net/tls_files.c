#include "net/tls_files.h"

#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void forget(char *bytes, size_t size) {
    if (bytes) {
        OPENSSL_cleanse(bytes, size);
        free(bytes);
    }
}

const struct mw_tls_file *mw_tls_files_find(const struct mw_tls_files *files, const char *name, size_t name_size) {
    for (size_t i = 0; i < files->count; i++) {
        const struct mw_tls_file *file = &files->list[i];
        if (strlen(file->name) == name_size && memcmp(file->name, name, name_size) == 0) {
            return file;
        }
    }
    return NULL;
}

static char *copy(const char *bytes, size_t size) {
    char *copied = malloc(size + 1);
    if (copied) {
        memcpy(copied, bytes, size);
        copied[size] = '\0';
    }
    return copied;
}

bool mw_tls_files_add(struct mw_tls_files *files, const char *name, size_t name_size, bool secret, const char *bytes,
                      size_t size) {
    if (mw_tls_files_find(files, name, name_size)) {
        return true;
    }
    struct mw_tls_file *list = realloc(files->list, (files->count + 1) * sizeof *list);
    if (!list) {
        return false;
    }
    files->list = list;
    struct mw_tls_file file = {.secret = secret, .size = size};
    file.name = copy(name, name_size);
    file.bytes = bytes ? copy(bytes, size) : NULL;
    if (!file.name || (bytes && !file.bytes)) {
        free(file.name);
        forget(file.bytes, size);
        return false;
    }
    list[files->count++] = file;
    return true;
}

/* --- reading --- */

/* The descriptor is read and closed. 0 or errno. */
static int read_descriptor(struct mw_tls_file *file, int fd) {
    char *bytes = NULL;
    int error = fstat(fd, &file->as) == 0 ? mw_file_read_all(fd, 0, MW_TLS_FILE_MOST, &bytes, &file->size) : errno;
    close(fd);
    if (!error) {
        file->bytes = copy(bytes ? bytes : "", file->size);
        error = file->bytes ? 0 : ENOMEM;
        forget(bytes, file->size);
    }
    return error;
}

static bool refuse(const struct mw_tls_file *file, int error, struct mw_fault *fault) {
    if (error == EMSGSIZE) {
        mw_fault_format(fault, "invalid", "read %s: more than %d bytes are no certificate and no key", file->name,
                        MW_TLS_FILE_MOST);
    } else if (error == MW_FILE_IRREGULAR) {
        mw_fault_format(fault, "invalid", "read %s: it is no regular file", file->name);
    } else {
        mw_fault_set(fault, error, "read", file->name);
    }
    return false;
}

static bool read_file(struct mw_tls_file *file, struct mw_fault *fault) {
    const struct mw_file_place here = {.folder = AT_FDCWD};
    int fd = mw_file_open(&here, file->name, O_RDONLY, 0);
    int error = fd < 0 ? -fd : read_descriptor(file, fd);
    return !error || refuse(file, error, fault);
}

bool mw_tls_files_read(struct mw_tls_files *files, struct mw_fault *fault) {
    struct mw_tls_files fresh = {.list = NULL};
    bool done = true;
    for (size_t i = 0; done && i < files->count; i++) {
        const struct mw_tls_file *file = &files->list[i];
        done = mw_tls_files_add(&fresh, file->name, strlen(file->name), file->secret, NULL, 0);
        if (!done) {
            mw_fault_set(fault, ENOMEM, "read", file->name);
        } else {
            done = read_file(&fresh.list[i], fault);
        }
    }
    if (done) {
        mw_tls_files_free(files);
        *files = fresh;
    } else {
        mw_tls_files_free(&fresh);
    }
    return done;
}

/* --- changes --- */

static bool is_same(const struct stat *one, const struct stat *other) {
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec && one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

/* One that is not there at the moment is about to be replaced. */
bool mw_tls_files_changed(const struct mw_tls_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct stat now;
        if (stat(files->list[i].name, &now) == 0 && !is_same(&now, &files->list[i].as)) {
            return true;
        }
    }
    return false;
}

void mw_tls_files_drop(struct mw_tls_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        forget(files->list[i].bytes, files->list[i].size);
        files->list[i].bytes = NULL;
    }
}

void mw_tls_files_free(struct mw_tls_files *files) {
    mw_tls_files_drop(files);
    for (size_t i = 0; i < files->count; i++) {
        free(files->list[i].name);
    }
    free(files->list);
    *files = (struct mw_tls_files){.list = NULL};
}
