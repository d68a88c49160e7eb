/* Listening stream sockets: opening them, and accepting on the loop. */
#ifndef MW_NET_LISTENER_H
#define MW_NET_LISTENER_H

#include "base/addr.h"
#include "base/fault.h"
#include "net/net.h"

struct mw_listener_options {
    int backlog;     /* 1.. ; 0: 4096 (the kernel caps it at net.core.somaxconn) */
    int mode;        /* permission bits of a Unix path, e.g. 0660; -1: as the umask leaves them */
    bool reuse_port; /* several sockets share the port */
    bool v6_only;    /* [::] does not take v4 connections */
    bool no_delay;   /* TCP_NODELAY on every accepted connection */
    bool keep_alive; /* SO_KEEPALIVE on every accepted connection */
};

extern const struct mw_listener_options mw_listener_defaults; /* no_delay, dual stack, the rest off */

/* Opens, binds and listens. A Unix path whose server is gone is replaced; one
 * that is alive is "in_use". fd:// adopts a descriptor that already listens.
 * The descriptor, or -1 and `fault`. */
int mw_listener_open(const struct mw_address *address, const struct mw_listener_options *options,
                     struct mw_fault *fault);

struct mw_listener;

struct mw_listener_events {
    /* A connection; the descriptor is the owner's now. Whether to accept more
     * at once. Must not close the listener. */
    bool (*on_accept)(void *owner, int fd, const struct mw_addr *peer);
};

/* Accepts on `fd`, which it owns from now on. Not accepting until told so.
 * NULL when memory is out; the descriptor is still the caller's then. */
struct mw_listener *mw_listener_new(struct mw_net *net, int fd, const struct mw_listener_events *events,
                                    void *owner);

/* Starts or rests accepting. While descriptors are exhausted, or the kernel
 * refuses for another reason, accepting rests by itself and is tried again every
 * 100 ms; the log says so once. */
void mw_listener_accept(struct mw_listener *listener, bool accept);

/* The Unix path that it listens on, if it does, is somebody else's to remove. */
void mw_listener_leave_path(struct mw_listener *listener);

/* The address it listens on, with the port that the kernel chose. */
void mw_listener_local(const struct mw_listener *listener, struct mw_addr *local);

/* Closes the descriptor and removes the Unix path that it made. */
void mw_listener_close(struct mw_listener *listener);

#endif
