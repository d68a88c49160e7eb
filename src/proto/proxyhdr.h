/* The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): what a proxy writes before all else
 * about the connection that it passes on. Strict: a header that says two things is refused. Nothing is
 * allocated; texts are places in the bytes that were given. */
#ifndef MW_PROTO_PROXYHDR_H
#define MW_PROTO_PROXYHDR_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_proxyhdr_result {
    MW_PROXYHDR_BAD = -1, /* no header, or a bad one: the connection cannot go on */
    MW_PROXYHDR_MORE,     /* more bytes are needed */
    MW_PROXYHDR_DONE,
};

enum {
    MW_PROXYHDR_MOST = 4096, /* bytes of a header that is read */
    MW_PROXYHDR_WRITE = 232, /* at most, of one that is written */
};

/* Types of a TLV (section 2.2). */
enum mw_proxyhdr_type {
    MW_PROXYHDR_ALPN = 0x01,
    MW_PROXYHDR_AUTHORITY = 0x02,
    MW_PROXYHDR_CRC32C = 0x03,
    MW_PROXYHDR_NOOP = 0x04,
    MW_PROXYHDR_UNIQUE_ID = 0x05,
    MW_PROXYHDR_SSL = 0x20,
    MW_PROXYHDR_SSL_VERSION = 0x21,
    MW_PROXYHDR_SSL_CN = 0x22,
    MW_PROXYHDR_SSL_CIPHER = 0x23,
    MW_PROXYHDR_SSL_SIGNATURE = 0x24,
    MW_PROXYHDR_SSL_KEY = 0x25,
    MW_PROXYHDR_NETNS = 0x30,
};

struct mw_proxyhdr {
    uint16_t size;   /* of the header; behind it the connection's own bytes begin */
    uint8_t version; /* 1 or 2 */
    bool is_local; /* the proxy's own connection, say a health check: its addresses are the ones that count */
    bool is_datagram;                   /* the client came by UDP */
    uint16_t tlvs, tlvs_end;            /* where they stand */
    struct mw_addr source, destination; /* of the client's connection; length 0: unknown, or is_local */
    const char *why;                    /* of MW_PROXYHDR_BAD */
};

/* Looks at the first `size` bytes of a connection, all of them at each call. What cannot become a header is refused
 * as soon as that is seen: its first bytes, the end of a line, the length of the rest. TLVs were walked to the end
 * once it is DONE, and a checksum among them was right. */
enum mw_proxyhdr_result mw_proxyhdr_parse(struct mw_proxyhdr *header, const void *bytes, size_t size);

struct mw_proxyhdr_tlv {
    uint8_t type;
    uint16_t size;
    const char *value;
};

/* The TLV at `*at` of those that end at `end`; `*at` moves on. From header->tlvs to header->tlvs_end; those
 * in an SSL one from 5 to its size, with its value as the bytes. False when none is left. */
bool mw_proxyhdr_next_tlv(const void *bytes, uint16_t end, uint16_t *at, struct mw_proxyhdr_tlv *tlv);

/* What an SSL TLV says of the client's TLS. */
struct mw_proxyhdr_ssl {
    bool is_tls;          /* it came by TLS */
    bool has_certificate; /* and gave a certificate, in this connection or its session */
    bool is_verified;     /* which was verified */
};

void mw_proxyhdr_read_ssl(struct mw_proxyhdr_ssl *ssl, const struct mw_proxyhdr_tlv *tlv);

/* Writes a header of that version for a TCP or Unix connection; its size. One of IPv4 beside
 * one of IPv6 is written as mapped. Without an address (NULL, or of length 0), with two that do not go
 * together, and with Unix ones in version 1 it says UNKNOWN, in version 2 LOCAL: the receiver takes our
 * addresses. */
size_t mw_proxyhdr_write(char header[MW_PROXYHDR_WRITE], int version, const struct mw_addr *source,
                         const struct mw_addr *destination);

#endif
