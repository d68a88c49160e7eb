/* The files that TLS is made of: certificates, keys, authorities, staples. Read whole, all or none of them, and looked
 * at for changes. For those with rights to read them. These functions block; the files are small. */
#ifndef MW_NET_TLS_FILES_H
#define MW_NET_TLS_FILES_H

#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { MW_TLS_FILE_MOST = 1024 * 1024 /* bytes of one file */ };

struct mw_tls_file {
    char *name;
    char *bytes; /* with a NUL behind them; NULL: not read yet */
    size_t size;
    bool secret; /* a key */
    struct stat as; /* when it was read */
};

/* Zeroed: empty. */
struct mw_tls_files {
    struct mw_tls_file *list;
    size_t count;
};

/* One more, to be read; or that is known by now when `bytes` is not NULL. A name that is there already stays one. False
 * when memory is out. */
bool mw_tls_files_add(struct mw_tls_files *files, const char *name, size_t name_size, bool secret, const char *bytes,
                      size_t size);

/* Reads all. False with the fault, which names the file, and then all is as it was: "not_found", "denied", "invalid"
 * (no regular file, or too large), "memory". */
bool mw_tls_files_read(struct mw_tls_files *files, struct mw_fault *fault);

/* Whether one of them is another file by now, or has other content, as far as the names tell. */
bool mw_tls_files_changed(const struct mw_tls_files *files);

/* Forgets what was read: names stay, and what is needed to see changes. No key is left in memory. */
void mw_tls_files_drop(struct mw_tls_files *files);

/* The file of that name, or NULL. */
const struct mw_tls_file *mw_tls_files_find(const struct mw_tls_files *files, const char *name, size_t name_size);

/* Empty again after; no key is left in memory. */
void mw_tls_files_free(struct mw_tls_files *files);

#endif
