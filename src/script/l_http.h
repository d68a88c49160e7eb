/* The HTTP server for scripts: connections that have neither task nor Lua value between requests, and a task of the
 * script's for each request (RFC 9112). */
#ifndef MW_SCRIPT_L_HTTP_H
#define MW_SCRIPT_L_HTTP_H

#include "proto/http1.h"
#include "script/l_handler.h"

/* Limits of the connections of one server. Seconds and bytes. */
struct mw_http_rules {
    struct mw_http1_limits head;
    uint64_t body;         /* of a request that a handler may read, unless it says otherwise; UINT64_MAX: no limit */
    double head_timeout;   /* from the first byte of a head to its last */
    double keep_alive;     /* between requests; 0: one request a connection */
    double body_rate;      /* bytes a second that a body must bring; 0: any */
    uint64_t requests;     /* on one connection; UINT64_MAX: no limit */
    bool access_log;
};

/* Who answers: a function of the script's with its settings. */
struct mw_http_server;

/* The keys of the options below. */
#define MW_HTTP_OPTIONS "head_max", "fields_max", "body_max", "head_timeout", "keep_alive", "body_rate", "requests_max", \
                        "access_log"

/* The rules that the table at `index` asks for; nil: the defaults. Raises for what is wrong. */
void mw_http_rules_read(lua_State *L, int index, struct mw_http_rules *rules);

/* A server on a handler whose function and context are registered; `handler` is copied, and the references are its
 * own from now on, one of the profile too. NULL when memory is out: they are the caller's still. */
struct mw_http_server *mw_http_server_new(const struct mw_l_handler *handler, const struct mw_http_rules *rules);

/* Nothing new is accepted: what rests is closed, requests in progress are the last ones of their connections; then the
 * server frees itself. */
void mw_http_server_close(struct mw_http_server *server);

/* Takes a connection, whose first request may be there already. `secure`: it came by TLS. */
void mw_http_accept(struct mw_http_server *server, struct mw_stream *transport, const struct mw_addr *peer, bool secure);

/* The group whose tasks answer from now on. */
void mw_http_server_set_group(struct mw_http_server *server, struct mw_group *group);

/* Gives at most `most` of the connections that rest to another server, or closes them (`to` NULL). Their number. */
size_t mw_http_move_some(struct mw_http_server *from, struct mw_http_server *to, size_t most);

/* Closes a connection that rests, from outside. False when the transport belongs to none that does. */
bool mw_http_dismiss(struct mw_stream *transport);

/* Adds the field `http` to the table on top of the stack, and registers the types. */
void mw_l_http_open(lua_State *L);

#endif
