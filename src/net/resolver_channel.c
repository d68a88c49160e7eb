#include "net/resolver_channel.h"

#include "net/resolver_fault.h"
#include "net/resolver_name.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DNS_PORT = 53, SOCKETS_PER_SERVER = 2 };

static const double DEFAULT_TIMEOUT = 2, MOST_SECONDS = 3600, LOOK_EVERY = 1;
static const unsigned DEFAULT_TRIES = 2, MOST_TRIES = 100;

/* What tells one version of a file from another; all 0 when there is none. */
struct version {
    struct timespec modified;
    ino_t inode;
    off_t size;
};

struct mw_resolver_channel {
    ares_channel ares;
    struct mw_loop *loop;
    void (*on_progress)(void *context);
    void *context;
    ev_timer timer;
    struct mw_resolver_options options;
    char *servers, *resolv_conf; /* what the options point to; no servers: those of resolv.conf */
    struct version version;      /* of resolv.conf, when it was read */
    double looked;               /* when resolv.conf was last looked at */
    bool outdated;
    size_t sockets;
    ev_io *watchers; /* one for each socket that c-ares may open; fd -1 when free */
};

static struct version look_at(const char *path) {
    struct stat file;
    if (stat(path, &file) < 0) {
        return (struct version){.inode = 0};
    }
    return (struct version){file.st_mtim, file.st_ino, file.st_size};
}

static bool same_version(const struct version *one, const struct version *other) {
    return one->modified.tv_sec == other->modified.tv_sec &&
           one->modified.tv_nsec == other->modified.tv_nsec && one->inode == other->inode &&
           one->size == other->size;
}

bool mw_resolver_channel_outdated(struct mw_resolver_channel *channel) {
    double now = mw_loop_now(channel->loop);
    if (now - channel->looked >= LOOK_EVERY) {
        struct version version = look_at(channel->resolv_conf);
        channel->outdated = !same_version(&version, &channel->version);
        channel->looked = now;
    }
    return channel->outdated;
}

static void on_ready(struct ev_loop *ev, ev_io *io, int events) {
    (void)ev;
    struct mw_resolver_channel *channel = io->data;
    ares_process_fd(channel->ares, events & EV_READ ? io->fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? io->fd : ARES_SOCKET_BAD);
    channel->on_progress(channel->context);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events) {
    (void)ev;
    (void)events;
    struct mw_resolver_channel *channel = timer->data;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    channel->on_progress(channel->context);
}

static ev_io *find_watcher(struct mw_resolver_channel *channel, int fd) {
    for (size_t i = 0; i < channel->sockets; i++) {
        if (channel->watchers[i].fd == fd) {
            return &channel->watchers[i];
        }
    }
    return NULL;
}

/* c-ares tells what it wants to know of a socket; nothing, before it closes it.
 * It has at most one socket for UDP and one for TCP a server. */
static void on_socket(void *context, ares_socket_t fd, int readable, int writable) {
    struct mw_resolver_channel *channel = context;
    struct ev_loop *ev = mw_loop_ev(channel->loop);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    ev_io *io = find_watcher(channel, fd);
    if (!io && events) {
        io = find_watcher(channel, -1);
    }
    if (!io) {
        return;
    }
    ev_io_stop(ev, io);
    ev_io_set(io, events ? fd : -1, events);
    if (events) {
        ev_io_start(ev, io);
    }
}

static bool make_watchers(struct mw_resolver_channel *channel) {
    struct ares_addr_port_node *servers;
    if (ares_get_servers_ports(channel->ares, &servers) != ARES_SUCCESS) {
        return false;
    }
    for (struct ares_addr_port_node *server = servers; server; server = server->next) {
        channel->sockets += SOCKETS_PER_SERVER;
    }
    ares_free_data(servers);
    channel->watchers = calloc(channel->sockets, sizeof *channel->watchers);
    if (!channel->watchers) {
        return false;
    }
    for (size_t i = 0; i < channel->sockets; i++) {
        ev_io_init(&channel->watchers[i], on_ready, -1, 0);
        channel->watchers[i].data = channel;
    }
    return true;
}

/* "10.0.0.1", "10.0.0.1:53", "::1" or "[::1]:53". */
static bool parse_server(struct ares_addr_port_node *server, const char *text, size_t length) {
    struct mw_addr addr;
    if (!mw_name_numeric(&addr, text, length, DNS_PORT)) {
        struct mw_address address;
        const char *why;
        if (!mw_address_parse(&address, text, length, &why) || address.scheme != MW_SCHEME_TCP ||
            !mw_name_numeric(&addr, address.host, strlen(address.host), address.port)) {
            return false;
        }
    }
    server->family = addr.any.sa_family;
    if (server->family == AF_INET) {
        server->addr.addr4 = addr.v4.sin_addr;
    } else {
        memcpy(&server->addr.addr6, &addr.v6.sin6_addr, sizeof server->addr.addr6);
    }
    server->udp_port = server->tcp_port = ntohs(addr.v4.sin_port);
    return server->udp_port != 0;
}

static int set_servers(ares_channel ares, const char *list) {
    struct ares_addr_port_node servers[MW_SERVERS_MAX];
    size_t count = 0;
    for (const char *text = list;; text++) {
        size_t length = strcspn(text, ",");
        if (count == MW_SERVERS_MAX || !parse_server(&servers[count], text, length)) {
            return ARES_EBADSTR;
        }
        servers[count].next = NULL;
        if (count > 0) {
            servers[count - 1].next = &servers[count];
        }
        count++;
        text += length;
        if (!*text) {
            return ares_set_servers_ports(ares, servers);
        }
    }
}

/* The hosts file comes first and then the servers, whatever nsswitch.conf says:
 * what it could name besides these needs modules of the C library. */
static int open_ares(struct mw_resolver_channel *channel) {
    const struct mw_resolver_options *options = &channel->options;
    double timeout = options->timeout > 0 ? fmin(options->timeout, MOST_SECONDS) : DEFAULT_TIMEOUT;
    unsigned tries = options->tries > 0 ? options->tries : DEFAULT_TRIES;
    char lookups[] = "fb";
    struct ares_options wanted = {
        .timeout = (int)ceil(timeout * 1000),
        .tries = (int)(tries < MOST_TRIES ? tries : MOST_TRIES),
        .lookups = lookups,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = channel,
        .resolvconf_path = channel->resolv_conf,
    };
    int mask =
        ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    int status = ares_init_options(&channel->ares, &wanted, mask);
    if (status != ARES_SUCCESS) {
        channel->ares = NULL;
        return status;
    }
    if (options->servers) {
        status = set_servers(channel->ares, options->servers);
    }
    return status == ARES_SUCCESS && !make_watchers(channel) ? ARES_ENOMEM : status;
}

static bool keep_string(char **copy, const char **option) {
    if (!*option) {
        return true;
    }
    *copy = strdup(*option);
    *option = *copy;
    return *copy != NULL;
}

static int open_channel(struct mw_resolver_channel *channel) {
    if (!channel->options.resolv_conf) {
        channel->options.resolv_conf = "/etc/resolv.conf";
    }
    if (!keep_string(&channel->servers, &channel->options.servers) ||
        !keep_string(&channel->resolv_conf, &channel->options.resolv_conf)) {
        return ARES_ENOMEM;
    }
    /* Looked at before it is read, so that a change in between is seen later. */
    channel->version = look_at(channel->resolv_conf);
    channel->looked = mw_loop_now(channel->loop);
    return open_ares(channel);
}

struct mw_resolver_channel *mw_resolver_channel_new(struct mw_loop *loop, const struct mw_resolver_options *options,
                                  void (*on_progress)(void *context), void *context, struct mw_fault *fault) {
    struct mw_resolver_channel *channel = calloc(1, sizeof *channel);
    if (!channel || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(channel);
        mw_resolver_explain_opening(fault, ARES_ENOMEM, options);
        return NULL;
    }
    channel->loop = loop;
    channel->on_progress = on_progress;
    channel->context = context;
    channel->options = *options;
    ev_timer_init(&channel->timer, on_timer, 0., 0.);
    /* After input: an answer that is there in a late tick does not time out. */
    ev_set_priority(&channel->timer, EV_MINPRI);
    channel->timer.data = channel;
    int status = open_channel(channel);
    if (status != ARES_SUCCESS) {
        mw_resolver_explain_opening(fault, status, &channel->options);
        mw_resolver_channel_free(channel);
        return NULL;
    }
    return channel;
}

struct mw_resolver_channel *mw_resolver_channel_new_again(const struct mw_resolver_channel *channel) {
    struct mw_fault fault;
    return mw_resolver_channel_new(channel->loop, &channel->options, channel->on_progress, channel->context, &fault);
}

void mw_resolver_channel_free(struct mw_resolver_channel *channel) {
    if (!channel) {
        return;
    }
    if (channel->ares) {
        ares_destroy(channel->ares);
    }
    ev_timer_stop(mw_loop_ev(channel->loop), &channel->timer);
    ares_library_cleanup();
    free(channel->watchers);
    free(channel->servers);
    free(channel->resolv_conf);
    free(channel);
}

ares_channel mw_resolver_channel_ares(const struct mw_resolver_channel *channel) {
    return channel->ares;
}

void mw_resolver_channel_arm(struct mw_resolver_channel *channel, bool soon) {
    struct ev_loop *ev = mw_loop_ev(channel->loop);
    struct timeval left = {0, 0};
    ev_timer_stop(ev, &channel->timer);
    if (soon || ares_timeout(channel->ares, NULL, &left)) {
        ev_timer_set(&channel->timer, (double)left.tv_sec + (double)left.tv_usec * 1e-6, 0.);
        ev_timer_start(ev, &channel->timer);
    }
}
