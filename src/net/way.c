#include "net/way.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    TURN = 256 * 1024, /* bytes moved in one event: the neighbours wait meanwhile */
    PART = 64 * 1024,  /* bytes queued at once */
    BULK = 32 * 1024,  /* a read of this size is the start of something long: splicing pays */
    SHORT = 16 * 1024, /* less than this from a socket: it is empty now */
    TRICKLE = 4096,    /* so little is better copied */
};

static bool may_splice(const struct mw_way *way) {
    return !way->unfit && way->from->ops == &mw_plain_ops && way->to->ops == &mw_plain_ops;
}

static size_t held(const struct mw_way *way) {
    return way->pipe ? way->pipe->held : 0;
}

bool mw_way_holds(const struct mw_way *way) {
    return held(way) > 0 || mw_buf_size(way->from->in) > 0;
}

static void give_pipe(struct mw_way *way) {
    if (way->pipe) {
        mw_pipe_give(&way->from->net->pipes, way->pipe);
        way->pipe = NULL;
    }
}

/* Bytes that only the pipe has go into the queue, where they can be sent
 * without splice. */
static void empty_pipe(struct mw_way *way) {
    struct mw_stream *to = way->to;
    size_t size = held(way);
    if (size == 0 || to->output_fault) {
        return;
    }
    if (!mw_buf_reserve(&to->net->pool, &to->out, size)) {
        mw_stream_fail_output(to, ENOMEM);
        return;
    }
    ssize_t got = read(way->pipe->read_end, to->out->data + to->out->end, size);
    if (got < 0 || (size_t)got != size) {
        mw_stream_fail_output(to, EIO);
        return;
    }
    to->out->end += size;
    way->moved += size;
    way->pipe->held = 0;
    mw_stream_flush(to);
}

static void stop_splicing(struct mw_way *way) {
    empty_pipe(way);
    give_pipe(way);
    way->splicing = false;
    ev_set_cb(&way->from->input, mw_stream_on_input);
}

void mw_way_close(struct mw_way *way) {
    if (way->splicing) {
        stop_splicing(way);
    }
}

static bool try_later(int error) {
    return error == EAGAIN || error == EINTR;
}

static bool no_splice(int error) {
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/* From the socket into the pipe. Whether there may be more. */
static bool splice_in(struct mw_way *way) {
    struct mw_stream *from = way->from;
    struct mw_pipe *pipe = way->pipe;
    if (from->at_end || from->input_fault || pipe->held >= MW_PIPE_SIZE) {
        return false;
    }
    ssize_t got = splice(from->input.fd, NULL, pipe->write_end, NULL, MW_PIPE_SIZE - pipe->held,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got > 0) {
        pipe->held += (size_t)got;
        from->received += (uint64_t)got;
        from->active = mw_loop_now(from->net->loop);
    } else if (got == 0) {
        from->at_end = true;
    } else if (no_splice(errno)) {
        way->unfit = true;
    } else if (!try_later(errno)) {
        from->input_fault = errno;
    }
    return got >= SHORT;
}

/* From the pipe into the socket, behind what is queued. */
static void splice_out(struct mw_way *way) {
    struct mw_stream *to = way->to;
    struct mw_pipe *pipe = way->pipe;
    if (pipe->held == 0 || to->out || to->output_fault) {
        return;
    }
    ssize_t sent =
        splice(pipe->read_end, NULL, to->output_fd, NULL, pipe->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent > 0) {
        pipe->held -= (size_t)sent;
        way->moved += (uint64_t)sent;
        mw_stream_note_sent(to, (size_t)sent);
    } else if (sent < 0 && no_splice(errno)) {
        way->unfit = true;
    } else if (sent < 0 && !try_later(errno)) {
        mw_stream_fail_output(to, errno);
    }
}

static void splice_turn(struct mw_way *way) {
    uint64_t before = way->moved;
    bool more;
    if (!way->pipe) {
        way->pipe = mw_pipe_take(&way->from->net->pipes);
    }
    if (!way->pipe) {
        stop_splicing(way);
        return;
    }
    do {
        more = splice_in(way);
        splice_out(way);
    } while (more && way->pipe->held == 0 && way->moved - before < TURN);
    if (way->unfit || (way->pipe->held == 0 && way->moved - before < TRICKLE)) {
        stop_splicing(way);
    } else if (way->pipe->held == 0) {
        give_pipe(way);
    }
}

/* From queue to queue, up to the mark of the one that is written to. */
static int copy_turn(struct mw_way *way, size_t *copied) {
    struct mw_stream *from = way->from, *to = way->to;
    size_t size;
    const char *bytes;
    *copied = 0;
    while (*copied < TURN && mw_stream_pending(to) <= to->marks->high &&
           (bytes = mw_stream_unread(from, &size)) != NULL) {
        size_t part = size < PART ? size : PART;
        int error = mw_stream_pass(to, bytes, part);
        if (error) {
            return error;
        }
        mw_stream_take(from, part);
        *copied += part;
        way->moved += part;
    }
    return 0;
}

int mw_way_move(struct mw_way *way, void (*on_spliceable)(struct ev_loop *ev, ev_io *io, int events)) {
    if (way->splicing) {
        splice_turn(way);
        return way->to->output_fault;
    }
    size_t copied;
    int error = copy_turn(way, &copied);
    if (!error && copied >= BULK && !way->from->in && may_splice(way)) {
        way->splicing = true;
        ev_set_cb(&way->from->input, on_spliceable);
    }
    return error ? error : way->to->output_fault;
}
