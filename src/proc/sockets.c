#include "proc/sockets.h"

#include "base/list.h"
#include "base/log.h"
#include "net/dgram.h"
#include "net/listener.h"
#include "net/socket.h"
#include "proc/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = MW_SOCKET_TEXT + 128, BACKLOG = 4096 };

struct mw_sockets {
    struct mw_list sets;
    struct mw_sockets_keeper keeper;
    int workers;
    bool leaving;
    bool in_use; /* since the first was settled */
};

struct mw_socket_set {
    struct mw_list node;
    struct mw_sockets *sockets;
    unsigned holders;
    bool announced;
    bool kept; /* the keeper has them */
    bool lent; /* somebody else has opened them, and keeps them himself */
    bool more; /* were opened since it was settled */
    bool shared;   /* the first socket is everyone's */
    dev_t device;  /* of the Unix path, to remove only our own */
    ino_t inode;   /* 0: none was made */
    uint16_t port; /* in network order: where later sockets are bound when the first was bound to port 0 */
    char key[KEY];
    char text[MW_SOCKET_TEXT];
    struct mw_address address;
    int fds[]; /* of each worker; -1: none */
};

/* --- what the config says --- */

bool mw_listening_read(struct mw_listening *listening, const struct mw_value *entry, struct mw_fault *fault) {
    char kind[16];
    const char *why;
    *listening = (struct mw_listening){
        .backlog = (int)mw_value_integer(entry, "backlog", 0),
        .mode = (int)mw_value_integer(entry, "mode", -1),
        .v6_only = mw_value_boolean(entry, "v6_only", false),
        .no_delay = mw_value_boolean(entry, "nodelay", true),
        .keep_alive = mw_value_boolean(entry, "keepalive", false),
        .datagram = strcmp(mw_value_string(entry, "kind", kind, sizeof kind), "datagram") == 0,
    };
    mw_value_string(entry, "door", listening->door, sizeof listening->door);
    mw_value_string(entry, "address", listening->text, sizeof listening->text);
    if (mw_address_parse(&listening->address, listening->text, strlen(listening->text), &why)) {
        return true;
    }
    mw_fault_format(fault, "invalid", "listen %s: %s", listening->text, why);
    return false;
}

static bool has_port(const struct mw_address *address) {
    return address->scheme != MW_SCHEME_UNIX && address->scheme != MW_SCHEME_FD;
}

static void make_key(char key[KEY], const char *service, int place, const struct mw_listening *listening) {
    const struct mw_address *address = &listening->address;
    int length = snprintf(key, KEY, "%s%s %s:%d", listening->datagram ? "datagram" : "stream",
                          listening->v6_only ? " v6" : "", address->host,
                          address->scheme == MW_SCHEME_FD ? address->fd : address->port);
    if (has_port(address) && address->port == 0) {
        snprintf(key + length, KEY - (size_t)length, " %s %d", service, place);
    }
}

/* --- opening --- */

static bool shares_port(int fd) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &length) == 0 && value;
}

/* The address itself, with the port that is known by now. */
static struct mw_address address_now(const struct mw_socket_set *set) {
    struct mw_address address = set->address;
    if (has_port(&address) && set->port) {
        address.port = ntohs(set->port);
    }
    return address;
}

static int open_socket(const struct mw_socket_set *set, const struct mw_listening *listening, struct mw_fault *fault) {
    struct mw_address address = address_now(set);
    if (listening->datagram) {
        struct mw_dgram_options options = mw_dgram_defaults;
        options.reuse_port = !set->shared;
        options.v6_only = listening->v6_only;
        return mw_dgram_open(&address, &options, fault);
    }
    struct mw_listener_options options = mw_listener_defaults;
    options.reuse_port = !set->shared;
    options.backlog = listening->backlog;
    options.mode = listening->mode;
    options.v6_only = listening->v6_only;
    options.no_delay = listening->no_delay;
    options.keep_alive = listening->keep_alive;
    return mw_listener_open(&address, &options, fault);
}

static int first_descriptor(const struct mw_socket_set *set) {
    int fd = -1;
    for (int i = 0; fd < 0 && i < set->sockets->workers; i++) {
        fd = set->fds[i];
    }
    return fd;
}

/* A descriptor that the config names stays open for who gave it to us: the set has a duplicate. */
static int adopt_named(const struct mw_listening *listening, struct mw_fault *fault) {
    struct mw_address address = listening->address;
    address.fd = fcntl(listening->address.fd, F_DUPFD_CLOEXEC, 3);
    if (address.fd < 0) {
        mw_fault_format(fault, mw_fault_code(errno), "listen %s: %s", listening->text, strerror(errno));
        return -1;
    }
    int fd = listening->datagram ? mw_dgram_open(&address, &mw_dgram_defaults, fault)
                                 : mw_listener_open(&address, &mw_listener_defaults, fault);
    if (fd < 0) {
        close(address.fd);
    }
    return fd;
}

static bool open_shared(struct mw_socket_set *set, const struct mw_listening *listening, struct mw_fault *fault) {
    struct stat about;
    if (set->fds[0] >= 0) {
        return true;
    }
    set->fds[0] =
        set->address.scheme == MW_SCHEME_FD ? adopt_named(listening, fault) : open_socket(set, listening, fault);
    if (set->fds[0] >= 0 && set->address.scheme == MW_SCHEME_UNIX && stat(set->address.host, &about) == 0) {
        set->device = about.st_dev;
        set->inode = about.st_ino;
    }
    return set->fds[0] >= 0;
}

static void learn_port(struct mw_socket_set *set, int fd) {
    struct mw_addr local;
    if (has_port(&set->address)) {
        mw_socket_local(fd, &local);
        set->port = local.any.sa_family == AF_INET ? local.v4.sin_port : local.v6.sin6_port;
    }
}

/* Another daemon that shares its port as ours do would share ours, too. Only at the start can nobody else be there: later
 * these may be sockets that are about to close. */
static bool is_free(struct mw_socket_set *set, const struct mw_listening *listening, struct mw_fault *fault) {
    if (set->shared || set->sockets->in_use || set->address.port == 0 || first_descriptor(set) >= 0) {
        return true;
    }
    set->shared = true;
    int fd = open_socket(set, listening, fault);
    set->shared = false;
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static bool open_each(struct mw_socket_set *set, const struct mw_listening *listening, const bool *on,
                      struct mw_fault *fault) {
    for (int i = 0; i < set->sockets->workers; i++) {
        if (!on[i] || set->fds[i] >= 0) {
            continue;
        }
        set->fds[i] = open_socket(set, listening, fault);
        if (set->fds[i] < 0) {
            return false;
        }
        set->more = true;
        if (!set->port) {
            learn_port(set, set->fds[i]);
        }
    }
    return true;
}

/* The key without what a name must not have. */
static void name_kept(const struct mw_socket_set *set, char name[MW_SOCKET_NAME]) {
    snprintf(name, MW_SOCKET_NAME, "%s%.*s", MW_SOCKET_KEPT, MW_SOCKET_NAME - (int)sizeof MW_SOCKET_KEPT, set->key);
    for (char *at = name; *at; at++) {
        if (*at == ':' || *at <= ' ' || *at > '~') {
            *at = '_';
        }
    }
}

/* Nobody would meet a Unix socket whose path is gone. */
static bool own_path(struct mw_socket_set *set) {
    struct stat about;
    if (set->address.scheme != MW_SCHEME_UNIX) {
        return true;
    }
    if (lstat(set->address.host, &about) != 0 || !S_ISSOCK(about.st_mode)) {
        return false;
    }
    set->device = about.st_dev;
    set->inode = about.st_ino;
    return true;
}

/* Whether a socket that was handed over under `name` is of use: one that we had kept for another key, such as another
 * v6_only, is not. */
static bool is_welcome(struct mw_socket_set *set, const char *name) {
    char kept_name[MW_SOCKET_NAME];
    if (strncmp(name, MW_SOCKET_KEPT, sizeof MW_SOCKET_KEPT - 1) != 0) {
        set->lent = true;
        return true;
    }
    name_kept(set, kept_name);
    set->kept = strcmp(name, kept_name) == 0 && own_path(set);
    if (!set->kept) {
        set->sockets->keeper.forget(set->sockets->keeper.context, name);
    }
    return set->kept;
}

/* Sockets that were opened for us before: one for each worker when they share the port, else one for all. What is left
 * over would take connections that nobody accepts. */
static void inherit(struct mw_socket_set *set, const struct mw_listening *listening, const bool *on) {
    struct mw_addr addr;
    char name[MW_SOCKET_NAME];
    int fd, worker = 0, type = listening->datagram ? SOCK_DGRAM : SOCK_STREAM;
    const struct mw_sockets_keeper *keeper = &set->sockets->keeper;
    if (set->address.scheme == MW_SCHEME_FD || !mw_addr_resolve(&addr, &set->address)) {
        return;
    }
    while ((fd = keeper->take(keeper->context, &addr, type, name)) >= 0) {
        if (!is_welcome(set, name)) {
            close(fd);
            continue;
        }
        set->shared = set->shared || !shares_port(fd);
        while (worker < set->sockets->workers && !set->shared && !on[worker]) {
            worker++;
        }
        if (worker < (set->shared ? 1 : set->sockets->workers)) {
            mw_socket_adopt(fd);
            set->fds[worker++] = fd;
        } else {
            close(fd);
        }
    }
}

static void name(struct mw_socket_set *set, const struct mw_listening *listening) {
    struct mw_address address = address_now(set);
    char text[MW_ADDR_TEXT];
    struct mw_addr local;
    snprintf(set->text, sizeof set->text, "%s", listening->text);
    if (has_port(&set->address) && set->address.port != address.port) {
        mw_socket_local(first_descriptor(set), &local);
        snprintf(set->text, sizeof set->text, "%s://%s", listening->datagram ? "udp" : "tcp",
                 mw_addr_format(&local, text));
    }
}

static struct mw_socket_set *make(struct mw_sockets *sockets, const char *key, const struct mw_listening *listening) {
    struct mw_socket_set *set = calloc(1, sizeof *set + (size_t)sockets->workers * sizeof *set->fds);
    if (set) {
        set->sockets = sockets;
        set->address = listening->address;
        set->shared = !has_port(&listening->address);
        snprintf(set->key, sizeof set->key, "%s", key);
        for (int i = 0; i < sockets->workers; i++) {
            set->fds[i] = -1;
        }
        mw_list_append(&sockets->sets, &set->node);
    }
    return set;
}

static struct mw_socket_set *find(struct mw_sockets *sockets, const char *key) {
    for (struct mw_list *node = sockets->sets.next; node != &sockets->sets; node = node->next) {
        struct mw_socket_set *set = mw_list_owner(node, struct mw_socket_set, node);
        if (strcmp(set->key, key) == 0) {
            return set;
        }
    }
    return NULL;
}

struct mw_socket_set *mw_sockets_take(struct mw_sockets *sockets, const char *service, int place,
                                      const struct mw_listening *listening, const bool *on, struct mw_fault *fault) {
    char key[KEY];
    make_key(key, service, place, listening);
    struct mw_socket_set *set = find(sockets, key);
    bool known = set != NULL;
    if (!known) {
        set = make(sockets, key, listening);
        if (!set) {
            mw_fault_set(fault, ENOMEM, "listen", listening->text);
            return NULL;
        }
        inherit(set, listening, on);
    }
    set->holders++;
    if (!is_free(set, listening, fault) ||
        !(set->shared ? open_shared(set, listening, fault) : open_each(set, listening, on, fault))) {
        mw_socket_set_release(set);
        return NULL;
    }
    if (!known) {
        name(set, listening);
    }
    return set;
}

/* --- in use --- */

static void apply(int fd, const struct mw_socket_set *set, const struct mw_listening *listening) {
    if (set->address.scheme == MW_SCHEME_FD || listening->datagram) {
        return;
    }
    if (has_port(&set->address)) {
        mw_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, listening->no_delay);
        mw_socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, listening->keep_alive);
    } else if (set->inode && listening->mode >= 0) {
        chmod(set->address.host, (mode_t)listening->mode);
    }
    listen(fd, listening->backlog > 0 ? listening->backlog : BACKLOG);
}

static void announce(struct mw_socket_set *set, const char *service, const struct mw_listening *listening) {
    static const char message[] = "listening";
    char text[MW_ADDR_TEXT], address[MW_ADDR_TEXT + 8];
    struct mw_addr local;
    int fd = first_descriptor(set);
    if (set->announced || fd < 0) {
        return;
    }
    set->announced = true;
    mw_socket_local(fd, &local);
    snprintf(address, sizeof address, "%s%s", listening->datagram ? "udp://" : "", mw_addr_format(&local, text));
    struct mw_log_field fields[] = {
        {.key = "service", .value = service, .length = strlen(service)},
        {.key = "address", .value = address, .length = strlen(address)},
    };
    mw_log_write(MW_LOG_INFO, message, sizeof message - 1, fields, 2);
}

/* A port that the kernel chose means nothing to the next process. */
static bool is_worth_keeping(const struct mw_socket_set *set) {
    return !set->lent && set->address.scheme != MW_SCHEME_FD && (!has_port(&set->address) || set->address.port != 0);
}

/* What was there under the name before may be more than what is used. */
static void keep(struct mw_socket_set *set) {
    const struct mw_sockets_keeper *keeper = &set->sockets->keeper;
    char kept_name[MW_SOCKET_NAME];
    int fds[MW_WORKERS_MOST], count = 0;
    name_kept(set, kept_name);
    keeper->forget(keeper->context, kept_name);
    if (!is_worth_keeping(set)) {
        set->kept = false;
        return;
    }
    for (int i = 0; i < set->sockets->workers; i++) {
        if (set->fds[i] >= 0) {
            fds[count++] = set->fds[i];
        }
    }
    set->kept = keeper->keep(keeper->context, kept_name, fds, count);
}

static void forget(const struct mw_socket_set *set) {
    char kept_name[MW_SOCKET_NAME];
    if (set->kept) {
        name_kept(set, kept_name);
        set->sockets->keeper.forget(set->sockets->keeper.context, kept_name);
    }
}

void mw_socket_set_settle(struct mw_socket_set *set, const char *service, const struct mw_listening *listening,
                          const bool *on) {
    bool changed = set->more;
    set->more = false;
    for (int i = 0; i < set->sockets->workers; i++) {
        if (set->fds[i] < 0) {
            continue;
        }
        if (set->shared || on[i]) {
            apply(set->fds[i], set, listening);
        } else {
            close(set->fds[i]);
            set->fds[i] = -1;
            changed = true;
        }
    }
    if (!set->announced || changed) {
        keep(set);
    }
    announce(set, service, listening);
    set->sockets->in_use = true;
}

int mw_socket_set_descriptor(const struct mw_socket_set *set, int worker) {
    return set->fds[set->shared ? 0 : worker - 1];
}

const char *mw_socket_set_address(const struct mw_socket_set *set) {
    return set->text;
}

static void remove_path(const struct mw_socket_set *set) {
    struct stat about;
    if (set->inode && stat(set->address.host, &about) == 0 && about.st_ino == set->inode &&
        about.st_dev == set->device) {
        unlink(set->address.host);
    }
}

void mw_socket_set_release(struct mw_socket_set *set) {
    if (--set->holders > 0) {
        return;
    }
    bool stays = set->kept && (set->sockets->leaving || !set->sockets->in_use);
    if (!stays) {
        remove_path(set);
        forget(set);
    }
    for (int i = 0; i < set->sockets->workers; i++) {
        if (set->fds[i] >= 0) {
            close(set->fds[i]);
        }
    }
    mw_list_remove(&set->node);
    free(set);
}

struct mw_sockets *mw_sockets_new(int workers, const struct mw_sockets_keeper *keeper) {
    struct mw_sockets *sockets = calloc(1, sizeof *sockets);
    if (sockets) {
        *sockets = (struct mw_sockets){.keeper = *keeper, .workers = workers};
        mw_list_init(&sockets->sets);
    }
    return sockets;
}

void mw_sockets_leave(struct mw_sockets *sockets) {
    sockets->leaving = true;
}

void mw_sockets_free(struct mw_sockets *sockets) {
    free(sockets);
}
