#include "net/dgram.h"
#include "net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 32 }; /* datagrams taken in one event: the neighbours wait meanwhile */

struct mw_dgram {
    ev_io input; /* first member: its address is the socket's */
    ev_io output;
    struct mw_net *net;
    const struct mw_dgram_events *events;
    void *owner;
    struct mw_dgram_counters counters;
    int fault; /* of an earlier datagram, to be told with the next input; 0: none */
    bool receiving;
    bool *gone; /* set when the socket is closed while its events are being told */
};

static void tell_fault(struct mw_dgram *dgram) {
    int error = dgram->fault;
    dgram->fault = 0;
    dgram->events->on_fault(dgram->owner, error);
}

/* One datagram, or one fault. False when there is nothing. */
static bool take_one(struct mw_dgram *dgram) {
    struct mw_buf *scratch = dgram->net->scratch;
    struct mw_addr peer = {.length = sizeof peer.storage};
    if (dgram->fault) {
        tell_fault(dgram);
        return true;
    }
    ssize_t got = recvfrom(dgram->input.fd, scratch->data, MW_NET_SCRATCH, 0, &peer.any, &peer.length);
    if (got >= 0) {
        dgram->counters.received++;
        dgram->counters.received_bytes += (uint64_t)got;
        dgram->events->on_datagram(dgram->owner, scratch->data, (size_t)got, &peer);
        return true;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return false;
    }
    dgram->events->on_fault(dgram->owner, errno);
    return true;
}

static void on_input(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_dgram *dgram = (struct mw_dgram *)(void *)io;
    bool gone = false;
    (void)ev;
    (void)events;
    dgram->gone = &gone;
    for (int i = 0; i < BATCH && take_one(dgram); i++) {
        if (gone) {
            return;
        }
        if (!dgram->receiving) {
            break;
        }
    }
    dgram->gone = NULL;
}

static void on_output(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_dgram *dgram = mw_list_owner(io, struct mw_dgram, output);
    (void)events;
    ev_io_stop(ev, io);
    dgram->events->on_writable(dgram->owner);
}

struct mw_dgram *mw_dgram_new(struct mw_net *net, int fd, const struct mw_dgram_events *events, void *owner) {
    struct mw_dgram *dgram = calloc(1, sizeof *dgram);
    if (!dgram) {
        return NULL;
    }
    ev_io_init(&dgram->input, on_input, fd, EV_READ);
    ev_io_init(&dgram->output, on_output, fd, EV_WRITE);
    dgram->net = net;
    dgram->events = events;
    dgram->owner = owner;
    return dgram;
}

/* The kernel shows no input for a fault that it has told already. */
static void show_fault(struct mw_dgram *dgram) {
    if (dgram->fault && dgram->receiving) {
        ev_feed_event(mw_loop_ev(dgram->net->loop), &dgram->input, EV_READ);
    }
}

void mw_dgram_receive(struct mw_dgram *dgram, bool receive) {
    struct ev_loop *ev = mw_loop_ev(dgram->net->loop);
    dgram->receiving = receive;
    if (receive) {
        ev_io_start(ev, &dgram->input);
        show_fault(dgram);
    } else {
        ev_io_stop(ev, &dgram->input);
    }
}

static ssize_t try_send(const struct mw_dgram *dgram, const char *bytes, size_t size,
                        const struct mw_addr *peer) {
    ssize_t sent;
    do {
        sent = sendto(dgram->input.fd, bytes, size, MSG_NOSIGNAL, peer ? &peer->any : NULL,
                      peer ? peer->length : 0);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* What the network may have answered to an earlier datagram. */
static bool may_be_old(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
           error == EPROTO || error == ENOPROTOOPT || error == EACCES || error == EMSGSIZE;
}

/* A call on a connected socket fails when an answer to an earlier datagram has
 * come, and sends nothing then. That answer is given once: the second try tells
 * what becomes of this datagram. */
int mw_dgram_send(struct mw_dgram *dgram, const char *bytes, size_t size, const struct mw_addr *peer) {
    ssize_t sent = try_send(dgram, bytes, size, peer);
    if (sent < 0 && may_be_old(errno)) {
        int old = errno;
        sent = try_send(dgram, bytes, size, peer);
        if (sent >= 0 || errno != old) {
            int error = errno;
            dgram->fault = old;
            show_fault(dgram);
            errno = error;
        }
    }
    if (sent < 0) {
        return errno;
    }
    dgram->counters.sent++;
    dgram->counters.sent_bytes += (uint64_t)sent;
    return 0;
}

void mw_dgram_await_output(struct mw_dgram *dgram) {
    ev_io_start(mw_loop_ev(dgram->net->loop), &dgram->output);
}

void mw_dgram_forget_output(struct mw_dgram *dgram) {
    ev_io_stop(mw_loop_ev(dgram->net->loop), &dgram->output);
}

void mw_dgram_count(const struct mw_dgram *dgram, struct mw_dgram_counters *counters) {
    *counters = dgram->counters;
}

int mw_dgram_fd(const struct mw_dgram *dgram) {
    return dgram->input.fd;
}

void mw_dgram_local(const struct mw_dgram *dgram, struct mw_addr *local) {
    mw_socket_local(dgram->input.fd, local);
}

void mw_dgram_close(struct mw_dgram *dgram) {
    struct ev_loop *ev = mw_loop_ev(dgram->net->loop);
    if (dgram->gone) {
        *dgram->gone = true;
    }
    ev_io_stop(ev, &dgram->input);
    ev_io_stop(ev, &dgram->output);
    close(dgram->input.fd);
    free(dgram);
}
