/* Version 2 of the PROXY protocol, which is binary (section 2.2). */
#include "proto/proxyhdr_internal.h"

#include <arpa/inet.h>
#include <string.h>

const char mw_proxyhdr_signature[MW_PROXYHDR_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";

enum { LOCAL = 0x20, PROXY = 0x21 };                            /* version and command */
enum { UNSPECIFIED = 0x00, V4 = 0x10, V6 = 0x20, UNIX = 0x30 }; /* family, in the high half of its byte */
enum { SIZE_V4 = 12, SIZE_V6 = 36, PATH = 108, SIZE_UNIX = 2 * PATH }; /* bytes of two addresses */

static unsigned read_16(const char *bytes) {
    return (unsigned)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
}

static void read_v4(struct mw_addr *addr, const char *address, const char *port) {
    addr->length = sizeof addr->v4;
    addr->v4.sin_family = AF_INET;
    memcpy(&addr->v4.sin_addr, address, 4);
    memcpy(&addr->v4.sin_port, port, 2);
}

static void read_v6(struct mw_addr *addr, const char *address, const char *port) {
    addr->length = sizeof addr->v6;
    addr->v6.sin6_family = AF_INET6;
    memcpy(&addr->v6.sin6_addr, address, 16);
    memcpy(&addr->v6.sin6_port, port, 2);
}

/* A path up to its NUL; a name without one, whose first byte is NUL, up to those that fill its place; or
 * none. */
static void read_unix(struct mw_addr *addr, const char *path) {
    size_t size = PATH;
    while (size > 0 && path[size - 1] == '\0') {
        size--;
    }
    if (size && path[0]) {
        size = strnlen(path, PATH);
        size += size < PATH;
    }
    addr->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    addr->local.sun_family = AF_UNIX;
    memcpy(addr->local.sun_path, path, size);
}

/* The bytes of addresses of that family; -1: there is no such family with that transport. */
static int address_size(unsigned family) {
    switch (family) {
    case UNSPECIFIED:
        return 0;
    case V4 + 1:
    case V4 + 2:
        return SIZE_V4;
    case V6 + 1:
    case V6 + 2:
        return SIZE_V6;
    case UNIX + 1:
    case UNIX + 2:
        return SIZE_UNIX;
    default:
        return -1;
    }
}

static void read_addresses(struct mw_proxyhdr *header, const char *at, unsigned family) {
    switch (family & 0xf0) {
    case V4:
        read_v4(&header->source, at, at + 8);
        read_v4(&header->destination, at + 4, at + 10);
        break;
    case V6:
        read_v6(&header->source, at, at + 32);
        read_v6(&header->destination, at + 16, at + 34);
        break;
    case UNIX:
        read_unix(&header->source, at);
        read_unix(&header->destination, at + PATH);
        break;
    default:
        break;
    }
}

/* What comes behind the signature, as far as it is there. */
static enum mw_proxyhdr_result check_head(struct mw_proxyhdr *header, const char *bytes, size_t size) {
    unsigned command = size > 12 ? (unsigned char)bytes[12] : LOCAL,
             family = size > 13 ? (unsigned char)bytes[13] : 0;
    header->is_local = command == LOCAL;
    header->is_datagram = (family & 0x0f) == 2;
    if (command != LOCAL && command != PROXY) {
        return mw_proxyhdr_refuse(header, "a PROXY header of another version, or with an unknown command");
    }
    if (address_size(family) < 0) {
        return mw_proxyhdr_refuse(header, "a PROXY header with an unknown family");
    }
    if (size < MW_PROXYHDR_HEAD) {
        return MW_PROXYHDR_MORE;
    }
    unsigned length = read_16(bytes + 14);
    if (length > MW_PROXYHDR_MOST - MW_PROXYHDR_HEAD) {
        return mw_proxyhdr_refuse(header, "a PROXY header that is too long");
    }
    if (!header->is_local && length < (unsigned)address_size(family)) {
        return mw_proxyhdr_refuse(header, "a PROXY header that is too short for its addresses");
    }
    header->size = (uint16_t)(MW_PROXYHDR_HEAD + length);
    return size < header->size ? MW_PROXYHDR_MORE : MW_PROXYHDR_DONE;
}

/* Behind the word LOCAL nothing counts. */
enum mw_proxyhdr_result mw_proxyhdr_parse_2(struct mw_proxyhdr *header, const char *bytes, size_t size) {
    header->version = 2;
    enum mw_proxyhdr_result result = check_head(header, bytes, size);
    if (result != MW_PROXYHDR_DONE || header->is_local) {
        return result;
    }
    unsigned family = (unsigned char)bytes[13];
    read_addresses(header, bytes + MW_PROXYHDR_HEAD, family);
    header->tlvs = (uint16_t)(MW_PROXYHDR_HEAD + address_size(family));
    header->tlvs_end = header->size;
    return mw_proxyhdr_check_tlvs(header, bytes);
}
