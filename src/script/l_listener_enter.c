/* Connections on their way in: a PROXY header and a handshake may come before the handler, or before accept. Until it is
 * through there is neither task nor userdata. */
#include "script/l_listener_internal.h"

#include "script/l_standard.h"
#include "script/task_internal.h"

#include <stdlib.h>

/* A connection that nobody serves yet. */
struct newcomer {
    struct mw_list node; /* in listener->newcomers, or in listener->entered */
    struct mw_l_listener *listener;
    struct mw_entering *entering; /* NULL: it is through, and waits for accept */
    struct mw_stream *transport;
    struct mw_endpoint peer;
};

static double now_of(const struct mw_l_listener *listener) {
    return mw_loop_now(listener->handler.sched->loop);
}

/* The connection is the caller's. */
static struct mw_l_listener *forget(struct newcomer *newcomer) {
    struct mw_l_listener *listener = newcomer->listener;
    mw_list_remove(&newcomer->node);
    free(newcomer);
    return listener;
}

/* It waits for a task that accepts. */
static void queue(struct newcomer *newcomer, struct mw_stream *stream, const struct mw_addr *peer) {
    struct mw_l_listener *listener = newcomer->listener;
    newcomer->entering = NULL;
    newcomer->transport = stream;
    mw_endpoint_pack(&newcomer->peer, peer);
    mw_list_remove(&newcomer->node);
    mw_list_append(&listener->entered, &newcomer->node);
    mw_stream_set_owner(stream, NULL, NULL);
    mw_listener_accept(listener->listener, false);
    if (listener->acceptor) {
        mw_task_ready(listener->acceptor, 0);
        listener->acceptor = NULL;
    }
}

static void on_entered(void *owner, struct mw_stream *stream, const struct mw_addr *peer) {
    struct newcomer *newcomer = owner;
    if (newcomer->listener->handler.group) {
        struct mw_l_listener *listener = forget(newcomer);
        mw_l_listener_serve(listener, stream, peer);
        mw_l_standard_entered(listener, true);
    } else {
        queue(newcomer, stream, peer);
    }
}

static void on_refused(void *owner, const struct mw_addr *peer, const struct mw_fault *fault) {
    struct mw_l_listener *listener = forget(owner);
    mw_tls_refusals_note(&listener->refusals, now_of(listener), listener->handler.sched->name, peer, fault);
    mw_l_standard_entered(listener, false);
}

void mw_l_listener_prepare_entrance(struct mw_l_listener *listener) {
    struct mw_entrance *entrance = &listener->entrance;
    entrance->on_entered = on_entered;
    entrance->on_refused = on_refused;
    if (listener->tls) {
        entrance->timeout = listener->tls->handshake_timeout;
        entrance->most = listener->tls->handshakes;
    }
    listener->enters = listener->tls || entrance->proxy_count || entrance->proxies_local;
}

void mw_l_listener_enter(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer) {
    struct newcomer *newcomer = calloc(1, sizeof *newcomer);
    if (!newcomer) {
        mw_stream_close(transport, 0);
        mw_l_standard_entered(listener, false);
        return;
    }
    newcomer->listener = listener;
    mw_list_append(&listener->newcomers, &newcomer->node);
    if (listener->tls) {
        listener->entrance.tls = mw_tls_settings_context(listener->tls, now_of(listener));
    }
    struct mw_entering *entering = mw_entrance_take(&listener->entrance, transport, peer, newcomer);
    if (entering) { /* else it is through or refused, and the newcomer no more, or queued */
        newcomer->entering = entering;
    }
}

struct mw_stream *mw_l_listener_take_entered(struct mw_l_listener *listener, struct mw_addr *peer) {
    if (mw_list_empty(&listener->entered)) {
        return NULL;
    }
    struct newcomer *newcomer = mw_list_owner(listener->entered.next, struct newcomer, node);
    struct mw_stream *transport = newcomer->transport;
    mw_endpoint_unpack(peer, &newcomer->peer);
    forget(newcomer);
    return transport;
}

static void dismiss(struct newcomer *newcomer) {
    if (newcomer->entering) {
        mw_entering_cancel(newcomer->entering);
    } else {
        mw_stream_close(newcomer->transport, 0);
    }
    forget(newcomer);
}

static void dismiss_all(struct mw_list *newcomers) {
    for (struct mw_list *node = newcomers->next, *next; node != newcomers; node = next) {
        next = node->next;
        dismiss(mw_list_owner(node, struct newcomer, node));
    }
}

void mw_l_listener_forget_newcomers(struct mw_l_listener *listener) {
    dismiss_all(&listener->newcomers);
    dismiss_all(&listener->entered);
}
