/* The inside of the HTTP server, for the files that are its parts: connections, requests, responses. */
#ifndef MW_SCRIPT_L_HTTP_INTERNAL_H
#define MW_SCRIPT_L_HTTP_INTERNAL_H

#include "script/l_http.h"
#include "script/l_http_body.h"

struct mw_http_server {
    struct mw_l_handler handler;
    struct mw_http_rules rules;
    struct mw_list connections; /* that rest, or have a request in progress */
    struct mw_list awake;       /* that have to be looked at once more in this turn of the loop */
    struct mw_work work;        /* looks at them */
    struct mw_resource resource; /* closes with the state */
    size_t count;               /* connections */
    int entry; /* what the tasks of requests run: in the registry, see mw_http_exchange_push_entry */
    bool closing;
};

/* A connection. Between requests this and the stream are all there is of it. */
struct mw_http_connection {
    struct mw_list node; /* in server->connections or server->awake */
    struct mw_http_server *server;
    struct mw_stream *transport;     /* NULL while a request has it */
    struct mw_http_request *request; /* in progress; NULL: none */
    struct mw_http1_head *head;      /* parsed in part; NULL: nothing has come of the next one */
    struct mw_endpoint peer;
    struct mw_timer timer;
    uint64_t requests; /* so far */
    uint32_t skips;    /* bytes of a body that nobody wanted to read are still to come */
    bool secure;
    bool is_awake;
};

/* What a response knows before and while it is sent. */
enum mw_http_phase { MW_HTTP_FRESH, MW_HTTP_STREAMING, MW_HTTP_FINISHED };

struct mw_http_response {
    const void *type;
    struct mw_http_request *request; /* NULL: it is over */
    struct mw_text fields;           /* lines for the head */
    uint64_t length;                 /* of the body, if the script has said */
    uint64_t sent;                   /* bytes of the body so far */
    uint16_t status;
    uint8_t phase;                   /* enum mw_http_phase */
    uint8_t framing;                 /* enum mw_http1_framing */
    bool has_length, has_type, has_date; /* fields that the script has set */
    bool closes;                     /* the connection ends behind it */
    bool failed;                     /* it cannot be completed any more: the connection is cut */
};

/* A request in progress, and what scripts hold of one that is over. */
struct mw_http_request {
    struct mw_l_http_body body;             /* first, see there */
    struct mw_l_stream stream;              /* the connection while the request has it */
    struct mw_http_connection *connection;  /* NULL: it is over */
    struct mw_http_response *response;
    struct mw_task *task;
    struct mw_endpoint peer;
    double begun; /* the loop's clock */
    uint64_t id;  /* 0: not made yet */
    bool secure, is_head;
    struct mw_http1_head head;
    char bytes[]; /* of the head */
};

/* --- l_http_connection.c --- */

/* Looks at what has come, and starts requests, until there is nothing more to do now. May free the connection. */
void mw_http_connection_serve(struct mw_http_connection *connection);

/* Whether a whole head is there already for the next request: then it is in `head`. */
bool mw_http_connection_look(struct mw_http_connection *connection, struct mw_http1_head *head);

/* A request of the connection begins: it gives its transport to it. */
void mw_http_connection_lend(struct mw_http_connection *connection, struct mw_http_request *request);

/* The request is over and the transport back. Looks for the next one soon. */
void mw_http_connection_rest(struct mw_http_connection *connection, struct mw_stream *transport);

#define MW_HTTP_LINGER 30.0 /* seconds that queued output may take to leave */

/* Takes it out of its server and frees it; the transport is the caller's to close. */
void mw_http_connection_free(struct mw_http_connection *connection);

/* Looks at it again before the loop sleeps. */
void mw_http_connection_wake(struct mw_http_connection *connection);

/* Closes the transport of a connection that has it, and frees the connection. */
void mw_http_connection_end(struct mw_http_connection *connection, double linger);

/* Gives it to another server, resting or between two requests. */
void mw_http_connection_pass(struct mw_http_connection *connection, struct mw_http_server *to);

/* --- l_http_exchange.c --- */

/* Pushes the function that tasks of requests run, with the handler and what else each request needs as its upvalues. */
void mw_http_exchange_push_entry(lua_State *L, const struct mw_l_handler *handler);

/* Starts a task for the request whose head is at the front of the unread bytes. The connection may be at rest again
 * when this returns, or gone: then it is not sched->http_served any more. */
void mw_http_exchange_start(struct mw_http_connection *connection, const struct mw_http1_head *head);

/* Answers without the script, and ends the connection. */
void mw_http_refuse(struct mw_http_connection *connection, int status, const char *why);

/* The server is closed in mid-request. */
void mw_http_exchange_abort(struct mw_http_request *request);

/* The handler of a request has returned. The connection, when it rests and is still of this server; NULL: it is gone. */
struct mw_http_connection *mw_http_exchange_end(struct mw_http_request *request, struct mw_task *task);

/* The request of `task` ends otherwise. `ok`: its handler has returned. */
void mw_http_exchange_left(struct mw_l_stream *stream, struct mw_task *task, bool ok);

/* Whether the connection may go on after this exchange, as things are. */
bool mw_http_goes_on(const struct mw_http_request *request);

/* --- l_http_request.c --- */

/* `type`: the index of the metatable. */
struct mw_http_request *mw_http_request_push(lua_State *L, struct mw_http_connection *connection,
                                             const struct mw_http1_head *head, const char *bytes, int type);
struct mw_http_request *mw_http_request_check(lua_State *L, int index);
uint64_t mw_http_request_id(struct mw_http_request *request);
void mw_http_request_open(lua_State *L);

/* --- l_http_response.c --- */

extern const char mw_http_request_type[], mw_http_response_type[];
struct mw_http_response *mw_http_response_push(lua_State *L, struct mw_http_request *request, int type); /* as above */
struct mw_http_response *mw_http_response_test(lua_State *L, int index); /* NULL: it is none */
struct mw_http_response *mw_http_response_check(lua_State *L);
void mw_http_response_open(lua_State *L);

/* Queues the head and a first piece of the body. 0 or errno. */
int mw_http_response_begin(struct mw_http_response *response, const char *bytes, size_t size, bool is_all);

/* Queues a piece of the body, with the head before the first one. 0 or errno; EMSGSIZE: more than was announced. */
int mw_http_response_piece(struct mw_http_response *response, const char *bytes, size_t size);

/* Completes a response that was begun and streams. 0 or errno. */
int mw_http_response_complete(struct mw_http_response *response, const char *trailer, size_t size);

/* Frees what it has; its methods answer "closed" from now on. */
void mw_http_response_close(struct mw_http_response *response);

/* Methods in files of their own. */
int mw_http_response_header(lua_State *L);
int mw_http_response_add_header(lua_State *L);
int mw_http_response_send(lua_State *L);
int mw_http_response_write(lua_State *L);
int mw_http_response_flush(lua_State *L);
int mw_http_response_finish(lua_State *L);
int mw_http_response_send_file(lua_State *L);
int mw_http_response_upgrade(lua_State *L);

/* begin_fields(response, lines) → whether they are the first fields of a head to come. Ours, not a script's: nobody checks
 * the lines, and one of them is Content-Type. */
int mw_http_begin_fields(lua_State *L);

/* Checks name and value for a field line and appends it; raises for what cannot be sent. */
void mw_http_fields_add(lua_State *L, struct mw_text *fields, int name, int value);

/* --- l_http_log.c --- */
void mw_http_log_access(struct mw_http_request *request, const struct mw_http_response *response);

#endif
