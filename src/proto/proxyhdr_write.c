/* PROXY headers that are sent. */
#include "proto/proxyhdr_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The two addresses, made one family: AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC when nothing can be said of
 * them. */
struct pair {
    int family;
    struct mw_addr from, to;
};

static bool is_mapped(const struct mw_addr *addr) {
    return addr->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr);
}

static void unmap(struct mw_addr *addr) {
    if (is_mapped(addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = addr->v6.sin6_port};
        memcpy(&v4.sin_addr, addr->v6.sin6_addr.s6_addr + 12, 4);
        addr->v4 = v4;
        addr->length = sizeof v4;
    }
}

static void map(struct mw_addr *addr) {
    if (addr->any.sa_family == AF_INET) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = addr->v4.sin_port};
        memcpy(v6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
        memcpy(v6.sin6_addr.s6_addr + 12, &addr->v4.sin_addr, 4);
        addr->v6 = v6;
        addr->length = sizeof v6;
    }
}

static bool is_internet(int family) {
    return family == AF_INET || family == AF_INET6;
}

static void make_pair(struct pair *pair, const struct mw_addr *source, const struct mw_addr *destination) {
    pair->family = AF_UNSPEC;
    if (!source || !destination || source->length == 0 || destination->length == 0) {
        return;
    }
    pair->from = *source;
    pair->to = *destination;
    unmap(&pair->from);
    unmap(&pair->to);
    int from = pair->from.any.sa_family, to = pair->to.any.sa_family;
    if (from == to && (is_internet(from) || from == AF_UNIX)) {
        pair->family = from;
    } else if (is_internet(from) && is_internet(to)) {
        map(&pair->from);
        map(&pair->to);
        pair->family = AF_INET6;
    }
}

static const void *host_of(const struct mw_addr *addr) {
    return addr->any.sa_family == AF_INET ? (const void *)&addr->v4.sin_addr
                                          : (const void *)&addr->v6.sin6_addr;
}

static in_port_t port_of(const struct mw_addr *addr) {
    return addr->any.sa_family == AF_INET ? addr->v4.sin_port : addr->v6.sin6_port;
}

static size_t write_1(char *header, const struct pair *pair) {
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    if (!is_internet(pair->family)) {
        static const char unknown[] = "PROXY UNKNOWN\r\n";
        memcpy(header, unknown, sizeof unknown - 1);
        return sizeof unknown - 1;
    }
    inet_ntop(pair->family, host_of(&pair->from), from, sizeof from);
    inet_ntop(pair->family, host_of(&pair->to), to, sizeof to);
    return (size_t)snprintf(header, MW_PROXYHDR_WRITE, "PROXY TCP%d %s %s %u %u\r\n",
                            pair->family == AF_INET ? 4 : 6, from, to, ntohs(port_of(&pair->from)),
                            ntohs(port_of(&pair->to)));
}

static char *put(char *at, const void *bytes, size_t size) {
    memcpy(at, bytes, size);
    return at + size;
}

static char *put_internet(char *at, const struct pair *pair, size_t size) {
    in_port_t from = port_of(&pair->from), to = port_of(&pair->to);
    at = put(at, host_of(&pair->from), size);
    at = put(at, host_of(&pair->to), size);
    at = put(at, &from, sizeof from);
    return put(at, &to, sizeof to);
}

static char *put_unix(char *at, const struct mw_addr *addr) {
    const size_t before = offsetof(struct sockaddr_un, sun_path), room = sizeof addr->local.sun_path;
    size_t size = addr->length > before ? addr->length - before : 0;
    memset(at, 0, room);
    memcpy(at, addr->local.sun_path, size < room ? size : room);
    return at + room;
}

/* Without addresses the connection is said to be the proxy's own. */
static size_t write_2(char *header, const struct pair *pair) {
    char *end = header + MW_PROXYHDR_HEAD, family = 0;
    memcpy(header, mw_proxyhdr_signature, MW_PROXYHDR_SIGNATURE);
    if (pair->family == AF_INET) {
        family = 0x11;
        end = put_internet(end, pair, 4);
    } else if (pair->family == AF_INET6) {
        family = 0x21;
        end = put_internet(end, pair, 16);
    } else if (pair->family == AF_UNIX) {
        family = 0x31;
        end = put_unix(put_unix(end, &pair->from), &pair->to);
    }
    header[12] = family ? 0x21 : 0x20;
    header[13] = family;
    header[14] = 0;
    header[15] = (char)(end - header - MW_PROXYHDR_HEAD);
    return (size_t)(end - header);
}

size_t mw_proxyhdr_write(char header[MW_PROXYHDR_WRITE], int version, const struct mw_addr *source,
                         const struct mw_addr *destination) {
    struct pair pair;
    make_pair(&pair, source, destination);
    return version == 1 ? write_1(header, &pair) : write_2(header, &pair);
}
