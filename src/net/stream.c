#include "net/stream.h"

#include "net/stream_internal.h"

#include <stdlib.h>

const struct mw_stream_marks mw_stream_default_marks = {
    .input = 64 * 1024,
    .high = 64 * 1024,
    .low = 16 * 1024,
    .cap = 4 * 1024 * 1024,
};

struct mw_stream *mw_stream_new(struct mw_net *net, int fd, const struct mw_stream_ops *ops, void *transport) {
    struct mw_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        return NULL;
    }
    ev_io_init(&stream->input, mw_stream_on_input, fd, EV_READ);
    stream->net = net;
    stream->ops = ops;
    stream->transport = transport;
    stream->output_fd = fd;
    stream->marks = &mw_stream_default_marks;
    stream->opened = stream->active = mw_loop_now(net->loop);
    net->streams++;
    mw_stream_watch_input(stream);
    return stream;
}

void mw_stream_set_owner(struct mw_stream *stream, const struct mw_stream_events *events, void *owner) {
    stream->events = events;
    stream->owner = owner;
}

void *mw_stream_owner(const struct mw_stream *stream, const struct mw_stream_events *events) {
    return stream->events == events ? stream->owner : NULL;
}

void mw_stream_set_witness(struct mw_stream *stream, struct mw_stream_witness *witness) {
    stream->witness = witness;
}

void mw_stream_set_marks(struct mw_stream *stream, const struct mw_stream_marks *marks) {
    stream->marks = marks;
}

const struct mw_stream_marks *mw_stream_marks(const struct mw_stream *stream) {
    return stream->marks;
}

void mw_stream_count(const struct mw_stream *stream, struct mw_stream_counters *counters) {
    *counters = (struct mw_stream_counters){
        .received = stream->received,
        .sent = stream->sent,
        .opened = stream->opened,
        .active = stream->active,
    };
}

int mw_stream_fd(const struct mw_stream *stream) {
    return stream->input.fd;
}

struct mw_loop *mw_stream_loop(const struct mw_stream *stream) {
    return stream->net->loop;
}

const struct mw_stream_ops *mw_stream_transport(const struct mw_stream *stream) {
    return stream->ops;
}
