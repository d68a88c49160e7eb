/* A service as the daemon knows it: one generation of it, in a Lua state of its
 * own. The script's functions are registered once it has started; from then on the
 * daemon hands it connections, and the state of its predecessor. */
#ifndef MW_SCRIPT_SERVICE_H
#define MW_SCRIPT_SERVICE_H

#include "base/addr.h"
#include "base/text.h"
#include "script/l_http.h"
#include "script/state.h"

enum { MW_SERVICE_DOOR = 16 }; /* bytes of a door's name, with its end */

/* Who serves the connections of some listeners: those whose door has this name. */
struct mw_service_door {
    char name[MW_SERVICE_DOOR];  /* empty: of the listeners that name none */
    struct mw_l_handler connect; /* its context is the script's ctx */
    struct mw_http_server *http; /* gets the connections where requests are answered; NULL: `connect` does */
    bool defers;                 /* a connection has no task until its first bytes */
};

/* Embedded by its owner, who has zeroed it and set the events. */
struct mw_service {
    struct mw_state *state;
    struct mw_service_door door; /* without a name */
    struct mw_service_door *doors; /* those with one; `door_count` */
    size_t door_count;
    int resume, handoff, adopt;  /* registry references of the other functions, LUA_NOREF: none */
    bool is_ready, is_serving;
    struct mw_tls_settings *tls; /* what the config says of TLS, for connections that begin it in mid-stream; NULL: nothing */
    double drain;                /* seconds that stop and what is left may take */
    int *datagrams;              /* bound sockets, its own, until the script takes them; `datagram_count` */
    size_t datagram_count;
    /* It has started, and could serve. Or it could not: `message` says why. */
    void (*on_ready)(struct mw_service *service);
    void (*on_failed)(struct mw_service *service, const char *message);
    /* Its main task has ended, and every other: the state may be freed (not within the call). */
    void (*on_ended)(struct mw_service *service);
    /* The answer to an operator's request, as JSON. */
    void (*on_answer)(struct mw_service *service, int64_t id, const char *text, size_t size);
};

/* Begins: the module `main` runs in the main task with the table on top of the stack of the
 * state, which is popped. False when memory is out: on_failed was not called. */
bool mw_service_start(struct mw_service *service, struct mw_state *state);

/* The main task has died, of what its own code could not catch. */
void mw_service_failed(struct mw_service *service, const char *message);

/* New connections will come from now on: the script opens its datagram sockets. */
void mw_service_serve(struct mw_service *service);

/* The door of that name, or NULL. */
struct mw_service_door *mw_service_door_of(struct mw_service *service, const char *name);

/* The server of the same door in the service that follows on that of `sched`, or NULL. */
struct mw_http_server *mw_service_next_http(const struct mw_sched *sched, const struct mw_http_server *server);

/* A task for the connection, to be set going with two arguments; NULL: it is the HTTP server's, or closed because memory is
 * out. `secure`: it came by TLS. */
struct mw_task *mw_service_accept(struct mw_service_door *door, struct mw_stream *transport, const struct mw_addr *peer,
                                  bool secure);

/* What the service hands to its successor: appended to `data`. False with the reason in `message`. */
bool mw_service_handoff(struct mw_service *service, struct mw_text *data, char *message, size_t size);

/* The successor takes it, before its first connection. False with the reason in `message`. */
bool mw_service_adopt(struct mw_service *service, const struct mw_text *data, char *message, size_t size);

/* Nothing is accepted any more: `stop` is called, connections have the drain time to end, then all ends. */
void mw_service_stop(struct mw_service *service, double drain);

/* Frees the state, whatever still runs in it. Nothing is called any more. */
void mw_service_free(struct mw_service *service);

/* Adds the field `service` to the table on top of the stack. */
void mw_l_service_open(lua_State *L);

#endif
