#include "net/relay.h"

#include "net/way.h"

#include <errno.h>
#include <stdlib.h>

/* A direction, and what its `from` gets back in the end. */
struct direction {
    struct mw_way way; /* first member: its address is the direction's */
    struct mw_relay *relay;
    const struct mw_stream_events *events;
    void *owner;
    const struct mw_stream_marks *marks;
    struct mw_stream_marks relay_marks; /* the same, but reading only on demand */
};

struct mw_relay {
    struct direction directions[2];
    struct mw_timer timer;
    double idle, started;
    mw_relay_done *done;
    void *context;
};

static void put_back(struct direction *direction) {
    struct mw_stream *from = direction->way.from, *to = direction->way.to;
    mw_way_close(&direction->way);
    mw_stream_set_owner(from, direction->events, direction->owner);
    mw_stream_set_marks(from, direction->marks);
    mw_stream_await_input(from, 0);
    if (mw_stream_source(to) == &direction->way.source) {
        mw_stream_detach(to);
    }
}

void mw_relay_cancel(struct mw_relay *relay) {
    struct mw_net *net = relay->directions[0].way.from->net;
    put_back(&relay->directions[0]);
    put_back(&relay->directions[1]);
    mw_timer_remove(mw_loop_timers(net->loop), &relay->timer);
    mw_pipe_pool_leave(&net->pipes);
    free(relay);
}

static void end(struct mw_relay *relay, int error) {
    mw_relay_done *done = relay->done;
    void *context = relay->context;
    struct direction *directions = relay->directions;
    mw_way_close(&directions[0].way);
    mw_way_close(&directions[1].way);
    uint64_t a_to_b = directions[0].way.moved, b_to_a = directions[1].way.moved;
    mw_relay_cancel(relay);
    done(context, a_to_b, b_to_a, error);
}

static bool input_over(const struct mw_stream *stream) {
    return stream->at_end || stream->input_fault;
}

/* The end of data goes out behind the last byte. */
static void pass_end(struct direction *direction) {
    struct mw_way *way = &direction->way;
    if (way->from->input_fault) {
        end(direction->relay, way->from->input_fault);
        return;
    }
    if (way->to->out) {
        return;
    }
    way->ended = true;
    int error = mw_stream_shutdown(way->to);
    if (error || (direction->relay->directions[0].way.ended && direction->relay->directions[1].way.ended)) {
        end(direction->relay, error);
    }
}

static void on_spliceable(struct ev_loop *ev, ev_io *io, int events);

static void go_on(struct direction *direction) {
    struct mw_way *way = &direction->way;
    if (way->ended) {
        return;
    }
    int error = mw_way_move(way, on_spliceable);
    if (error) {
        end(direction->relay, error);
        return;
    }
    bool holds = mw_way_holds(way);
    mw_stream_await_input(way->from, holds ? 0 : 1);
    mw_stream_watch_input(way->from);
    if (!holds && input_over(way->from)) {
        pass_end(direction);
    } else if (holds && !way->to->out) {
        mw_stream_watch_output(way->to);
    }
}

static void on_spliceable(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_stream *stream = (struct mw_stream *)(void *)io;
    (void)ev;
    (void)events;
    go_on(stream->owner);
}

static void on_readable(void *owner) {
    go_on(owner);
}

static const struct mw_stream_events relay_events = {.on_readable = on_readable};

static void on_room(struct mw_source *source) {
    go_on((struct direction *)source);
}

static void on_closed(struct mw_source *source) {
    end(((struct direction *)source)->relay, ECANCELED);
}

/* The streams know when their last bytes went, queued ones included: the timer
 * looks there when it is due, and nothing is noted for every byte. */
static void on_due(struct mw_timer *timer) {
    struct mw_relay *relay = mw_list_owner(timer, struct mw_relay, timer);
    struct mw_stream *a = relay->directions[0].way.from, *b = relay->directions[1].way.from;
    double last = a->active > b->active ? a->active : b->active;
    double due = (last > relay->started ? last : relay->started) + relay->idle;
    if (due <= mw_loop_now(a->net->loop)) {
        end(relay, ETIMEDOUT);
    } else if (!mw_timer_set(mw_loop_timers(a->net->loop), timer, due)) {
        end(relay, ENOMEM);
    }
}

static int start_timer(struct mw_relay *relay, struct mw_loop *loop) {
    if (relay->idle <= 0) {
        return 0;
    }
    return mw_timer_set(mw_loop_timers(loop), &relay->timer, relay->started + relay->idle) ? 0 : ENOMEM;
}

/* Attaches what can fail. What was attached is taken off again on failure. */
static int attach(struct mw_relay *relay, struct mw_stream *a, struct mw_stream *b) {
    int error = mw_stream_attach(b, &relay->directions[0].way.source);
    if (error) {
        return error;
    }
    error = mw_stream_attach(a, &relay->directions[1].way.source);
    if (!error) {
        error = start_timer(relay, a->net->loop);
        if (error) {
            mw_stream_detach(a);
        }
    }
    if (error) {
        mw_stream_detach(b);
    }
    return error;
}

static void take_over(struct mw_relay *relay, int index, struct mw_stream *from, struct mw_stream *to) {
    struct direction *direction = &relay->directions[index];
    direction->way.from = from;
    direction->way.to = to;
    direction->relay = relay;
    direction->events = from->events;
    direction->owner = from->owner;
    direction->marks = from->marks;
    direction->relay_marks = *from->marks;
    direction->relay_marks.input = 0;
    mw_stream_set_owner(from, &relay_events, direction);
    mw_stream_set_marks(from, &direction->relay_marks);
    mw_stream_await_input(from, 0);
    mw_stream_forget_output(from);
    mw_stream_rouse(to);
}

struct mw_relay *mw_relay_start(struct mw_stream *a, struct mw_stream *b,
                                const struct mw_relay_options *options, mw_relay_done *done, void *context) {
    struct mw_relay *relay = calloc(1, sizeof *relay);
    if (!relay) {
        return NULL;
    }
    relay->directions[0].way.source = (struct mw_source){on_room, on_closed};
    relay->directions[1].way.source = (struct mw_source){on_room, on_closed};
    mw_timer_init(&relay->timer, on_due);
    relay->idle = options->idle;
    relay->started = mw_loop_now(a->net->loop);
    relay->done = done;
    relay->context = context;
    int error = attach(relay, a, b);
    if (error) {
        free(relay);
        errno = error;
        return NULL;
    }
    mw_pipe_pool_join(&a->net->pipes);
    take_over(relay, 0, a, b);
    take_over(relay, 1, b, a);
    return relay;
}
