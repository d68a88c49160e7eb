/* From an address to a descriptor that listens. */
#include "net/listener.h"
#include "net/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

const struct mw_listener_options mw_listener_defaults = {.mode = -1, .no_delay = true};

/* Options set on the listening socket are inherited by what it accepts. */
static bool set_options(int fd, const struct mw_addr *addr, const struct mw_listener_options *options) {
    if (addr->any.sa_family == AF_UNIX) {
        return true;
    }
    return mw_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!options->reuse_port || mw_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (addr->any.sa_family != AF_INET6 ||
            mw_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only)) &&
           (!options->no_delay || mw_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1)) &&
           (!options->keep_alive || mw_socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
}

static bool is_path(const struct mw_addr *addr) {
    return addr->any.sa_family == AF_UNIX && addr->local.sun_path[0] != '\0';
}

/* Whether the path is a socket that nobody serves any more. */
static bool is_stale(const struct mw_addr *addr) {
    struct stat status;
    if (lstat(addr->local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, &addr->any, addr->length) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static bool bind_socket(int fd, const struct mw_addr *addr) {
    if (bind(fd, &addr->any, addr->length) == 0) {
        return true;
    }
    if (errno != EADDRINUSE || !is_path(addr)) {
        return false;
    }
    if (!is_stale(addr)) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(addr->local.sun_path) == 0 && bind(fd, &addr->any, addr->length) == 0;
}

/* The mode is set before anybody can connect: listen comes after. A path that
 * was made is not left behind. */
static bool start(int fd, const struct mw_addr *addr, const struct mw_listener_options *options) {
    if (!set_options(fd, addr, options) || !bind_socket(fd, addr)) {
        return false;
    }
    bool with_mode = is_path(addr) && options->mode >= 0;
    if ((!with_mode || chmod(addr->local.sun_path, (mode_t)options->mode) == 0) &&
        listen(fd, options->backlog > 0 ? options->backlog : BACKLOG) == 0) {
        return true;
    }
    int error = errno;
    if (is_path(addr)) {
        unlink(addr->local.sun_path);
    }
    errno = error;
    return false;
}

static int adopt(const struct mw_address *address, struct mw_fault *fault) {
    int listening = 0;
    socklen_t length = sizeof listening;
    if (getsockopt(address->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0) {
        mw_fault_format(fault, mw_fault_code(errno), "listen fd://%d: %s", address->fd, strerror(errno));
        return -1;
    }
    if (!listening) {
        mw_fault_format(fault, "invalid", "listen fd://%d: this descriptor is not a listening stream socket",
                        address->fd);
        return -1;
    }
    mw_socket_adopt(address->fd);
    return address->fd;
}

int mw_listener_open(const struct mw_address *address, const struct mw_listener_options *options,
                     struct mw_fault *fault) {
    struct mw_addr addr;
    char text[MW_ADDR_TEXT];
    if (address->scheme == MW_SCHEME_FD) {
        return adopt(address, fault);
    }
    if (!mw_addr_resolve(&addr, address)) {
        mw_fault_format(fault, "invalid", "listen %s: give a numeric address, or * for all", address->host);
        return -1;
    }
    int fd = mw_socket_open(&addr, SOCK_STREAM, !options->v6_only);
    if (fd < 0 || !start(fd, &addr, options)) {
        mw_fault_set(fault, errno, "listen", mw_addr_format(&addr, text));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
