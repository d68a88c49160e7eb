/* The inside of a listener, for the files that are its verbs. */
#ifndef MW_SCRIPT_L_LISTENER_INTERNAL_H
#define MW_SCRIPT_L_LISTENER_INTERNAL_H

#include "net/entrance.h"
#include "net/listener.h"
#include "script/l_handler.h"
#include "script/l_http.h"
#include "script/l_listener.h"
#include "script/tls_refusals.h"
#include "script/tls_settings.h"

struct mw_l_listener {
    struct mw_listener *listener; /* NULL once closed */
    struct mw_l_handler handler;  /* its group is NULL unless the listener serves */
    struct mw_resource resource;
    struct mw_task *acceptor;   /* waits in accept */
    struct mw_addr peer;        /* of the connection that waits to be taken */
    int fd;                     /* that connection, or -1 */
    int self;                   /* registry reference; serve only */
    struct mw_http_server *http; /* gets the connections; NULL: the handler does */
    struct mw_list deferred;    /* connections that have not spoken yet */
    bool defers;
    struct mw_tls_settings *tls; /* NULL: connections are in clear */
    struct mw_entrance entrance;
    bool enters;                 /* its connections go through the entrance */
    struct mw_list newcomers;    /* connections on their way in */
    struct mw_list entered;      /* those that are through, and wait for accept */
    struct mw_tls_refusals refusals;
};

/* A connection that came, and is through whatever lies before, meets its handler. */
void mw_l_listener_serve(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer);

/* Keeps the connection without a task until its first bytes are there. */
void mw_l_listener_defer(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer);

/* Closes the connections that have not spoken yet. */
void mw_l_listener_forget_deferred(struct mw_l_listener *listener);

/* Before its first connection: what the entrance does that has TLS, or proxies, by now. */
void mw_l_listener_prepare_entrance(struct mw_l_listener *listener);

/* A connection enters; only after it was prepared. */
void mw_l_listener_enter(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer);

/* The next connection that is through and waits for accept; NULL: none. */
struct mw_stream *mw_l_listener_take_entered(struct mw_l_listener *listener, struct mw_addr *peer);

/* Closes the connections that are on their way in. */
void mw_l_listener_forget_newcomers(struct mw_l_listener *listener);

#endif
