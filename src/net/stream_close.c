/* The end of a stream. A close that loses nothing: queued output still leaves,
 * and input that nobody will read is drained for a moment, because closing a
 * socket with unread bytes resets the connection and takes back what was sent
 * (RFC 1122 section 4.2.2.13). */
#include "net/stream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/ioctl.h>

#define DRAIN_SECONDS 2.0

void mw_stream_destroy(struct mw_stream *stream) {
    struct mw_net *net = stream->net;
    if (net->served == stream) {
        net->served = NULL;
    }
    if (stream->in == net->scratch) {
        stream->in = NULL;
    }
    if (stream->out && !stream->output_fault) {
        stream->output_fault = ECANCELED; /* for the transport: what it ends is not whole */
    }
    mw_stream_clean(stream);
    mw_stream_unwatch_output(stream);
    ev_io_stop(mw_loop_ev(net->loop), &stream->input);
    mw_buf_release(&net->pool, &stream->in);
    mw_buf_release(&net->pool, &stream->out);
    bool was_closing = stream->farewell != NULL;
    if (was_closing) {
        mw_list_remove(&stream->farewell->node);
        mw_timer_remove(mw_loop_timers(net->loop), &stream->farewell->timer);
        free(stream->farewell);
    }
    if (stream->witness) {
        stream->witness->on_gone(stream->witness);
    }
    stream->ops->close(stream);
    free(stream->proxied);
    net->streams--;
    free(stream);
    if (was_closing) {
        mw_net_tell_drained(net);
    }
}

static void on_farewell_due(struct mw_timer *timer) {
    mw_stream_destroy(mw_list_owner(timer, struct mw_farewell, timer)->stream);
}

/* Puts the stream among the closing ones. False when memory is out. */
static bool begin_farewell(struct mw_stream *stream, double linger) {
    struct mw_loop *loop = stream->net->loop;
    struct mw_farewell *farewell = malloc(sizeof *farewell);
    if (!farewell) {
        return false;
    }
    farewell->stream = stream;
    mw_timer_init(&farewell->timer, on_farewell_due);
    if (!mw_timer_set(mw_loop_timers(loop), &farewell->timer, mw_loop_now(loop) + linger)) {
        free(farewell);
        return false;
    }
    mw_list_append(&stream->net->closing, &farewell->node);
    stream->farewell = farewell;
    return true;
}

static bool has_unread(const struct mw_stream *stream) {
    int unread = 0;
    if (stream->at_end || stream->input_fault || stream->ops->one_way) {
        return false;
    }
    if (mw_buf_size(stream->in)) {
        return true;
    }
    return stream->input.fd >= 0 && ioctl(stream->input.fd, FIONREAD, &unread) == 0 && unread > 0;
}

static void discard_input(struct mw_stream *stream) {
    if (stream->in == stream->net->scratch) {
        stream->in = NULL;
    }
    mw_buf_release(&stream->net->pool, &stream->in);
}

void mw_stream_go_on_closing(struct mw_stream *stream) {
    struct mw_loop *loop = stream->net->loop;
    double drain_until = mw_loop_now(loop) + DRAIN_SECONDS;
    discard_input(stream);
    if (stream->output_fault || stream->at_end || stream->input_fault) {
        if (stream->ended || stream->output_fault || !stream->out) {
            mw_stream_destroy(stream);
        }
        return;
    }
    if (stream->ended) {
        mw_stream_watch_input(stream);
        if (stream->farewell->timer.due > drain_until) {
            mw_timer_set(mw_loop_timers(loop), &stream->farewell->timer, drain_until);
        }
    }
}

static void lose_source(struct mw_stream *stream) {
    struct mw_source *source = mw_stream_source(stream);
    if (source) {
        mw_stream_detach(stream);
        source->on_closed(source);
    }
}

void mw_stream_close(struct mw_stream *stream, double linger) {
    struct mw_net *net = stream->net;
    lose_source(stream);
    stream->events = NULL;
    stream->input_awaited = stream->output_awaited = 0;
    if (net->served == stream) {
        net->served = NULL;
    }
    if (!mw_stream_awaits_room(stream)) {
        mw_stream_flush(stream);
    }
    bool unread = has_unread(stream);
    bool faulty = stream->output_fault || linger <= 0;
    if (faulty || (!stream->out && !unread) || !begin_farewell(stream, linger)) {
        mw_stream_destroy(stream);
        return;
    }
    discard_input(stream);
    mw_stream_watch_input(stream);
    mw_stream_shutdown(stream);
    mw_stream_go_on_closing(stream);
}

void mw_stream_abort(struct mw_stream *stream) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    lose_source(stream);
    if (!stream->output_fault) {
        stream->output_fault = ECANCELED;
    }
    if (stream->input.fd >= 0) {
        setsockopt(stream->input.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    mw_stream_destroy(stream);
}
