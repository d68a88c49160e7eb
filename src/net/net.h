/* What all sockets and files of a worker share: the loop, the buffer pool, the
 * one scratch buffer that reads land in, and the threads for what would block. The process must ignore SIGPIPE: sendfile,
 * splice and writev know no MSG_NOSIGNAL. */
#ifndef MW_NET_NET_H
#define MW_NET_NET_H

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "net/pipe.h"

enum { MW_NET_SCRATCH = 64 * 1024 }; /* bytes taken from a socket in one call */

struct mw_stream;

struct mw_net {
    struct mw_loop *loop;
    struct mw_buf *scratch;
    struct mw_buf_pool pool;
    struct mw_pipe_pool pipes;
    struct mw_pool *threads;  /* outlive every Lua state, and end before the loop does */
    struct mw_stream *served; /* whose event is being handled; NULL once it is freed */
    struct mw_stream *dirty;  /* streams with output that was not sent yet */
    struct mw_list closing;   /* streams whose owner has left, output still leaving */
    struct mw_list stores;    /* open ones (net/store.h) */
    size_t streams;           /* open ones, those that are closing included */
    void (*on_drained)(void *context); /* NULL: nobody awaits it */
    void *drained_context;
};

/* NULL when memory is out. The loop must outlive the net. */
struct mw_net *mw_net_new(struct mw_loop *loop);

/* Closes what is still closing, without waiting for its output. */
void mw_net_free(struct mw_net *net);

/* Calls on_drained, once, when no stream is closing any more: before this
 * returns when none is. It must not free the net. */
void mw_net_drain(struct mw_net *net, void (*on_drained)(void *context), void *context);

/* Sends what streams have queued: called at the end of a tick, and amid one that runs many tasks. */
void mw_net_flush(struct mw_net *net);

#endif
