/* The input direction of a stream. */
#include "net/stream_internal.h"

#include <errno.h>

const char *mw_stream_unread(const struct mw_stream *stream, size_t *size) {
    *size = mw_buf_size(stream->in);
    return *size ? mw_buf_bytes(stream->in) : NULL;
}

uint64_t mw_stream_position(const struct mw_stream *stream) {
    return stream->received - mw_buf_size(stream->in);
}

bool mw_stream_at_end(const struct mw_stream *stream) {
    return stream->at_end;
}

int mw_stream_input_fault(const struct mw_stream *stream) {
    return stream->input_fault;
}

void mw_stream_take(struct mw_stream *stream, size_t size) {
    if (stream->in == stream->net->scratch) {
        stream->in->start += size;
        if (stream->in->start == stream->in->end) {
            stream->in = NULL;
        }
        return;
    }
    mw_buf_consume(&stream->net->pool, &stream->in, size);
    if (!stream->watching) {
        mw_stream_watch_input(stream);
    }
}

void mw_stream_await_input(struct mw_stream *stream, size_t size) {
    stream->input_awaited = size;
    if (!stream->watching) {
        mw_stream_watch_input(stream);
    }
}

/* Reading rests at the mark with nobody waiting for more, and while the
 * transport waits for room to write: the input may be there all the time. */
static bool wants_input(const struct mw_stream *stream) {
    if (stream->read_writes) {
        return true;
    }
    if (stream->at_end || stream->input_fault || stream->write_reads) {
        return false;
    }
    if (stream->farewell) {
        return stream->ended;
    }
    size_t unread = mw_buf_size(stream->in);
    return unread < stream->marks->input || unread < stream->input_awaited;
}

void mw_stream_watch_input(struct mw_stream *stream) {
    bool wanted = wants_input(stream);
    if (wanted == stream->watching) {
        return;
    }
    stream->watching = wanted;
    if (stream->input.fd >= 0) {
        struct ev_loop *ev = mw_loop_ev(stream->net->loop);
        if (wanted) {
            ev_io_start(ev, &stream->input);
        } else {
            ev_io_stop(ev, &stream->input);
        }
    }
    if (wanted && stream->ops->arm) {
        stream->ops->arm(stream, EV_READ);
    }
}

void mw_stream_defer_input(struct mw_stream *stream) {
    if (stream->watching && stream->input.fd >= 0) {
        struct ev_loop *ev = mw_loop_ev(stream->net->loop);
        ev_io_stop(ev, &stream->input);
        ev_io_start(ev, &stream->input);
    }
}

static void note_input_fault(struct mw_stream *stream, int error) {
    stream->input_fault = error;
    mw_stream_watch_input(stream);
}

/* How much to read behind bytes that are already queued: what the reader
 * waits for, within what one call may take. */
static size_t room_wanted(const struct mw_stream *stream) {
    size_t unread = mw_buf_size(stream->in);
    size_t missing = stream->input_awaited > unread ? stream->input_awaited - unread : 1;
    if (missing < MW_BUF_STANDARD / 4) {
        missing = MW_BUF_STANDARD / 4;
    }
    return missing < MW_NET_SCRATCH ? missing : MW_NET_SCRATCH;
}

/* Where the next bytes land: behind the unread ones, or in the scratch buffer
 * when there are none. NULL when memory is out. */
static struct mw_buf *landing(struct mw_stream *stream) {
    if (stream->in) {
        return mw_buf_reserve(&stream->net->pool, &stream->in, room_wanted(stream)) ? stream->in : NULL;
    }
    struct mw_buf *scratch = stream->net->scratch;
    scratch->start = scratch->end = 0;
    return scratch;
}

/* One read. True when the owner has something to hear. */
static bool fill(struct mw_stream *stream) {
    struct mw_buf *buf = landing(stream);
    if (!buf) {
        note_input_fault(stream, ENOMEM);
        return true;
    }
    ssize_t got = stream->ops->read(stream, buf->data + buf->end, mw_buf_room(buf));
    if (got > 0) {
        buf->end += (size_t)got;
        stream->in = buf;
        stream->received += (uint64_t)got;
        stream->active = mw_loop_now(stream->net->loop);
        return true;
    }
    if (got == MW_WANT_READ) {
        return false;
    }
    if (got == MW_WANT_WRITE) {
        if (!mw_stream_watch_output(stream)) {
            note_input_fault(stream, ENOMEM);
            return true;
        }
        stream->write_reads = true;
        mw_stream_watch_input(stream);
        return false;
    }
    if (got == 0) {
        stream->at_end = true;
        mw_stream_watch_input(stream);
    } else {
        note_input_fault(stream, (int)-got);
    }
    return true;
}

/* The scratch buffer is for the next stream: what is left in it is copied. */
static void keep_leftovers(struct mw_stream *stream) {
    struct mw_buf *scratch = stream->net->scratch;
    if (stream->in && stream->in == scratch) {
        stream->in = NULL;
        if (!mw_buf_append(&stream->net->pool, &stream->in, mw_buf_bytes(scratch), mw_buf_size(scratch))) {
            note_input_fault(stream, ENOMEM);
        }
    }
    mw_stream_watch_input(stream);
}

bool mw_stream_survives(struct mw_stream *stream, void (*act)(struct mw_stream *stream)) {
    struct mw_net *net = stream->net;
    net->served = stream;
    act(stream);
    bool there = net->served == stream;
    net->served = NULL;
    return there;
}

static void announce_input(struct mw_stream *stream) {
    if (stream->farewell) {
        mw_stream_go_on_closing(stream);
    } else if (stream->events) {
        stream->events->on_readable(stream->owner);
    }
}

bool mw_stream_receive(struct mw_stream *stream) {
    if (!stream->watching || !fill(stream)) {
        return true;
    }
    if (!mw_stream_survives(stream, announce_input)) {
        return false;
    }
    keep_leftovers(stream);
    return true;
}

void mw_stream_on_input(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_stream *stream = (struct mw_stream *)(void *)io;
    (void)ev;
    (void)events;
    if (stream->read_writes) {
        stream->read_writes = false;
        if (!mw_stream_survives(stream, mw_stream_go_on_sending)) {
            return;
        }
        mw_stream_watch_input(stream);
    }
    mw_stream_receive(stream);
}
