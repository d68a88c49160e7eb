/* Opens a client connection: looks up the name, tries the addresses one after
 * the other, each a little later than the one before, families by turns (RFC
 * 8305, "happy eyeballs"), and keeps the first that answers. */
#ifndef MW_NET_CONNECTOR_H
#define MW_NET_CONNECTOR_H

#include "base/addr.h"
#include "base/fault.h"
#include "net/resolver.h"

struct mw_connector; /* one connection in the making, until its callback is called */

struct mw_connector_options {
    struct mw_address target; /* tcp and tls: a TCP connection; unix */
    struct mw_addr local;     /* where the socket is bound first; length 0: wherever the kernel likes */
    double timeout;           /* seconds for everything, the name included; MW_TIMER_NEVER: no limit */
    double attempt_delay; /* seconds until the next address is tried beside the one that does not answer */
    bool nodelay;         /* TCP: send small writes at once */
    bool keepalive;       /* TCP: let the kernel probe an idle peer */
};

/* No target, no local address, 10 s, 250 ms, nodelay, no keepalive. */
extern const struct mw_connector_options mw_connector_default_options;

/* A connected descriptor (CLOEXEC, NONBLOCK), which is the receiver's now, and
 * whom it leads to; or -1, a NULL peer and the fault. Both are valid during
 * the call. When all addresses failed it is the fault of the first that says
 * more than "unreachable". Codes: those of connect(2) and bind(2), "timeout",
 * those of a lookup, "invalid" for a target that cannot be connected to. */
typedef void mw_connect_callback(void *context, int fd, const struct mw_addr *peer,
                                 const struct mw_fault *fault);

/* The options are copied. The resolver, which must outlive the connector, may
 * be NULL when the target is numeric or a path. The callback is called once,
 * from the loop, never from within this call; the handle is gone by then.
 * NULL when memory is out: no callback then. */
struct mw_connector *mw_connector_start(struct mw_loop *loop, struct mw_resolver *resolver,
                                        const struct mw_connector_options *options,
                                        mw_connect_callback *callback, void *context);

/* Closes everything; the callback will not be called, the handle is gone. */
void mw_connector_cancel(struct mw_connector *connector);

#endif
