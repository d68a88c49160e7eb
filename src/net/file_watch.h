/* Changes in a folder, or to one name in it, as the kernel tells them (inotify).
 * What nobody has taken yet waits in the kernel, which keeps a bounded number. */
#ifndef MW_NET_FILE_WATCH_H
#define MW_NET_FILE_WATCH_H

#include "loop/pool.h"
#include "net/file.h"

enum mw_file_event_kind {
    MW_FILE_NONE,     /* nothing has happened since */
    MW_FILE_CREATED,  /* made, or moved here */
    MW_FILE_CHANGED,  /* content; also the one name that is watched when another file took it */
    MW_FILE_REMOVED,  /* or moved away */
    MW_FILE_RENAMED,  /* within the folder */
    MW_FILE_OVERFLOW, /* events were lost: look anew */
    MW_FILE_ENDED,    /* the folder itself is gone: nothing more will come */
};

enum { MW_FILE_NAME = 256 };

struct mw_file_event {
    enum mw_file_event_kind kind;
    char name[MW_FILE_NAME];
    char from[MW_FILE_NAME]; /* of RENAMED: the name it had */
};

struct mw_file_watch;

/* The system allows this user no more watches. */
#define MW_FILE_WATCHES EUSERS

/* Watches the folder `name`; when there is none, the last part of the name in
 * the folder that it stands in, whatever comes to bear it. NULL with errno. Blocks:
 * for threads of the pool, the others for the loop. */
struct mw_file_watch *mw_file_watch_open(const struct mw_file_place *place, const char *name);

/* Becomes readable when something has happened. */
int mw_file_watch_fd(const struct mw_file_watch *watch);

/* Takes the next event; never blocks. A name that changes again and again until it
 * is taken is one event. */
void mw_file_watch_next(struct mw_file_watch *watch, struct mw_file_event *event);

/* Closes and frees it: on a thread of the pool, because the kernel takes
 * milliseconds for that. Of the loop; the watch is gone for the caller at once. */
void mw_file_watch_close(struct mw_file_watch *watch, struct mw_pool *threads);

#endif
