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
    bool has_standard; /* it is for the one connection that the process was started for: see l_standard.h */
};

/* Options of listeners at `index`, which may be nil; raises for what is wrong. */
struct mw_listener_options mw_l_listener_options(lua_State *L, int index);

/* Pushes a listener without a socket that is ready for connections by the options at `options`, as far as they tell of
 * these. `secure`: they come by TLS; `place` is for the log. Pushes nil, err, code and returns NULL on failure. */
struct mw_l_listener *mw_l_listener_prepare(lua_State *L, int options, const char *place, bool secure);

/* The listener on top of the stack belongs to the group, whose tasks run the function at that index with its
 * connections; options and a context stand behind the function. It is kept for as long as it is open. */
void mw_l_listener_give(lua_State *L, struct mw_l_listener *listener, struct mw_group *group, int function);

/* The function answers requests of connections instead. Raises when memory is out. */
void mw_l_listener_answer(lua_State *L, struct mw_l_listener *listener, const struct mw_http_rules *rules);

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
