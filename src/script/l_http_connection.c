/* The life of a connection between its requests. */
#include "script/l_http_internal.h"

#include "script/task_internal.h"

#include <stdlib.h>

enum { REQUESTS_AT_ONCE = 64 }; /* of one connection in a turn of the loop: others want to be served too */

static struct mw_timers *timers_of(const struct mw_http_connection *connection) {
    return mw_loop_timers(connection->server->handler.sched->loop);
}

/* --- belonging to a server --- */

static void leave(struct mw_http_connection *connection) {
    struct mw_http_server *server = connection->server;
    if (server->handler.sched->http_served == connection) {
        server->handler.sched->http_served = NULL;
    }
    mw_list_remove(&connection->node);
    connection->is_awake = false;
    server->count--;
    mw_l_handler_count_left(server->handler.sched);
}

static void enter(struct mw_http_connection *connection, struct mw_http_server *server) {
    connection->server = server;
    mw_list_append(&server->connections, &connection->node);
    server->count++;
    server->handler.sched->connections++;
}

void mw_http_connection_free(struct mw_http_connection *connection) {
    struct mw_http_server *server = connection->server;
    leave(connection);
    mw_timer_remove(timers_of(connection), &connection->timer);
    free(connection->head);
    free(connection);
    if (server->closing && server->count == 0) {
        mw_http_server_close(server);
    }
}

void mw_http_connection_end(struct mw_http_connection *connection, double linger) {
    struct mw_stream *transport = connection->transport;
    mw_http_connection_free(connection);
    mw_stream_close(transport, linger);
}

void mw_http_connection_wake(struct mw_http_connection *connection) {
    struct mw_http_server *server = connection->server;
    if (connection->is_awake) {
        return;
    }
    connection->is_awake = true;
    mw_list_remove(&connection->node);
    mw_list_append(&server->awake, &connection->node);
    if (!server->work.loop) {
        mw_loop_add_work(server->handler.sched->loop, &server->work);
    }
    mw_loop_wake(server->handler.sched->loop);
}

void mw_http_connection_pass(struct mw_http_connection *connection, struct mw_http_server *to) {
    leave(connection);
    enter(connection, to);
    mw_stream_set_marks(connection->transport, &to->handler.profile->marks);
    to->handler.sched->came++;
    mw_http_connection_wake(connection);
}

/* --- limits of time --- */

static void limit(struct mw_http_connection *connection, double seconds) {
    double due = mw_loop_now(connection->server->handler.sched->loop) + seconds;
    if (!mw_timer_set(timers_of(connection), &connection->timer, due)) {
        mw_timer_clear(&connection->timer); /* memory is out: it has no limit for once */
    }
}

/* A head that does not come to its end is answered, silence is not. */
static void on_due(struct mw_timer *timer) {
    struct mw_http_connection *connection = mw_list_owner(timer, struct mw_http_connection, timer);
    if (!connection->transport) {
        return;
    }
    if (connection->head && connection->head->parser.scanned) {
        mw_http_refuse(connection, 408, "the head did not come in time");
    } else {
        mw_http_connection_end(connection, 0);
    }
}

/* --- what comes --- */

static void await_more(struct mw_http_connection *connection, size_t unread) {
    mw_stream_await_input(connection->transport, unread + 1);
}

/* The head is not complete. The state of its parser is kept apart: most heads come in one piece. */
static bool keep_head(struct mw_http_connection *connection, const struct mw_http1_head *head, size_t unread) {
    if (!connection->head) {
        connection->head = malloc(sizeof *head);
        if (!connection->head) {
            mw_http_connection_end(connection, 0);
            return false;
        }
        limit(connection, connection->server->rules.head_timeout);
    }
    *connection->head = *head;
    await_more(connection, unread);
    return true;
}

/* The rest of a body that its handler has left. True: it is all here, and off the unread bytes. */
static bool skip(struct mw_http_connection *connection) {
    size_t size;
    mw_stream_unread(connection->transport, &size);
    size_t part = size < connection->skips ? size : connection->skips;
    if (part) {
        mw_stream_take(connection->transport, part);
        connection->skips -= (uint32_t)part;
    }
    return connection->skips == 0;
}

/* Nothing more will come. */
static bool is_over(const struct mw_http_connection *connection) {
    return mw_stream_at_end(connection->transport) || mw_stream_input_fault(connection->transport);
}

/* What a look at a connection has come to. */
enum outcome { NOTHING_NOW, ANSWERED, GONE };

/* The end of the connection, or nothing more yet. */
static enum outcome rest(struct mw_http_connection *connection) {
    if (!is_over(connection)) {
        return NOTHING_NOW;
    }
    mw_http_connection_end(connection, MW_HTTP_LINGER);
    return GONE;
}

/* The task of the request may have answered it already, and more. */
static enum outcome start(struct mw_http_connection *connection, const struct mw_http1_head *head) {
    struct mw_sched *sched = connection->server->handler.sched;
    sched->http_served = connection;
    mw_http_exchange_start(connection, head);
    if (sched->http_served != connection) {
        return GONE;
    }
    sched->http_served = NULL;
    return connection->transport ? ANSWERED : NOTHING_NOW;
}

/* A request that can be served. CONNECT asks for a tunnel: nobody here makes one, and behind an answer of success the
 * bytes of the client would be requests to us and anything else to who stands before us. */
static enum mw_http1_result parse(const struct mw_http_connection *connection, struct mw_http1_head *head,
                                  const char *bytes, size_t size) {
    enum mw_http1_result result = mw_http1_parse_request(head, bytes, size, &connection->server->rules.head);
    bool asks_for_tunnel = head->host.size && head->host.at == head->target.at;
    if (result == MW_HTTP1_DONE && asks_for_tunnel) {
        head->refusal = 501;
        head->why = "CONNECT: there are no tunnels here";
        return MW_HTTP1_BAD;
    }
    return result;
}

/* One look at what is unread. */
static enum outcome serve_one(struct mw_http_connection *connection) {
    struct mw_http1_head fresh, *head = connection->head;
    size_t size = 0;
    const char *bytes = skip(connection) ? mw_stream_unread(connection->transport, &size) : NULL;
    if (size == 0) {
        return rest(connection);
    }
    if (!head) {
        fresh = (struct mw_http1_head){.size = 0};
        head = &fresh;
    }
    enum mw_http1_result result = parse(connection, head, bytes, size);
    if (result == MW_HTTP1_DONE) {
        return start(connection, head);
    }
    if (result == MW_HTTP1_BAD) {
        mw_http_refuse(connection, head->refusal, head->why);
        return GONE;
    }
    enum outcome outcome = rest(connection);
    return outcome == NOTHING_NOW && !keep_head(connection, head, size) ? GONE : outcome;
}

bool mw_http_connection_look(struct mw_http_connection *connection, struct mw_http1_head *head) {
    struct mw_stream *transport = connection->transport;
    size_t size;
    const char *bytes = mw_stream_unread(transport, &size);
    if (size == 0 || connection->skips || mw_stream_pending(transport) > mw_stream_marks(transport)->high) {
        return false;
    }
    *head = (struct mw_http1_head){.size = 0};
    return parse(connection, head, bytes, size) == MW_HTTP1_DONE;
}

/* A peer that does not read its answers has no more requests served. */
static bool is_choked(struct mw_http_connection *connection) {
    struct mw_stream *transport = connection->transport;
    const struct mw_stream_marks *marks = mw_stream_marks(transport);
    if (mw_stream_pending(transport) <= marks->high || mw_stream_flush(transport) ||
        mw_stream_pending(transport) <= marks->high) {
        return false;
    }
    mw_stream_await_output(transport, marks->low);
    return true;
}

void mw_http_connection_serve(struct mw_http_connection *connection) {
    for (int count = 0; count < REQUESTS_AT_ONCE; count++) {
        if (is_choked(connection) || serve_one(connection) != ANSWERED) {
            return;
        }
    }
    mw_http_connection_wake(connection);
}

static void on_readable(void *owner) {
    mw_http_connection_serve(owner);
}

static const struct mw_stream_events events = {.on_readable = on_readable, .on_writable = on_readable};

/* --- to a request and back --- */

void mw_http_connection_lend(struct mw_http_connection *connection, struct mw_http_request *request) {
    connection->request = request;
    connection->transport = NULL;
    connection->requests++;
    if (connection->head) {
        free(connection->head);
        connection->head = NULL;
    }
}

void mw_http_connection_rest(struct mw_http_connection *connection, struct mw_stream *transport) {
    connection->request = NULL;
    connection->transport = transport;
    mw_stream_set_owner(transport, &events, connection);
    limit(connection, connection->server->rules.keep_alive);
    if (connection->server->handler.sched->http_served != connection) {
        mw_http_connection_wake(connection);
    }
}

void mw_http_accept(struct mw_http_server *server, struct mw_stream *transport, const struct mw_addr *peer, bool secure) {
    struct mw_http_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        mw_stream_close(transport, 0);
        return;
    }
    connection->transport = transport;
    connection->secure = secure;
    mw_endpoint_pack(&connection->peer, peer);
    mw_timer_init(&connection->timer, on_due);
    enter(connection, server);
    mw_stream_set_marks(transport, &server->handler.profile->marks);
    mw_stream_set_owner(transport, &events, connection);
    limit(connection, server->rules.head_timeout);
    size_t unread;
    mw_stream_unread(transport, &unread);
    if (unread || is_over(connection)) {
        mw_http_connection_wake(connection);
    }
}

bool mw_http_dismiss(struct mw_stream *transport) {
    struct mw_http_connection *connection = mw_stream_owner(transport, &events);
    if (!connection) {
        return false;
    }
    mw_http_connection_end(connection, 0);
    return true;
}
