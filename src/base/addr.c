#include "base/addr.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_AT = offsetof(struct sockaddr_un, sun_path),
    PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path)
};

/* A piece of the text that is being parsed. */
struct span {
    const char *text;
    size_t length;
};

static bool refuse(const char **why, const char *reason) {
    *why = reason;
    return false;
}

static struct span span_after(struct span span, size_t count) {
    return (struct span){span.text + count, span.length - count};
}

static const char *span_find(struct span span, char byte) {
    return memchr(span.text, byte, span.length);
}

static bool span_is(struct span span, const char *word) {
    return span.length == strlen(word) && memcmp(span.text, word, span.length) == 0;
}

static bool only_printable(struct span span) {
    for (size_t i = 0; i < span.length; i++) {
        unsigned char byte = (unsigned char)span.text[i];
        if (byte <= ' ' || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Decimal digits and nothing else, up to `most`. */
static bool parse_number(struct span span, int most, int *number) {
    int value = 0;
    for (size_t i = 0; i < span.length; i++) {
        int digit = span.text[i] - '0';
        if (digit < 0 || digit > 9 || value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return span.length > 0;
}

static void keep_host(struct mw_address *address, struct span host) {
    memcpy(address->host, host.text, host.length);
    address->host[host.length] = '\0';
}

/* Numeric v6 with an optional %zone. */
static bool parse_v6(struct in6_addr *v6, struct span *zone, struct span host) {
    const char *percent = span_find(host, '%');
    size_t length = percent ? (size_t)(percent - host.text) : host.length;
    char text[INET6_ADDRSTRLEN];
    if (length >= sizeof text) {
        return false;
    }
    memcpy(text, host.text, length);
    text[length] = '\0';
    *zone = percent ? span_after(host, length + 1) : (struct span){NULL, 0};
    if (percent && (zone->length == 0 || zone->length >= IF_NAMESIZE)) {
        return false;
    }
    return inet_pton(AF_INET6, text, v6) == 1;
}

static bool is_name_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_' || byte == '.';
}

static bool check_host(struct span host, const char **why) {
    if (span_is(host, "*")) {
        return true;
    }
    if (host.length > MW_HOST_MAX) {
        return refuse(why, "the host name is longer than 253 bytes");
    }
    if (span_find(host, '@')) {
        return refuse(why, "an address has no user part; write host:port");
    }
    if (span_find(host, ':')) {
        return refuse(why, "an IPv6 address needs brackets, as in [::1]:80");
    }
    for (size_t i = 0; i < host.length; i++) {
        if (!is_name_byte(host.text[i])) {
            return refuse(why, "a host is a name of letters, digits, '-', '_' and '.', or an address");
        }
    }
    return true;
}

/* Splits the bracketed host off the front of `rest`. */
static bool take_bracketed(struct mw_address *address, struct span *rest, const char **why) {
    const char *close = span_find(*rest, ']');
    struct in6_addr v6;
    struct span zone;
    if (!close) {
        return refuse(why, "']' is missing; write [::1]:80");
    }
    struct span host = {rest->text + 1, (size_t)(close - rest->text) - 1};
    if (!parse_v6(&v6, &zone, host)) {
        return refuse(why, "what stands in brackets is no IPv6 address; write [::1]:80");
    }
    keep_host(address, host);
    *rest = span_after(*rest, host.length + 2);
    return true;
}

static bool take_host(struct mw_address *address, struct span *rest, const char **why) {
    if (rest->length > 0 && rest->text[0] == '[') {
        return take_bracketed(address, rest, why);
    }
    const char *colon = memrchr(rest->text, ':', rest->length);
    struct span host = {rest->text, colon ? (size_t)(colon - rest->text) : rest->length};
    if (!check_host(host, why)) {
        return false;
    }
    keep_host(address, host);
    *rest = span_after(*rest, host.length);
    return true;
}

static bool parse_host_port(struct mw_address *address, struct span rest, const char **why) {
    if (span_find(rest, '/')) {
        return refuse(why, "nothing may follow the port; write host:port");
    }
    if (!take_host(address, &rest, why)) {
        return false;
    }
    if (rest.length == 0) {
        return refuse(why, "the port is missing; write host:port");
    }
    int port;
    if (rest.text[0] != ':' || !parse_number(span_after(rest, 1), UINT16_MAX, &port)) {
        return refuse(why, "a port is a number from 0 to 65535; write host:port");
    }
    address->port = (uint16_t)port;
    return true;
}

static bool parse_path(struct mw_address *address, struct span path, const char **why) {
    bool abstract = path.length > 0 && path.text[0] == '@';
    if (abstract ? path.length < 2 : path.length < 1 || path.text[0] != '/') {
        return refuse(why, "a Unix socket is unix:///absolute/path or unix://@name");
    }
    /* A path needs room for the NUL behind it; the '@' stands for the NUL before an abstract name. */
    if (path.length > (size_t)(abstract ? PATH_SIZE : PATH_SIZE - 1)) {
        return refuse(why, "the path of a Unix socket has at most 107 bytes");
    }
    keep_host(address, path);
    return true;
}

static bool parse_descriptor(struct mw_address *address, struct span number, const char **why) {
    if (!parse_number(number, INT_MAX, &address->fd)) {
        return refuse(why, "a descriptor is a number, as in fd://3");
    }
    return true;
}

/* Takes "scheme://" off the front of `rest`; nothing there means tcp. */
static bool take_scheme(struct mw_address *address, struct span *rest, const char **why) {
    static const char *const names[] = {"tcp", "tls", "udp", "unix", "fd"};
    const char *mark = memmem(rest->text, rest->length, "://", 3);
    if (!mark) {
        return true;
    }
    struct span scheme = {rest->text, (size_t)(mark - rest->text)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_is(scheme, names[i])) {
            address->scheme = (enum mw_scheme)i;
            *rest = span_after(*rest, scheme.length + 3);
            return true;
        }
    }
    return refuse(why, "unknown scheme; use tcp://, tls://, udp://, unix:// or fd://");
}

bool mw_address_parse(struct mw_address *address, const char *text, size_t length, const char **why) {
    struct span rest = {text, length};
    *address = (struct mw_address){.scheme = MW_SCHEME_TCP, .fd = -1};
    if (length == 0) {
        return refuse(why, "the address is empty; write host:port or unix:///path");
    }
    if (!only_printable(rest)) {
        return refuse(why, "an address has no spaces or control bytes");
    }
    if (!take_scheme(address, &rest, why)) {
        return false;
    }
    switch (address->scheme) {
    case MW_SCHEME_UNIX:
        return parse_path(address, rest, why);
    case MW_SCHEME_FD:
        return parse_descriptor(address, rest, why);
    default:
        return parse_host_port(address, rest, why);
    }
}

static void resolve_local(struct mw_addr *addr, const char *path) {
    size_t length = strlen(path);
    addr->local.sun_family = AF_UNIX;
    memcpy(addr->local.sun_path, path, length);
    if (path[0] == '@') {
        addr->local.sun_path[0] = '\0';
        addr->length = (socklen_t)(PATH_AT + length);
    } else {
        addr->length = (socklen_t)(PATH_AT + length + 1);
    }
}

/* The number of an interface given by name or number; 0 when there is none. */
static uint32_t find_zone(struct span zone) {
    int number;
    if (parse_number(zone, INT_MAX, &number)) {
        return (uint32_t)number;
    }
    char name[IF_NAMESIZE];
    memcpy(name, zone.text, zone.length);
    name[zone.length] = '\0';
    return if_nametoindex(name);
}

static bool resolve_v6(struct mw_addr *addr, const char *host, uint16_t port) {
    struct span zone;
    if (!parse_v6(&addr->v6.sin6_addr, &zone, (struct span){host, strlen(host)})) {
        return false;
    }
    if (zone.text) {
        addr->v6.sin6_scope_id = find_zone(zone);
        if (addr->v6.sin6_scope_id == 0) {
            return false;
        }
    }
    addr->v6.sin6_family = AF_INET6;
    addr->v6.sin6_port = htons(port);
    addr->length = sizeof addr->v6;
    return true;
}

bool mw_addr_resolve(struct mw_addr *addr, const struct mw_address *address) {
    memset(addr, 0, sizeof *addr);
    if (address->scheme == MW_SCHEME_FD) {
        return false;
    }
    if (address->scheme == MW_SCHEME_UNIX) {
        resolve_local(addr, address->host);
        return true;
    }
    const char *host = address->host;
    if (inet_pton(AF_INET, host, &addr->v4.sin_addr) == 1) {
        addr->v4.sin_family = AF_INET;
        addr->v4.sin_port = htons(address->port);
        addr->length = sizeof addr->v4;
        return true;
    }
    bool any = host[0] == '\0' || strcmp(host, "*") == 0;
    return resolve_v6(addr, any ? "::" : host, address->port);
}

/* Writes a number, and returns its end. */
static char *write_decimal(char *at, unsigned number) {
    char digits[10], *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return mempcpy(at, first, (size_t)(digits + sizeof digits - first));
}

/* By hand: every connection has its address written down somewhere, and printf takes ten times as long. */
static void format_v4(const void *bytes, uint16_t port, char text[MW_ADDR_TEXT]) {
    const uint8_t *byte = bytes;
    for (int i = 0; i < 4; i++) {
        text = write_decimal(text, byte[i]);
        *text++ = i < 3 ? '.' : ':';
    }
    *write_decimal(text, ntohs(port)) = '\0';
}

static void format_v6(const struct sockaddr_in6 *v6, char text[MW_ADDR_TEXT]) {
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        format_v4(v6->sin6_addr.s6_addr + 12, v6->sin6_port, text);
        return;
    }
    char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id != 0) {
        char name[IF_NAMESIZE];
        if (if_indextoname(v6->sin6_scope_id, name)) {
            snprintf(zone, sizeof zone, "%%%s", name);
        } else {
            snprintf(zone, sizeof zone, "%%%u", v6->sin6_scope_id);
        }
    }
    snprintf(text, MW_ADDR_TEXT, "[%s%s]:%u", host, zone, ntohs(v6->sin6_port));
}

static void format_local(const struct mw_addr *addr, char text[MW_ADDR_TEXT]) {
    static const char scheme[] = "unix://";
    const char *path = addr->local.sun_path;
    size_t length = addr->length > PATH_AT ? addr->length - PATH_AT : 0;
    bool abstract = length > 0 && path[0] == '\0';
    if (length > PATH_SIZE) {
        length = PATH_SIZE;
    }
    if (!abstract) {
        length = strnlen(path, length);
    }
    char *end = mempcpy(text, scheme, sizeof scheme - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)path[i];
        *end++ = (char)(byte < ' ' || byte == 0x7f ? '?' : byte);
    }
    *end = '\0';
    if (abstract) {
        text[sizeof scheme - 1] = '@';
    }
}

const char *mw_addr_format(const struct mw_addr *addr, char text[MW_ADDR_TEXT]) {
    switch (addr->any.sa_family) {
    case AF_INET:
        format_v4(&addr->v4.sin_addr, addr->v4.sin_port, text);
        break;
    case AF_INET6:
        format_v6(&addr->v6, text);
        break;
    case AF_UNIX:
        format_local(addr, text);
        break;
    default:
        snprintf(text, MW_ADDR_TEXT, "unknown");
    }
    return text;
}

_Static_assert(sizeof(struct mw_endpoint) == 24, "an endpoint is kept by the thousand");

void mw_endpoint_pack(struct mw_endpoint *endpoint, const struct mw_addr *addr) {
    *endpoint = (struct mw_endpoint){.family = addr->any.sa_family};
    if (addr->any.sa_family == AF_INET) {
        endpoint->port = ntohs(addr->v4.sin_port);
        memcpy(endpoint->bytes, &addr->v4.sin_addr, sizeof addr->v4.sin_addr);
    } else if (addr->any.sa_family == AF_INET6) {
        endpoint->port = ntohs(addr->v6.sin6_port);
        endpoint->scope = addr->v6.sin6_scope_id;
        memcpy(endpoint->bytes, &addr->v6.sin6_addr, sizeof addr->v6.sin6_addr);
    }
}

void mw_endpoint_unpack(struct mw_addr *addr, const struct mw_endpoint *endpoint) {
    memset(addr, 0, sizeof *addr);
    addr->any.sa_family = endpoint->family;
    addr->length = PATH_AT;
    if (endpoint->family == AF_INET) {
        addr->v4.sin_port = htons(endpoint->port);
        memcpy(&addr->v4.sin_addr, endpoint->bytes, sizeof addr->v4.sin_addr);
        addr->length = sizeof addr->v4;
    } else if (endpoint->family == AF_INET6) {
        addr->v6.sin6_port = htons(endpoint->port);
        addr->v6.sin6_scope_id = endpoint->scope;
        memcpy(&addr->v6.sin6_addr, endpoint->bytes, sizeof addr->v6.sin6_addr);
        addr->length = sizeof addr->v6;
    }
}
