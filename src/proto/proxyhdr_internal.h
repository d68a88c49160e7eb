/* What the two versions of the PROXY protocol share. */
#ifndef MW_PROTO_PROXYHDR_INTERNAL_H
#define MW_PROTO_PROXYHDR_INTERNAL_H

#include "proto/proxyhdr.h"

enum {
    MW_PROXYHDR_SIGNATURE = 12,
    MW_PROXYHDR_HEAD = 16
}; /* of version 2: bytes; and with what says the rest */

extern const char mw_proxyhdr_signature[MW_PROXYHDR_SIGNATURE];

static inline enum mw_proxyhdr_result mw_proxyhdr_refuse(struct mw_proxyhdr *header, const char *why) {
    header->why = why;
    return MW_PROXYHDR_BAD;
}

enum mw_proxyhdr_result mw_proxyhdr_parse_1(struct mw_proxyhdr *header, const char *bytes, size_t size);

/* `bytes` begin with as much of the signature as there is. */
enum mw_proxyhdr_result mw_proxyhdr_parse_2(struct mw_proxyhdr *header, const char *bytes, size_t size);

/* Whether the TLVs fill their place and say nothing twice or wrong; a checksum is of the whole header. */
enum mw_proxyhdr_result mw_proxyhdr_check_tlvs(struct mw_proxyhdr *header, const char *bytes);

#endif
