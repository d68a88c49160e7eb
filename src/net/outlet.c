/* The watcher for output, and the source beside the queue. */
#include "net/stream_internal.h"

#include <errno.h>
#include <stdlib.h>

static void on_output(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_stream *stream = ((struct mw_outlet *)(void *)io)->stream;
    (void)ev;
    (void)events;
    if (stream->write_reads) {
        stream->write_reads = false;
        mw_stream_watch_input(stream);
        if (!mw_stream_receive(stream)) {
            return;
        }
    }
    mw_stream_go_on_sending(stream);
}

static bool open_outlet(struct mw_stream *stream) {
    if (stream->outlet) {
        return true;
    }
    struct mw_outlet *outlet = malloc(sizeof *outlet);
    if (!outlet) {
        return false;
    }
    *outlet = (struct mw_outlet){.stream = stream};
    ev_io_init(&outlet->io, on_output, stream->output_fd, EV_WRITE);
    stream->outlet = outlet;
    return true;
}

bool mw_stream_watch_output(struct mw_stream *stream) {
    if (!open_outlet(stream)) {
        return false;
    }
    struct mw_outlet *outlet = stream->outlet;
    if (outlet->io.fd >= 0) {
        ev_io_start(mw_loop_ev(stream->net->loop), &outlet->io);
    }
    outlet->waiting = true;
    if (stream->ops->arm) {
        stream->ops->arm(stream, EV_WRITE);
    }
    return true;
}

void mw_stream_unwatch_output(struct mw_stream *stream) {
    struct mw_outlet *outlet = stream->outlet;
    if (!outlet) {
        return;
    }
    ev_io_stop(mw_loop_ev(stream->net->loop), &outlet->io);
    outlet->waiting = false;
    if (!outlet->source) {
        free(outlet);
        stream->outlet = NULL;
    }
}

int mw_stream_attach(struct mw_stream *stream, struct mw_source *source) {
    if (mw_stream_source(stream)) {
        return EBUSY;
    }
    if (!open_outlet(stream)) {
        return ENOMEM;
    }
    stream->outlet->source = source;
    return 0;
}

void mw_stream_detach(struct mw_stream *stream) {
    stream->outlet->source = NULL;
    if (!stream->outlet->waiting || mw_stream_output_rests(stream)) {
        mw_stream_unwatch_output(stream);
    }
}

void mw_stream_rouse(struct mw_stream *stream) {
    ev_feed_event(mw_loop_ev(stream->net->loop), &stream->outlet->io, EV_WRITE);
}
