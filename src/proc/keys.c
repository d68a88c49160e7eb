#include "proc/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- memory files --- */

static bool write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* Workers share it, and none can change what the others read. */
int mw_sealed_memory(const char *name, const void *bytes, size_t size) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && write_all(fd, bytes, size) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) {
        return fd;
    }
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = error;
    return -1;
}

static void close_memory(int *memory) {
    if (*memory >= 0) {
        close(*memory);
    }
    *memory = -1;
}

static bool holds(int memory, const struct mw_text *text) {
    struct stat status;
    if (fstat(memory, &status) != 0 || (size_t)status.st_size != text->size) {
        return false;
    }
    void *bytes = mmap(NULL, text->size, PROT_READ, MAP_SHARED, memory, 0);
    bool same = bytes != MAP_FAILED && memcmp(bytes, text->bytes, text->size) == 0;
    if (bytes != MAP_FAILED) {
        munmap(bytes, text->size);
    }
    return same;
}

/* --- what workers get --- */

static void forget_text(struct mw_text *text) {
    if (text->bytes) {
        explicit_bzero(text->bytes, text->size);
    }
    mw_text_free(text);
}

/* The files are read. Room first: a text that grows leaves copies behind. */
static void write_message(const struct mw_keys *keys, const struct mw_tls_files *files, struct mw_text *text) {
    size_t size = keys->options.size + 1024;
    for (size_t i = 0; i < files->count; i++) {
        size += files->list[i].size + strlen(files->list[i].name) + 32;
    }
    mw_text_reserve(text, size);
    size_t table = mw_message_open(text);
    mw_message_string(text, "options", strlen("options"));
    mw_message_string(text, keys->options.bytes, keys->options.size);
    mw_message_string(text, "files", strlen("files"));
    size_t all = mw_message_open(text);
    for (size_t i = 0; i < files->count; i++) {
        mw_message_string(text, files->list[i].name, strlen(files->list[i].name));
        mw_message_string(text, files->list[i].bytes, files->list[i].size);
    }
    mw_message_close(text, all);
    mw_message_close(text, table);
}

/* Reads the files, whose bytes are nowhere but in the text after. */
static bool read_files(struct mw_keys *keys, struct mw_text *text, struct mw_fault *fault) {
    if (!mw_tls_files_read(&keys->files, fault)) {
        return false;
    }
    write_message(keys, &keys->files, text);
    mw_tls_files_drop(&keys->files);
    if (text->failed) {
        mw_fault_set(fault, ENOMEM, "read", "certificates");
    }
    return !text->failed;
}

static bool make_memory(const struct mw_text *text, int *memory, struct mw_fault *fault) {
    *memory = mw_sealed_memory("certificates", text->bytes, text->size);
    if (*memory < 0) {
        mw_fault_set(fault, errno, "keep", "certificates");
    }
    return *memory >= 0;
}

/* --- keys --- */

static bool add_files(struct mw_keys *keys, const struct mw_value *list) {
    struct mw_value key, file;
    for (size_t at = 0; mw_value_next(list, &at, &key, &file);) {
        struct mw_value name = mw_value_field(&file, "name");
        if (name.type == MW_VALUE_STRING &&
            !mw_tls_files_add(&keys->files, name.bytes, name.size, mw_value_boolean(&file, "secret", false), NULL, 0)) {
            return false;
        }
    }
    return true;
}

static bool fill(struct mw_keys *keys, const struct mw_value *tls, struct mw_fault *fault) {
    struct mw_value options = mw_value_field(tls, "options"), files = mw_value_field(tls, "files");
    struct mw_text text = {.bytes = NULL};
    keys->automatic = mw_value_boolean(tls, "automatic", false);
    mw_text_add(&keys->options, options.bytes, options.type == MW_VALUE_STRING ? options.size : 0);
    if (keys->options.failed || !add_files(keys, &files)) {
        mw_fault_set(fault, ENOMEM, "read", "certificates");
        return false;
    }
    bool made = read_files(keys, &text, fault) && make_memory(&text, &keys->memory, fault);
    forget_text(&text);
    return made;
}

struct mw_keys *mw_keys_new(const struct mw_value *tls, struct mw_fault *fault) {
    struct mw_keys *keys = calloc(1, sizeof *keys);
    if (!keys) {
        mw_fault_set(fault, ENOMEM, "read", "certificates");
        return NULL;
    }
    keys->holders = 1;
    keys->memory = keys->pending = -1;
    if (!fill(keys, tls, fault)) {
        mw_keys_release(keys);
        return NULL;
    }
    return keys;
}

struct mw_keys *mw_keys_hold(struct mw_keys *keys) {
    if (keys) {
        keys->holders++;
    }
    return keys;
}

void mw_keys_release(struct mw_keys *keys) {
    if (!keys || --keys->holders > 0) {
        return;
    }
    close_memory(&keys->memory);
    close_memory(&keys->pending);
    mw_tls_files_free(&keys->files);
    forget_text(&keys->options);
    free(keys);
}

bool mw_keys_refresh(struct mw_keys *keys, struct mw_fault *fault) {
    struct mw_text text = {.bytes = NULL};
    fault->code = NULL;
    if (!mw_tls_files_changed(&keys->files)) {
        return false;
    }
    bool fresh = read_files(keys, &text, fault) && !holds(keys->memory, &text);
    if (fresh) {
        close_memory(&keys->pending);
        keys->number++;
        fresh = make_memory(&text, &keys->pending, fault);
    }
    forget_text(&text);
    return fresh;
}

void mw_keys_settle(struct mw_keys *keys, bool good) {
    if (good) {
        close_memory(&keys->memory);
        keys->memory = keys->pending;
        keys->pending = -1;
    } else {
        close_memory(&keys->pending);
    }
}
