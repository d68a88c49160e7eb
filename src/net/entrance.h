/* What a connection goes through between accept and the one who serves it: the PROXY header of an allowed peer, then
 * the TLS handshake, within one time limit. */
#ifndef MW_NET_ENTRANCE_H
#define MW_NET_ENTRANCE_H

#include "base/addr.h"
#include "net/network.h"
#include "net/tls.h"

/* Rules shared by the connections of a listener; must outlive those that are inside. */
struct mw_entrance {
    struct mw_tls_context *tls;        /* of connections that come from now on; NULL: none */
    const struct mw_network *proxies;  /* peers that must send a PROXY header; all others must not. Looked
                                        * at when a connection comes, and then no more */
    size_t proxy_count;
    bool proxies_local;                /* who comes by a Unix socket must send one, too */
    double timeout;                    /* seconds for all of it */
    unsigned most;                     /* connections at a time in this entrance; 0: no limit. One more is refused */
    unsigned inside;                   /* how many there are */
    /* The connection is through; mw_stream_proxied knows the header, if there was one. `peer` is what the PROXY header says, else the one it had. What came behind the header
     * may be unread input already: no event tells of it. The stream has no owner. */
    void (*on_entered)(void *owner, struct mw_stream *stream, const struct mw_addr *peer);
    /* It is not: the stream is closed already. For the log; `peer` as far as it is known. Codes are those of
     * mw_tls_start, and "busy" when there are too many; a PROXY header that is no good is "protocol". */
    void (*on_refused)(void *owner, const struct mw_addr *peer, const struct mw_fault *fault);
};

/* Whether that peer must send a PROXY header. */
bool mw_entrance_is_proxy(const struct mw_entrance *entrance, const struct mw_addr *peer);

struct mw_entering; /* one connection on its way */

/* Takes the stream. NULL when it is through at once, with on_entered called, or refused. */
struct mw_entering *mw_entrance_take(struct mw_entrance *entrance, struct mw_stream *stream, const struct mw_addr *peer,
                                     void *owner);

/* Closes the connection; nothing is called any more. */
void mw_entering_cancel(struct mw_entering *entering);

#endif
