#include "net/listener.h"

#include "base/log.h"
#include "net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections taken in one event: enough for a burst, few enough that those
 * that are open already are not kept waiting. */
enum { BATCH = 64 };

#define REST_SECONDS 0.1

struct mw_listener {
    ev_io io;
    struct mw_net *net;
    const struct mw_listener_events *events;
    void *owner;
    struct mw_timer rest; /* due when accepting is tried again */
    dev_t device;         /* of the Unix path, to remove only our own */
    ino_t inode;
    bool accepting, resting;
    bool warned; /* of the rests since the last connection */
};

static void update(struct mw_listener *listener) {
    struct ev_loop *ev = mw_loop_ev(listener->net->loop);
    if (listener->accepting && !listener->resting) {
        ev_io_start(ev, &listener->io);
    } else {
        ev_io_stop(ev, &listener->io);
    }
}

static void rest(struct mw_listener *listener, int error) {
    struct mw_loop *loop = listener->net->loop;
    if (!listener->warned) {
        struct mw_fault fault;
        listener->warned = true;
        mw_fault_set(&fault, error, "accept", NULL);
        mw_log(MW_LOG_WARN, "accepting rests for a moment: %s", fault.message);
    }
    if (mw_timer_set(mw_loop_timers(loop), &listener->rest, mw_loop_now(loop) + REST_SECONDS)) {
        listener->resting = true;
        update(listener);
    }
}

static void on_rest_due(struct mw_timer *timer) {
    struct mw_listener *listener = mw_list_owner(timer, struct mw_listener, rest);
    listener->resting = false;
    update(listener);
}

/* Whether the error was that of one connection, which is off the queue now;
 * accept passes on what the network says of it (accept(2), "Error handling"). */
static bool is_of_connection(int error) {
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return true;
    default:
        return error == EINTR;
    }
}

/* One connection. Whether to try for another. */
static bool accept_one(struct mw_listener *listener) {
    struct mw_addr peer = {.length = sizeof peer.storage};
    int fd = accept4(listener->io.fd, &peer.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        listener->warned = false;
        return listener->events->on_accept(listener->owner, fd, &peer) && listener->accepting;
    }
    if (is_of_connection(errno)) {
        return true;
    }
    if (errno != EAGAIN) {
        rest(listener, errno);
    }
    return false;
}

static void on_connection(struct ev_loop *ev, ev_io *io, int events) {
    struct mw_listener *listener = (struct mw_listener *)(void *)io;
    (void)ev;
    (void)events;
    for (int i = 0; i < BATCH && accept_one(listener); i++) {
    }
}

static void remember_path(struct mw_listener *listener) {
    struct mw_addr local;
    struct stat status;
    mw_listener_local(listener, &local);
    if (local.any.sa_family == AF_UNIX && local.local.sun_path[0] &&
        stat(local.local.sun_path, &status) == 0) {
        listener->device = status.st_dev;
        listener->inode = status.st_ino;
    }
}

static void forget_path(const struct mw_listener *listener) {
    struct mw_addr local;
    struct stat status;
    if (listener->inode == 0) {
        return;
    }
    mw_listener_local(listener, &local);
    if (stat(local.local.sun_path, &status) == 0 && status.st_ino == listener->inode &&
        status.st_dev == listener->device) {
        unlink(local.local.sun_path);
    }
}

struct mw_listener *mw_listener_new(struct mw_net *net, int fd, const struct mw_listener_events *events,
                                    void *owner) {
    struct mw_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        return NULL;
    }
    ev_io_init(&listener->io, on_connection, fd, EV_READ);
    mw_timer_init(&listener->rest, on_rest_due);
    listener->net = net;
    listener->events = events;
    listener->owner = owner;
    remember_path(listener);
    return listener;
}

void mw_listener_accept(struct mw_listener *listener, bool accept) {
    listener->accepting = accept;
    update(listener);
}

void mw_listener_leave_path(struct mw_listener *listener) {
    listener->inode = 0;
}

void mw_listener_local(const struct mw_listener *listener, struct mw_addr *local) {
    mw_socket_local(listener->io.fd, local);
}

void mw_listener_close(struct mw_listener *listener) {
    listener->accepting = false;
    update(listener);
    mw_timer_remove(mw_loop_timers(listener->net->loop), &listener->rest);
    forget_path(listener);
    close(listener->io.fd);
    free(listener);
}
