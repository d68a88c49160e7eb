#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>

static int open_kind(int family, int type) {
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int mw_socket_open(struct mw_addr *addr, int type, bool dual) {
    int fd = open_kind(addr->any.sa_family, type);
    if (fd >= 0 || errno != EAFNOSUPPORT || !dual || addr->any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&addr->v6.sin6_addr)) {
        return fd;
    }
    in_port_t port = addr->v6.sin6_port;
    *addr = (struct mw_addr){.length = sizeof addr->v4};
    addr->v4.sin_family = AF_INET;
    addr->v4.sin_port = port;
    return open_kind(AF_INET, type);
}

bool mw_socket_set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void mw_socket_adopt(int fd) {
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void mw_socket_local(int fd, struct mw_addr *local) {
    *local = (struct mw_addr){.length = sizeof local->storage};
    if (getsockname(fd, &local->any, &local->length) != 0) {
        local->length = 0;
    }
}
