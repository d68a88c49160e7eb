/* The inside of a listener, for the files that are its verbs. */
#ifndef MW_SCRIPT_L_LISTENER_INTERNAL_H
#define MW_SCRIPT_L_LISTENER_INTERNAL_H

#include "net/listener.h"
#include "script/l_handler.h"
#include "script/l_http.h"
#include "script/l_listener.h"

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
};

/* Keeps the connection without a task until its first bytes are there. */
void mw_l_listener_defer(struct mw_l_listener *listener, struct mw_stream *transport, const struct mw_addr *peer);

/* Closes the connections that have not spoken yet. */
void mw_l_listener_forget_deferred(struct mw_l_listener *listener);

#endif
