#include "net/entrance.h"

#include <errno.h>
#include <stdlib.h>

#define LINGER_SECONDS 2.0 /* for the alert that says why */

struct mw_entering {
    struct mw_entrance *entrance;
    struct mw_stream *stream;
    struct mw_addr peer;
    void *owner;
};

static void leave(struct mw_entering *entering) {
    entering->entrance->inside--;
    free(entering);
}

static void refuse(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer, void *owner,
                   const struct mw_fault *fault) {
    mw_stream_close(stream, LINGER_SECONDS);
    entrance->on_refused(owner, peer, fault);
}

static void on_done(void *context, const struct mw_fault *fault) {
    struct mw_entering entering = *(struct mw_entering *)context;
    leave(context);
    if (fault) {
        refuse(entering.entrance, entering.stream, &entering.peer, entering.owner, fault);
    } else {
        entering.entrance->on_entered(entering.owner, entering.stream, &entering.peer);
    }
}

static struct mw_entering *begin(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer,
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
    *entering = (struct mw_entering){.entrance = entrance, .stream = stream, .peer = *peer, .owner = owner};
    struct mw_tls_handshake handshake = {.timeout = entrance->timeout, .on_done = on_done, .owner = entering};
    if (!mw_tls_start(stream, entrance->tls, &handshake, fault)) {
        free(entering);
        return NULL;
    }
    entrance->inside++;
    return entering;
}

struct mw_entering *mw_entrance_take(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer,
                                     void *owner) {
    if (!entrance->tls) {
        entrance->on_entered(owner, stream, peer);
        return NULL;
    }
    struct mw_fault fault;
    struct mw_entering *entering = begin(entrance, stream, peer, owner, &fault);
    if (!entering) {
        refuse(entrance, stream, peer, owner, &fault);
    }
    return entering;
}

void mw_entering_cancel(struct mw_entering *entering) {
    mw_tls_cancel(entering->stream);
    mw_stream_close(entering->stream, 0);
    leave(entering);
}
