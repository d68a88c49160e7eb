/* From an address to a datagram socket. */
#include "net/dgram.h"
#include "net/socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

const struct mw_dgram_options mw_dgram_defaults = {.v6_only = false};

static bool set_options(int fd, const struct mw_addr *addr, const struct mw_dgram_options *options) {
    return (!options->reuse_port || mw_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (!options->broadcast || mw_socket_set(fd, SOL_SOCKET, SO_BROADCAST, 1)) &&
           (addr->any.sa_family != AF_INET6 ||
            mw_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only));
}

/* Closes what did not come about. Always -1. */
static int give_up(int fd, const char *operation, const struct mw_addr *addr, struct mw_fault *fault) {
    char text[MW_ADDR_TEXT];
    mw_fault_set(fault, errno, operation, mw_addr_format(addr, text));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static int adopt(int fd, struct mw_fault *fault) {
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
        mw_fault_format(fault, mw_fault_code(errno), "bind fd://%d: %s", fd, strerror(errno));
        return -1;
    }
    if (type != SOCK_DGRAM) {
        mw_fault_format(fault, "invalid", "bind fd://%d: this descriptor is not a datagram socket", fd);
        return -1;
    }
    mw_socket_adopt(fd);
    return fd;
}

int mw_dgram_open(const struct mw_address *address, const struct mw_dgram_options *options,
                  struct mw_fault *fault) {
    struct mw_addr addr;
    if (address->scheme == MW_SCHEME_FD) {
        return adopt(address->fd, fault);
    }
    if (address->scheme == MW_SCHEME_UNIX) {
        mw_fault_format(fault, "invalid", "bind %s: datagrams need an udp:// address", address->host);
        return -1;
    }
    if (!mw_addr_resolve(&addr, address)) {
        mw_fault_format(fault, "invalid", "bind %s: give a numeric address, or * for all", address->host);
        return -1;
    }
    int fd = mw_socket_open(&addr, SOCK_DGRAM, !options->v6_only);
    if (fd < 0 || !set_options(fd, &addr, options) || bind(fd, &addr.any, addr.length) != 0) {
        return give_up(fd, "bind", &addr, fault);
    }
    return fd;
}

int mw_dgram_connect(const struct mw_addr *peer, const struct mw_addr *local,
                     const struct mw_dgram_options *options, struct mw_fault *fault) {
    struct mw_addr addr = *peer;
    int fd = mw_socket_open(&addr, SOCK_DGRAM, false);
    if (fd >= 0 && local && bind(fd, &local->any, local->length) != 0) {
        return give_up(fd, "bind", local, fault);
    }
    if (fd < 0 || !set_options(fd, peer, options) || connect(fd, &peer->any, peer->length) != 0) {
        return give_up(fd, "connect", peer, fault);
    }
    return fd;
}
