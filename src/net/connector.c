#include "net/connector.h"

#include "base/list.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds until a Unix socket whose backlog is full is asked again: no event
 * tells when there is room. */
static const double BUSY_DELAY = 0.01;

const struct mw_connector_options mw_connector_default_options = {
    .timeout = 10,
    .attempt_delay = 0.25,
    .nodelay = true,
};

/* One address; the descriptor is -1 unless the attempt is under way. */
struct attempt {
    ev_io io;
    struct mw_addr addr;
};

enum outcome { FAILED, UNDER_WAY, CONNECTED, BUSY };

/* How much a failure tells: nothing yet, no way there, an answer, want of our own. */
enum weight { SILENT, NO_WAY, ANSWERED, EXHAUSTED };

struct mw_connector {
    struct mw_loop *loop;
    struct mw_resolver *resolver;
    struct mw_connector_options options;
    mw_connect_callback *callback;
    void *context;
    struct mw_timer step, deadline;
    struct mw_lookup *lookup; /* NULL unless the name is being looked up */
    struct attempt *attempts; /* NULL until the addresses are known */
    size_t count, next, open; /* attempts: all, the first not started, those under way */
    enum weight weight;       /* of the fault */
    struct mw_fault fault;
};

static void close_attempt(struct mw_connector *connector, struct attempt *attempt) {
    ev_io_stop(mw_loop_ev(connector->loop), &attempt->io);
    close(attempt->io.fd);
    ev_io_set(&attempt->io, -1, 0);
    connector->open--;
}

void mw_connector_cancel(struct mw_connector *connector) {
    struct mw_timers *timers = mw_loop_timers(connector->loop);
    mw_timer_remove(timers, &connector->step);
    mw_timer_remove(timers, &connector->deadline);
    if (connector->lookup) {
        mw_lookup_cancel(connector->lookup);
    }
    for (size_t i = 0; i < connector->next; i++) {
        if (connector->attempts[i].io.fd >= 0) {
            close_attempt(connector, &connector->attempts[i]);
        }
    }
    free(connector->attempts);
    free(connector);
}

static void fail(struct mw_connector *connector, const struct mw_fault *fault) {
    mw_connect_callback *callback = connector->callback;
    void *context = connector->context;
    struct mw_fault kept = *fault;
    mw_connector_cancel(connector);
    callback(context, -1, NULL, &kept);
}

/* For what is wrong before any address was tried. */
static void fail_early(struct mw_connector *connector, const char *why) {
    const struct mw_address *target = &connector->options.target;
    struct mw_fault fault;
    bool bracketed = strchr(target->host, ':');
    mw_fault_format(&fault, "invalid", "connect %s%s%s:%u: %s", bracketed ? "[" : "", target->host,
                    bracketed ? "]" : "", target->port, why);
    fail(connector, &fault);
}

static void fail_memory(struct mw_connector *connector) {
    struct mw_fault fault;
    mw_fault_set(&fault, ENOMEM, "connect", connector->options.target.host);
    fail(connector, &fault);
}

static void succeed(struct mw_connector *connector, int fd, const struct mw_addr *peer) {
    mw_connect_callback *callback = connector->callback;
    void *context = connector->context;
    struct mw_addr kept = *peer;
    mw_connector_cancel(connector);
    callback(context, fd, &kept, NULL);
}

static enum weight weigh(int error) {
    switch (error) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return NO_WAY;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return EXHAUSTED;
    default:
        return ANSWERED;
    }
}

/* Keeps the failure if it tells more than those before. */
static void note(struct mw_connector *connector, int error, const char *operation,
                 const struct mw_addr *addr) {
    enum weight weight = weigh(error);
    if (weight > connector->weight) {
        char text[MW_ADDR_TEXT];
        connector->weight = weight;
        mw_fault_set(&connector->fault, error, operation, mw_addr_format(addr, text));
    }
}

static bool later(struct mw_connector *connector, double seconds) {
    double now = mw_loop_now(connector->loop);
    return mw_timer_set(mw_loop_timers(connector->loop), &connector->step, now + seconds);
}

/* --- one attempt --- */

static void enable(int fd, int level, int option) {
    int on = 1;
    (void)setsockopt(fd, level, option, &on, sizeof on);
}

/* Without a port the kernel chooses one only in connect, by both ends, so that
 * its range lasts for as many connections to each peer. With a port, one that
 * an earlier connection has just left is free again. */
static int bind_local(int fd, const struct mw_addr *local) {
    if (local->any.sa_family == AF_INET || local->any.sa_family == AF_INET6) {
        if (local->v4.sin_port == 0) {
            enable(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
        } else {
            enable(fd, SOL_SOCKET, SO_REUSEADDR);
        }
    }
    return bind(fd, &local->any, local->length);
}

/* A socket ready to connect; -1, noted, when there is none. */
static int open_socket(struct mw_connector *connector, const struct mw_addr *addr) {
    const struct mw_connector_options *options = &connector->options;
    int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        note(connector, errno, "connect", addr);
        return -1;
    }
    if (options->nodelay && addr->any.sa_family != AF_UNIX) {
        enable(fd, IPPROTO_TCP, TCP_NODELAY);
    }
    if (options->keepalive && addr->any.sa_family != AF_UNIX) {
        enable(fd, SOL_SOCKET, SO_KEEPALIVE);
    }
    if (options->local.length > 0 && bind_local(fd, &options->local) < 0) {
        note(connector, errno, "bind", &options->local);
        close(fd);
        return -1;
    }
    return fd;
}

static enum outcome start_attempt(struct mw_connector *connector, struct attempt *attempt) {
    int fd = open_socket(connector, &attempt->addr);
    if (fd < 0) {
        return FAILED;
    }
    int error = connect(fd, &attempt->addr.any, attempt->addr.length) < 0 ? errno : 0;
    if (error == 0 || error == EINPROGRESS || error == EINTR) {
        ev_io_set(&attempt->io, fd, EV_WRITE);
        ev_io_start(mw_loop_ev(connector->loop), &attempt->io);
        connector->open++;
        return error == 0 ? CONNECTED : UNDER_WAY;
    }
    close(fd);
    if (error == EAGAIN && attempt->addr.any.sa_family == AF_UNIX) {
        return BUSY;
    }
    note(connector, error, "connect", &attempt->addr);
    return FAILED;
}

/* A connection of the socket to itself: TCP makes one when nobody listens on a
 * port of the local host and the kernel chose that port for our end. */
static bool leads_to_itself(int fd, const struct mw_addr *peer) {
    struct mw_addr own = {.length = sizeof own.storage};
    if (peer->any.sa_family == AF_UNIX || getsockname(fd, &own.any, &own.length) < 0) {
        return false;
    }
    if (own.v4.sin_port != peer->v4.sin_port) {
        return false;
    }
    return own.any.sa_family == AF_INET ? own.v4.sin_addr.s_addr == peer->v4.sin_addr.s_addr
                                        : IN6_ARE_ADDR_EQUAL(&own.v6.sin6_addr, &peer->v6.sin6_addr);
}

/* How the attempt ended: 0 or errno. */
static int read_outcome(const struct attempt *attempt) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(attempt->io.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        return errno;
    }
    return error == 0 && leads_to_itself(attempt->io.fd, &attempt->addr) ? ECONNREFUSED : error;
}

/* --- all attempts --- */

static void keep_attempt(struct mw_connector *connector, struct attempt *attempt) {
    int fd = attempt->io.fd;
    ev_io_stop(mw_loop_ev(connector->loop), &attempt->io);
    ev_io_set(&attempt->io, -1, 0);
    succeed(connector, fd, &attempt->addr);
}

/* Starts the next attempt that does not fail at once; when no attempt is left
 * the connector has failed. May end the connector. */
static void go_on(struct mw_connector *connector) {
    mw_timer_clear(&connector->step);
    while (connector->next < connector->count) {
        struct attempt *attempt = &connector->attempts[connector->next];
        enum outcome outcome = start_attempt(connector, attempt);
        if (outcome == BUSY) {
            if (later(connector, BUSY_DELAY)) {
                return;
            }
            note(connector, ENOMEM, "connect", &attempt->addr);
        }
        connector->next++;
        if (outcome == CONNECTED) {
            keep_attempt(connector, attempt);
            return;
        }
        bool last = connector->next == connector->count;
        /* Without memory for the timer the next attempt does not wait for it. */
        if (outcome == UNDER_WAY && (last || later(connector, connector->options.attempt_delay))) {
            return;
        }
    }
    if (connector->open == 0) {
        fail(connector, &connector->fault);
    }
}

static void on_writable(struct ev_loop *ev, ev_io *io, int events) {
    (void)ev;
    (void)events;
    struct attempt *attempt = mw_list_owner(io, struct attempt, io);
    struct mw_connector *connector = io->data;
    int error = read_outcome(attempt);
    if (error == 0) {
        keep_attempt(connector, attempt);
        return;
    }
    close_attempt(connector, attempt);
    note(connector, error, "connect", &attempt->addr);
    go_on(connector);
}

/* The first index from `from` on whose address is of the family or, if not `same`, is not. */
static size_t find_family(const struct mw_addr *list, size_t count, size_t from, sa_family_t family,
                          bool same) {
    while (from < count && (list[from].any.sa_family == family) != same) {
        from++;
    }
    return from;
}

/* Families by turns, in the order given otherwise. The first address stays the
 * first: the resolver puts IPv6 there wherever the host can use it. */
static void interleave(struct attempt *attempts, const struct mw_addr *list, size_t count) {
    sa_family_t family = list[0].any.sa_family;
    size_t same = 0;
    size_t other = find_family(list, count, 0, family, false);
    for (size_t i = 0; i < count; i++) {
        bool take_other = same == count || (i % 2 == 1 && other < count);
        if (take_other) {
            attempts[i].addr = list[other];
            other = find_family(list, count, other + 1, family, false);
        } else {
            attempts[i].addr = list[same];
            same = find_family(list, count, same + 1, family, true);
        }
    }
}

static void try_addresses(struct mw_connector *connector, const struct mw_addr *list, size_t count) {
    const struct mw_addr *local = &connector->options.local;
    if (local->length > 0 && local->any.sa_family != list[0].any.sa_family) {
        fail_early(connector, "the local address is of another family");
        return;
    }
    connector->attempts = calloc(count, sizeof *connector->attempts);
    if (!connector->attempts) {
        fail_memory(connector);
        return;
    }
    connector->count = count;
    interleave(connector->attempts, list, count);
    for (size_t i = 0; i < count; i++) {
        ev_io_init(&connector->attempts[i].io, on_writable, -1, 0);
        connector->attempts[i].io.data = connector;
    }
    go_on(connector);
}

static void on_addresses(void *context, const struct mw_addr *list, size_t count,
                         const struct mw_fault *fault) {
    struct mw_connector *connector = context;
    connector->lookup = NULL;
    if (fault) {
        fail(connector, fault);
    } else {
        try_addresses(connector, list, count);
    }
}

/* Only addresses that the local one can reach are asked for. */
static void look_up(struct mw_connector *connector) {
    const struct mw_address *target = &connector->options.target;
    const struct mw_addr *local = &connector->options.local;
    if (!connector->resolver) {
        fail_early(connector, "a name needs a resolver");
        return;
    }
    int family = local->length > 0 ? local->any.sa_family : AF_UNSPEC;
    connector->lookup = mw_resolver_addresses(connector->resolver, target->host, strlen(target->host),
                                              target->port, family, on_addresses, connector);
    if (!connector->lookup) {
        fail_memory(connector);
    }
}

static void begin(struct mw_connector *connector) {
    const struct mw_address *target = &connector->options.target;
    struct mw_addr addr;
    if (target->scheme == MW_SCHEME_UDP || target->scheme == MW_SCHEME_FD) {
        fail_early(connector, "only tcp, tls and unix can be connected to");
    } else if (target->host[0] == '\0' || strcmp(target->host, "*") == 0) {
        fail_early(connector, "name the host to connect to, as in 127.0.0.1:80");
    } else if (mw_addr_resolve(&addr, target)) {
        try_addresses(connector, &addr, 1);
    } else {
        look_up(connector);
    }
}

static void on_step(struct mw_timer *timer) {
    struct mw_connector *connector = mw_list_owner(timer, struct mw_connector, step);
    if (connector->attempts) {
        go_on(connector);
    } else {
        begin(connector);
    }
}

static void on_deadline(struct mw_timer *timer) {
    struct mw_connector *connector = mw_list_owner(timer, struct mw_connector, deadline);
    struct mw_fault fault;
    mw_fault_set(&fault, ETIMEDOUT, "connect", NULL);
    fail(connector, &fault);
}

/* Everything begins in the next tick, so that no failure can reach the caller
 * before it has the handle. */
struct mw_connector *mw_connector_start(struct mw_loop *loop, struct mw_resolver *resolver,
                                        const struct mw_connector_options *options,
                                        mw_connect_callback *callback, void *context) {
    struct mw_connector *connector = calloc(1, sizeof *connector);
    if (!connector) {
        return NULL;
    }
    connector->loop = loop;
    connector->resolver = resolver;
    connector->options = *options;
    connector->callback = callback;
    connector->context = context;
    mw_timer_init(&connector->step, on_step);
    mw_timer_init(&connector->deadline, on_deadline);
    double deadline = mw_loop_now(loop) + options->timeout;
    if (!mw_timer_set(mw_loop_timers(loop), &connector->deadline, deadline) || !later(connector, 0)) {
        mw_connector_cancel(connector);
        return NULL;
    }
    return connector;
}
