#include "net/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEPT = 16 }; /* empty pipes in a pool: they are shared by all relays of a worker */

struct mw_pipe *mw_pipe_take(struct mw_pipe_pool *pool) {
    struct mw_pipe *pipe = pool->free;
    if (pipe) {
        pool->free = pipe->next_free;
        pool->count--;
        return pipe;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return NULL;
    }
    pipe = malloc(sizeof *pipe);
    if (!pipe) {
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    *pipe = (struct mw_pipe){.read_end = ends[0], .write_end = ends[1]};
    return pipe;
}

static void destroy(struct mw_pipe *pipe) {
    close(pipe->read_end);
    close(pipe->write_end);
    free(pipe);
}

void mw_pipe_give(struct mw_pipe_pool *pool, struct mw_pipe *pipe) {
    if (pipe->held > 0 || pool->count >= KEPT) {
        destroy(pipe);
        return;
    }
    pipe->next_free = pool->free;
    pool->free = pipe;
    pool->count++;
}

void mw_pipe_pool_join(struct mw_pipe_pool *pool) {
    pool->users++;
}

void mw_pipe_pool_leave(struct mw_pipe_pool *pool) {
    if (--pool->users > 0) {
        return;
    }
    while (pool->free) {
        struct mw_pipe *pipe = pool->free;
        pool->free = pipe->next_free;
        destroy(pipe);
    }
    pool->count = 0;
}
