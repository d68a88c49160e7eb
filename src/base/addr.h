/* Addresses: the strings that scripts use, and what the kernel wants.
 *   tcp://127.0.0.1:80  tls://host:443  udp://[::1]:53  unix:///run/x.sock
 *   unix://@abstract    fd://3          127.0.0.1:80 (tcp) */
#ifndef MW_BASE_ADDR_H
#define MW_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum mw_scheme { MW_SCHEME_TCP, MW_SCHEME_TLS, MW_SCHEME_UDP, MW_SCHEME_UNIX, MW_SCHEME_FD };

enum { MW_HOST_MAX = 253, MW_ADDR_TEXT = 160 };

/* A parsed address. `host` is a name, a numeric address without brackets, "*"
 * or empty for any, or the path of a Unix socket ('@' first when abstract). */
struct mw_address {
    enum mw_scheme scheme;
    char host[MW_HOST_MAX + 1];
    uint16_t port;
    int fd; /* MW_SCHEME_FD only */
};

/* Parses `text`; false, with a message in `why` (a static string that says what
 * is wrong and how it should look), when it is no address; `*address` holds
 * nothing of use then. Accepted: the forms above, a bare host:port,
 * [v6]:port and :port (any). A port is 0..65535. NUL and control bytes, spaces,
 * user parts, paths behind a port and relative Unix paths are refused. */
bool mw_address_parse(struct mw_address *address, const char *text, size_t length, const char **why);

/* What bind and connect take: the socket address of one family. */
struct mw_addr {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
};

/* The socket address of a parsed numeric, any ("*", empty: `::`) or Unix
 * address; v6 may carry a zone, by name or number ("fe80::1%lo"). False when
 * the host is a name, the zone no interface, or the address a descriptor. */
bool mw_addr_resolve(struct mw_addr *addr, const struct mw_address *address);

/* Writes "127.0.0.1:80", "[::1]:80", "unix:///run/x.sock", "unix://@name" or
 * "unix://" (unnamed) into `text`; returns text. v4-mapped v6 prints as v4.
 * Control bytes of a path print as '?', another family as "unknown". */
const char *mw_addr_format(const struct mw_addr *addr, char text[MW_ADDR_TEXT]);

/* An internet address in 24 bytes, for what is kept by the thousand. */
struct mw_endpoint {
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX (nothing else kept), 0 */
    uint16_t port;   /* host order */
    uint32_t scope;
    uint8_t bytes[16];
};

void mw_endpoint_pack(struct mw_endpoint *endpoint, const struct mw_addr *addr);
void mw_endpoint_unpack(struct mw_addr *addr, const struct mw_endpoint *endpoint);

#endif
