/* What stands in folders: looking, listing, making, removing, renaming. As in
 * file.h these block, and are for threads of the pool. */
#ifndef MW_NET_FILE_TREE_H
#define MW_NET_FILE_TREE_H

#include "net/file.h"

/* "file", "folder", "link", "fifo", "socket" or "device". */
const char *mw_file_kind(mode_t mode);

/* 0 or errno. `follow`: what a link at the end leads to, else the link itself. */
int mw_file_stat(const struct mw_file_place *place, const char *name, bool follow, struct stat *status);

struct mw_file_entry {
    char *name;
    const char *kind;
};

struct mw_file_list {
    struct mw_file_entry *entries; /* by name */
    size_t count, room;
};

/* Lists a folder without "." and "..". 0 or errno: EMSGSIZE when there are more
 * than `max`. The list, zeroed before, is to be cleared in any case. */
int mw_file_list(const struct mw_file_place *place, const char *name, size_t max, struct mw_file_list *list);
void mw_file_list_clear(struct mw_file_list *list);

struct mw_file_making {
    mode_t mode;
    bool parents; /* those on the way are made, and it may be there already */
    bool sync;    /* what was made is on the disk on return */
};

/* 0 or errno. */
int mw_file_make_folder(const struct mw_file_place *place, const char *name, const struct mw_file_making *how);

/* A file, a link, or a folder that is empty. 0 or errno. With `sync` its absence is
 * on the disk on return; when that fails it is gone, and may come back in a crash. */
int mw_file_remove(const struct mw_file_place *place, const char *name, bool sync);

struct mw_file_renaming {
    bool replaces; /* else EEXIST when there is something */
    bool sync;     /* both folders are on the disk on return; when that fails the name has changed still */
};

/* 0 or errno. */
int mw_file_rename(const struct mw_file_place *place, const char *from, const char *to,
                   const struct mw_file_renaming *how);

#endif
