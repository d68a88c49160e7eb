/* Connections whose peer has to speak first: until it does they have neither
 * task nor userdata, a quarter of the memory of one whose handler waits. */
#include "script/l_listener_internal.h"

#include <stdlib.h>

struct deferred {
    struct mw_list node; /* in listener->deferred */
    struct mw_timer timer;
    struct mw_l_listener *listener;
    struct mw_stream *transport;
    struct mw_endpoint peer;
};

static struct mw_timers *timers_of(const struct mw_l_listener *listener) {
    return mw_loop_timers(listener->handler.sched->loop);
}

/* Ends the waiting; the transport is the caller's. */
static struct mw_stream *forget(struct deferred *deferred) {
    struct mw_stream *transport = deferred->transport;
    mw_list_remove(&deferred->node);
    mw_timer_remove(timers_of(deferred->listener), &deferred->timer);
    free(deferred);
    return transport;
}

/* The bytes are read by the task before this returns, while they still lie
 * where they were received. */
static void on_readable(void *owner) {
    struct deferred *deferred = owner;
    struct mw_l_listener *listener = deferred->listener;
    struct mw_addr peer;
    size_t unread;
    mw_endpoint_unpack(&peer, &deferred->peer);
    struct mw_stream *transport = forget(deferred);
    mw_stream_unread(transport, &unread);
    if (unread == 0) {
        mw_stream_close(transport, 0);
        return;
    }
    struct mw_task *task = mw_l_handler_start(&listener->handler, transport, &peer);
    if (task) {
        mw_task_resume(task, 2);
    }
}

static void on_due(struct mw_timer *timer) {
    mw_stream_close(forget(mw_list_owner(timer, struct deferred, timer)), 0);
}

static const struct mw_stream_events events = {.on_readable = on_readable};

void mw_l_listener_defer(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer) {
    struct deferred *deferred = malloc(sizeof *deferred);
    if (!deferred) {
        mw_stream_close(transport, 0);
        return;
    }
    deferred->listener = listener;
    deferred->transport = transport;
    mw_endpoint_pack(&deferred->peer, peer);
    mw_list_append(&listener->deferred, &deferred->node);
    mw_timer_init(&deferred->timer, on_due);
    double due = mw_loop_now(listener->handler.sched->loop) + listener->handler.profile->read_timeout;
    if (due < MW_TIMER_NEVER && !mw_timer_set(timers_of(listener), &deferred->timer, due)) {
        mw_stream_close(forget(deferred), 0);
        return;
    }
    mw_stream_set_marks(transport, &listener->handler.profile->marks);
    mw_stream_set_owner(transport, &events, deferred);
    size_t unread;
    mw_stream_unread(transport, &unread);
    if (unread > 0 || mw_stream_at_end(transport)) { /* came with a PROXY header or the end of a handshake */
        on_readable(deferred);
    }
}

void mw_l_listener_forget_deferred(struct mw_l_listener *listener) {
    for (struct mw_list *node = listener->deferred.next, *next; node != &listener->deferred; node = next) {
        next = node->next;
        mw_stream_close(forget(mw_list_owner(node, struct deferred, node)), 0);
    }
}
