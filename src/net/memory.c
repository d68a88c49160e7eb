/* The in-memory transport: two streams in one process, without descriptors.
 * Simulation, fuzzing and specs use it to see every byte without a kernel. */
#include "net/stream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIPE_CAPACITY = 64 * 1024 }; /* bytes on their way in one direction */

struct pipe {
    /* Tells the ends what has come, in the next tick: two that answer each other at once would keep the tick
     * from ending. */
    ev_idle bell;
    int rung[2]; /* EV_READ, EV_WRITE: what the bell is to tell that end */
    struct mw_stream *ends[2];       /* NULL once closed */
    struct mw_buf *towards[2];       /* bytes on their way to that end */
    bool finished[2];                /* nothing more comes to that end */
    struct mw_buf_pool pool;
};

/* Which end the stream is. Its transport, as that of the other end, may be one above this by now. */
static int side(const struct pipe *pipe, const struct mw_stream *stream) {
    return pipe->ends[1] == stream;
}

static void ring(struct pipe *pipe, int end, int events) {
    pipe->rung[end] |= events;
    ev_idle_start(mw_loop_ev(pipe->ends[end]->net->loop), &pipe->bell);
}

static void poke_input(struct pipe *pipe, int end) {
    if (pipe->ends[end] && pipe->ends[end]->watching) {
        ring(pipe, end, EV_READ);
    }
}

static void poke_output(struct pipe *pipe, int end) {
    if (pipe->ends[end] && mw_stream_awaits_room(pipe->ends[end])) {
        ring(pipe, end, EV_WRITE);
    }
}

static void on_bell(struct ev_loop *ev, ev_idle *bell, int events) {
    struct pipe *pipe = bell->data;
    (void)events;
    ev_idle_stop(ev, bell);
    for (int i = 0; i < 2; i++) {
        struct mw_stream *stream = pipe->ends[i];
        int rung = pipe->rung[i];
        pipe->rung[i] = 0;
        if (stream && (rung & EV_READ) && stream->watching) {
            ev_feed_event(ev, &stream->input, EV_READ);
        }
        if (stream && (rung & EV_WRITE) && mw_stream_awaits_room(stream)) {
            ev_feed_event(ev, &stream->outlet->io, EV_WRITE);
        }
    }
}

static ssize_t memory_read(struct mw_stream *stream, char *bytes, size_t size) {
    struct pipe *pipe = stream->transport;
    int self = side(pipe, stream);
    size_t there = mw_buf_size(pipe->towards[self]);
    if (there == 0) {
        return pipe->finished[self] ? 0 : MW_WANT_READ;
    }
    size_t taken = there < size ? there : size;
    memcpy(bytes, mw_buf_bytes(pipe->towards[self]), taken);
    mw_buf_consume(&pipe->pool, &pipe->towards[self], taken);
    poke_output(pipe, !self);
    if (taken < there || pipe->finished[self]) {
        poke_input(pipe, self);
    }
    return (ssize_t)taken;
}

static ssize_t memory_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    struct pipe *pipe = stream->transport;
    int other = !side(pipe, stream);
    size_t room = PIPE_CAPACITY - mw_buf_size(pipe->towards[other]), written = 0;
    if (!pipe->ends[other]) {
        return -EPIPE;
    }
    for (int i = 0; i < count && room > 0; i++) {
        size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        if (!mw_buf_append(&pipe->pool, &pipe->towards[other], pieces[i].iov_base, part)) {
            return -ENOMEM;
        }
        room -= part;
        written += part;
    }
    poke_input(pipe, other);
    return written ? (ssize_t)written : MW_WANT_WRITE;
}

static int memory_shutdown(struct mw_stream *stream) {
    struct pipe *pipe = stream->transport;
    int other = !side(pipe, stream);
    pipe->finished[other] = true;
    poke_input(pipe, other);
    return 0;
}

static void memory_close(struct mw_stream *stream) {
    struct pipe *pipe = stream->transport;
    int self = side(pipe, stream);
    pipe->ends[self] = NULL;
    pipe->finished[!self] = true;
    mw_buf_release(&pipe->pool, &pipe->towards[self]);
    if (pipe->ends[!self]) {
        poke_input(pipe, !self);
        poke_output(pipe, !self);
        return;
    }
    mw_buf_release(&pipe->pool, &pipe->towards[!self]);
    ev_idle_stop(mw_loop_ev(stream->net->loop), &pipe->bell);
    mw_buf_pool_clear(&pipe->pool);
    free(pipe);
}

/* Readiness that came while nobody watched is shown again. */
static void memory_arm(struct mw_stream *stream, int events) {
    struct pipe *pipe = stream->transport;
    int self = side(pipe, stream);
    if ((events & EV_READ) && (pipe->towards[self] || pipe->finished[self])) {
        poke_input(pipe, self);
    }
    if ((events & EV_WRITE) && mw_buf_size(pipe->towards[!self]) < PIPE_CAPACITY) {
        poke_output(pipe, self);
    }
}

static const struct mw_stream_ops memory_ops = {
    .name = "memory",
    .read = memory_read,
    .write = memory_write,
    .shutdown_write = memory_shutdown,
    .close = memory_close,
    .arm = memory_arm,
};

bool mw_stream_new_memory(struct mw_net *net, struct mw_stream *ends[2]) {
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe) {
        return false;
    }
    ev_idle_init(&pipe->bell, on_bell);
    ev_set_priority(&pipe->bell, EV_MAXPRI); /* whatever else there is to do */
    pipe->bell.data = pipe;
    mw_buf_pool_init(&pipe->pool, 2);
    pipe->ends[0] = mw_stream_new(net, -1, &memory_ops, pipe);
    if (!pipe->ends[0]) {
        free(pipe);
        return false;
    }
    pipe->ends[1] = mw_stream_new(net, -1, &memory_ops, pipe);
    if (!pipe->ends[1]) {
        mw_stream_destroy(pipe->ends[0]);
        return false;
    }
    ends[0] = pipe->ends[0];
    ends[1] = pipe->ends[1];
    return true;
}
