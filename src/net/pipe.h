/* Kernel pipes to splice through. Empty ones are kept for the next user, so
 * that a relay holds descriptors only while bytes are under way in them; the
 * last user closes them all. */
#ifndef MW_NET_PIPE_H
#define MW_NET_PIPE_H

#include <stddef.h>

enum { MW_PIPE_SIZE = 64 * 1024 }; /* bytes, what the kernel gives by default */

struct mw_pipe {
    int read_end, write_end;
    size_t held;               /* bytes in it; kept by its user */
    struct mw_pipe *next_free; /* in the pool */
};

struct mw_pipe_pool {
    struct mw_pipe *free;
    unsigned count;
    size_t users;
};

/* A user comes, who may take pipes, and leaves when it has given all back. */
void mw_pipe_pool_join(struct mw_pipe_pool *pool);
void mw_pipe_pool_leave(struct mw_pipe_pool *pool);

/* An empty pipe; NULL, with errno, when descriptors or memory are out. */
struct mw_pipe *mw_pipe_take(struct mw_pipe_pool *pool);

/* Gives the pipe back. One that still holds bytes is closed. */
void mw_pipe_give(struct mw_pipe_pool *pool, struct mw_pipe *pipe);

#endif
