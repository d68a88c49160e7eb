/* Records of the DNS as plain structs, read from the packet of an answer. */
#ifndef MW_NET_RECORDS_H
#define MW_NET_RECORDS_H

#include <stddef.h>
#include <stdint.h>

enum mw_record_type {
    MW_RECORD_A,
    MW_RECORD_AAAA,
    MW_RECORD_MX,
    MW_RECORD_TXT,
    MW_RECORD_SRV,
    MW_RECORD_PTR,
};

enum { MW_RECORD_TYPES = MW_RECORD_PTR + 1, MW_RECORDS_MAX = 256 };

/* One record. `text` is the address of an A or AAAA, the host that an MX, SRV
 * or PTR points to ("." is the root: no such service), or all strings of a TXT
 * joined, which may hold any bytes. Bytes of a host that are not printable stand as \DDD. */
struct mw_record {
    enum mw_record_type type;
    uint32_t ttl;          /* seconds, as of the moment the server answered */
    uint16_t priority;     /* MX and SRV: the lowest is to be tried first */
    uint16_t weight, port; /* SRV */
    size_t length;         /* of text */
    const char *text;      /* ends with a NUL that length does not count */
};

/* The records of one answer: a single block, freed with free(items). */
struct mw_record_list {
    struct mw_record *items; /* NULL when there is none */
    size_t count;
    size_t size;  /* bytes of the block */
    uint32_t ttl; /* the shortest of the answer, aliases included */
};

/* The number that stands for `type` in a packet. */
int mw_record_number(enum mw_record_type type);

/* "A record", "MX record", ... */
const char *mw_record_noun(enum mw_record_type type);

/* Reads the records of `type` out of a packet: at most MW_RECORDS_MAX, MX and
 * SRV in order of priority. ARES_SUCCESS, or ARES_ENODATA when it has none,
 * ARES_EBADRESP when it is malformed, ARES_ENOMEM; then the list is empty. */
int mw_records_parse(struct mw_record_list *list, const unsigned char *packet, size_t size,
                     enum mw_record_type type);

#endif
