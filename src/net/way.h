/* One direction of a relay: moves bytes from a stream to another, through the
 * queue or, between plain sockets and when there are many, through a pipe in
 * the kernel. Inside this layer only. */
#ifndef MW_NET_WAY_H
#define MW_NET_WAY_H

#include "net/stream_internal.h"

struct mw_way {
    struct mw_source source; /* first member: its turns are those of `to` */
    struct mw_stream *from, *to;
    struct mw_pipe *pipe; /* exists only while bytes are in it */
    uint64_t moved;
    bool splicing; /* the input event goes past the queue */
    bool unfit;    /* for splicing: the kernel has said so */
    bool ended;    /* the end of data was passed on */
};

/* Moves what is there and what fits, but not much at once. `on_spliceable` is
 * what hears of input once the way has switched to splicing. 0 or errno. */
int mw_way_move(struct mw_way *way, void (*on_spliceable)(struct ev_loop *ev, ev_io *io, int events));

/* Whether bytes were taken from `from`, or are unread there, that are not in the queue of `to`. */
bool mw_way_holds(const struct mw_way *way);

/* Puts what is in the pipe into the queue of `to` and leaves the watchers as
 * they were. */
void mw_way_close(struct mw_way *way);

#endif
