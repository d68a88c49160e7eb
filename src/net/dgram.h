/* UDP sockets: datagrams in, datagrams out, nothing queued in between. */
#ifndef MW_NET_DGRAM_H
#define MW_NET_DGRAM_H

#include "base/addr.h"
#include "base/fault.h"
#include "net/net.h"

#include <stdint.h>

struct mw_dgram_options {
    bool reuse_port; /* several sockets share the port */
    bool v6_only;    /* [::] does not take v4 datagrams */
    bool broadcast;  /* may send to broadcast addresses */
};

extern const struct mw_dgram_options mw_dgram_defaults; /* dual stack, the rest off */

/* Opens and binds a socket. `address` is numeric or any; its scheme is not
 * looked at, but for fd://, which adopts a datagram socket, and unix://, which
 * is refused. The descriptor, or -1 and `fault`. */
int mw_dgram_open(const struct mw_address *address, const struct mw_dgram_options *options,
                  struct mw_fault *fault);

/* Opens a socket that sends to `peer` and hears from nobody else. `local` is
 * the address to send from, NULL for the kernel's choice. */
int mw_dgram_connect(const struct mw_addr *peer, const struct mw_addr *local,
                     const struct mw_dgram_options *options, struct mw_fault *fault);

struct mw_dgram;

/* Each may close the socket. */
struct mw_dgram_events {
    /* A datagram, maybe empty, whole: none is longer than what it lands in. The
     * bytes are valid until the call returns. */
    void (*on_datagram)(void *owner, const char *bytes, size_t size, const struct mw_addr *peer);
    /* What was awaited: mw_dgram_send is worth another try. */
    void (*on_writable)(void *owner);
    /* The network has answered that a datagram sent earlier did not arrive
     * (ECONNREFUSED, EHOSTUNREACH, ...), or receiving failed. The socket goes
     * on. Only sockets with a fixed peer hear of the former. */
    void (*on_fault)(void *owner, int error);
};

/* A socket over `fd`, which it owns from now on. Not receiving until told so.
 * NULL when memory is out; the descriptor is still the caller's then. */
struct mw_dgram *mw_dgram_new(struct mw_net *net, int fd, const struct mw_dgram_events *events, void *owner);

/* Starts or rests receiving, faults included: what comes meanwhile waits in the
 * kernel, as much as its buffer holds. At most 32 in one event. */
void mw_dgram_receive(struct mw_dgram *dgram, bool receive);

/* Sends one datagram; `peer` is NULL when the socket is connected. A v4 peer
 * will do on a dual stack socket. 0, EAGAIN when the kernel has no room, or
 * errno: EMSGSIZE above 65507 bytes, EDESTADDRREQ without any peer, ... A fault
 * of an earlier datagram is never returned here: it goes to on_fault. */
int mw_dgram_send(struct mw_dgram *dgram, const char *bytes, size_t size, const struct mw_addr *peer);

/* on_writable is called once when there is room. */
void mw_dgram_await_output(struct mw_dgram *dgram);
void mw_dgram_forget_output(struct mw_dgram *dgram);

struct mw_dgram_counters {
    uint64_t received, sent;             /* datagrams */
    uint64_t received_bytes, sent_bytes; /* what was in them */
};

void mw_dgram_count(const struct mw_dgram *dgram, struct mw_dgram_counters *counters);
int mw_dgram_fd(const struct mw_dgram *dgram);

/* The address it is bound to, with the port that the kernel chose. */
void mw_dgram_local(const struct mw_dgram *dgram, struct mw_addr *local);

void mw_dgram_close(struct mw_dgram *dgram);

#endif
