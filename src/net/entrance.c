#include "net/entrance.h"

#include "net/proxied.h"

#include <errno.h>
#include <stdlib.h>

#define LINGER_SECONDS 2.0 /* for the alert that says why */

struct mw_entering {
    struct mw_entrance *entrance;
    struct mw_tls_context *tls; /* held: that of its arrival, whatever the entrance has by now */
    struct mw_stream *stream;
    struct mw_loop *loop;
    struct mw_timer timer; /* while the PROXY header is awaited */
    double due;
    struct mw_addr peer;
    void *owner;
};

static void leave(struct mw_entering *entering) {
    mw_timer_remove(mw_loop_timers(entering->loop), &entering->timer);
    entering->entrance->inside--;
    mw_tls_context_release(entering->tls);
    free(entering);
}

static void refuse(struct mw_entering *entering, const struct mw_fault *fault) {
    struct mw_entrance *entrance = entering->entrance;
    struct mw_addr peer = entering->peer;
    void *owner = entering->owner;
    mw_stream_close(entering->stream, LINGER_SECONDS);
    leave(entering);
    entrance->on_refused(owner, &peer, fault);
}

static void let_in(struct mw_entering *entering) {
    struct mw_entrance *entrance = entering->entrance;
    struct mw_stream *stream = entering->stream;
    struct mw_addr peer = entering->peer;
    void *owner = entering->owner;
    leave(entering);
    mw_stream_set_owner(stream, NULL, NULL);
    mw_stream_await_input(stream, 0);
    entrance->on_entered(owner, stream, &peer);
}

/* --- the handshake --- */

static void on_done(void *owner, const struct mw_fault *fault) {
    if (fault) {
        refuse(owner, fault);
    } else {
        let_in(owner);
    }
}

static bool shake_hands(struct mw_entering *entering, struct mw_fault *fault) {
    struct mw_tls_handshake handshake = {
        .timeout = entering->due - mw_loop_now(entering->loop),
        .takes_unread = true,
        .on_done = on_done,
        .owner = entering,
    };
    return mw_tls_start(entering->stream, entering->tls, &handshake, fault);
}

/* --- the PROXY header --- */

bool mw_entrance_is_proxy(const struct mw_entrance *entrance, const struct mw_addr *peer) {
    struct mw_endpoint endpoint;
    uint8_t bytes[16];
    mw_endpoint_pack(&endpoint, peer);
    if (!entrance->proxy_count && !entrance->proxies_local) {
        return false;
    }
    if (endpoint.family == AF_UNIX) {
        return entrance->proxies_local;
    }
    if (!mw_network_address(bytes, &endpoint)) {
        return false;
    }
    for (size_t i = 0; i < entrance->proxy_count; i++) {
        if (mw_network_holds(&entrance->proxies[i], bytes)) {
            return true;
        }
    }
    return false;
}

static void refuse_header(struct mw_entering *entering, const char *why) {
    struct mw_fault fault;
    mw_fault_format(&fault, "protocol", "PROXY header: %s", why);
    refuse(entering, &fault);
}

static void go_on(struct mw_entering *entering) {
    struct mw_fault fault;
    mw_timer_clear(&entering->timer);
    mw_stream_await_input(entering->stream, 0);
    if (!entering->tls) {
        let_in(entering);
    } else if (!shake_hands(entering, &fault)) {
        refuse(entering, &fault);
    }
}

/* No more bytes will come. */
static void refuse_end(struct mw_entering *entering) {
    int error = mw_stream_input_fault(entering->stream);
    struct mw_fault fault;
    if (!error) {
        refuse_header(entering, "the peer has ended the connection");
        return;
    }
    mw_fault_set(&fault, error, "PROXY header", NULL);
    refuse(entering, &fault);
}

static void use_header(struct mw_entering *entering, const struct mw_proxyhdr *header, const char *bytes) {
    struct mw_fault fault;
    if (!mw_proxied_note(entering->stream, &entering->peer, header, bytes)) {
        mw_fault_set(&fault, ENOMEM, "PROXY header", NULL);
        refuse(entering, &fault);
        return;
    }
    if (header->source.length) {
        entering->peer = header->source;
    }
    mw_stream_take(entering->stream, header->size);
    go_on(entering);
}

static void on_readable(void *owner) {
    struct mw_entering *entering = owner;
    struct mw_stream *stream = entering->stream;
    struct mw_proxyhdr header;
    size_t size;
    const char *bytes = mw_stream_unread(stream, &size);
    switch (bytes ? mw_proxyhdr_parse(&header, bytes, size) : MW_PROXYHDR_MORE) {
    case MW_PROXYHDR_DONE:
        use_header(entering, &header, bytes);
        break;
    case MW_PROXYHDR_BAD:
        refuse_header(entering, header.why);
        break;
    default:
        if (mw_stream_at_end(stream) || mw_stream_input_fault(stream)) {
            refuse_end(entering);
        } else {
            mw_stream_await_input(stream, size + 1);
        }
    }
}

static const struct mw_stream_events header_events = {.on_readable = on_readable};

static void on_due(struct mw_timer *timer) {
    struct mw_fault fault;
    mw_fault_format(&fault, "timeout", "PROXY header: timeout");
    refuse(mw_list_owner(timer, struct mw_entering, timer), &fault);
}

static bool await_header(struct mw_entering *entering, struct mw_fault *fault) {
    if (entering->due < MW_TIMER_NEVER &&
        !mw_timer_set(mw_loop_timers(entering->loop), &entering->timer, entering->due)) {
        mw_fault_set(fault, ENOMEM, "PROXY header", NULL);
        return false;
    }
    mw_stream_set_owner(entering->stream, &header_events, entering);
    mw_stream_await_input(entering->stream, 1);
    return true;
}

/* --- coming and going --- */

static struct mw_entering *make(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer,
                                void *owner, struct mw_fault *fault) {
    if (entrance->most && entrance->inside >= entrance->most) {
        mw_fault_format(fault, "busy", "too many handshakes at a time (%u)", entrance->most);
        return NULL;
    }
    struct mw_entering *entering = malloc(sizeof *entering);
    if (!entering) {
        mw_fault_set(fault, ENOMEM, "tls handshake", NULL);
        return NULL;
    }
    struct mw_loop *loop = mw_stream_loop(stream);
    *entering = (struct mw_entering){
        .entrance = entrance, .stream = stream, .loop = loop, .peer = *peer, .owner = owner};
    entering->tls = entrance->tls ? mw_tls_context_hold(entrance->tls) : NULL;
    entering->due = mw_loop_now(loop) + entrance->timeout;
    mw_timer_init(&entering->timer, on_due);
    entrance->inside++;
    return entering;
}

struct mw_entering *mw_entrance_take(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer,
                                     void *owner) {
    bool proxied = mw_entrance_is_proxy(entrance, peer);
    struct mw_fault fault;
    if (!entrance->tls && !proxied) {
        entrance->on_entered(owner, stream, peer);
        return NULL;
    }
    struct mw_entering *entering = make(entrance, stream, peer, owner, &fault);
    if (!entering) {
        mw_stream_close(stream, LINGER_SECONDS);
        entrance->on_refused(owner, peer, &fault);
        return NULL;
    }
    if (proxied ? await_header(entering, &fault) : shake_hands(entering, &fault)) {
        return entering;
    }
    refuse(entering, &fault);
    return NULL;
}

void mw_entering_cancel(struct mw_entering *entering) {
    mw_tls_cancel(entering->stream);
    mw_stream_close(entering->stream, 0);
    leave(entering);
}
