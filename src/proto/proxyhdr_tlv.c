/* What a version 2 header says beside the addresses. */
#include "proto/proxyhdr_internal.h"

#include <string.h>

enum { SSL_HEAD = 5, UNIQUE_ID_MAX = 128 };
enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

bool mw_proxyhdr_next_tlv(const void *bytes, uint16_t end, uint16_t *at, struct mw_proxyhdr_tlv *tlv) {
    const unsigned char *head = (const unsigned char *)bytes + *at;
    if (*at > end || end - *at < 3) {
        return false;
    }
    unsigned size = (unsigned)head[1] << 8 | head[2];
    if (size > (unsigned)(end - *at) - 3) {
        return false;
    }
    *tlv = (struct mw_proxyhdr_tlv){.type = head[0], .size = (uint16_t)size, .value = (const char *)head + 3};
    *at = (uint16_t)(*at + 3 + size);
    return true;
}

void mw_proxyhdr_read_ssl(struct mw_proxyhdr_ssl *ssl, const struct mw_proxyhdr_tlv *tlv) {
    unsigned char client = tlv->size >= SSL_HEAD ? (unsigned char)tlv->value[0] : 0;
    bool has_certificate = client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS);
    *ssl = (struct mw_proxyhdr_ssl){
        .is_tls = client & CLIENT_SSL,
        .has_certificate = has_certificate,
        .is_verified = has_certificate && memcmp(tlv->value + 1, "\0\0\0\0", 4) == 0,
    };
}

/* --- the checksum --- */

/* CRC-32C goes on in four bits at a time: a header is short, and few have one. */
static uint32_t add_byte(uint32_t sum, unsigned char byte) {
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    sum ^= byte;
    sum = sum >> 4 ^ table[sum & 15];
    return sum >> 4 ^ table[sum & 15];
}

/* Of the whole header, with zeros in place of the checksum at `hole`. */
static uint32_t sum_of(const char *bytes, size_t size, size_t hole) {
    uint32_t sum = UINT32_MAX;
    for (size_t at = 0; at < size; at++) {
        sum = add_byte(sum, at >= hole && at < hole + 4 ? 0 : (unsigned char)bytes[at]);
    }
    return ~sum;
}

static bool is_sum_right(const struct mw_proxyhdr *header, const char *bytes,
                         const struct mw_proxyhdr_tlv *tlv) {
    const unsigned char *given = (const unsigned char *)tlv->value;
    if (tlv->size != 4) {
        return false;
    }
    uint32_t sum = (uint32_t)given[0] << 24 | (uint32_t)given[1] << 16 | (uint32_t)given[2] << 8 | given[3];
    return sum == sum_of(bytes, header->size, (size_t)(tlv->value - bytes));
}

/* --- what is right --- */

static bool is_ssl(const struct mw_proxyhdr_tlv *tlv) {
    struct mw_proxyhdr_tlv inner;
    uint16_t at = SSL_HEAD;
    while (mw_proxyhdr_next_tlv(tlv->value, tlv->size, &at, &inner)) {
    }
    return tlv->size >= SSL_HEAD && at == tlv->size;
}

static bool is_right(const struct mw_proxyhdr *header, const char *bytes, const struct mw_proxyhdr_tlv *tlv) {
    switch (tlv->type) {
    case MW_PROXYHDR_CRC32C:
        return is_sum_right(header, bytes, tlv);
    case MW_PROXYHDR_SSL:
        return is_ssl(tlv);
    case MW_PROXYHDR_ALPN:
        return tlv->size > 0 && tlv->size <= 255;
    case MW_PROXYHDR_AUTHORITY:
        return tlv->size > 0 && tlv->size <= 255 && !memchr(tlv->value, '\0', tlv->size);
    case MW_PROXYHDR_UNIQUE_ID:
        return tlv->size <= UNIQUE_ID_MAX;
    default:
        return true;
    }
}

enum mw_proxyhdr_result mw_proxyhdr_check_tlvs(struct mw_proxyhdr *header, const char *bytes) {
    uint64_t seen = 0;
    uint16_t at = header->tlvs;
    struct mw_proxyhdr_tlv tlv;
    while (mw_proxyhdr_next_tlv(bytes, header->tlvs_end, &at, &tlv)) {
        uint64_t bit = tlv.type < 64 && tlv.type != MW_PROXYHDR_NOOP ? (uint64_t)1 << tlv.type : 0;
        if (seen & bit) {
            return mw_proxyhdr_refuse(header, "a PROXY header that says something twice");
        }
        seen |= bit;
        if (!is_right(header, bytes, &tlv)) {
            return mw_proxyhdr_refuse(header, tlv.type == MW_PROXYHDR_CRC32C
                                                  ? "a PROXY header with a wrong checksum"
                                                  : "a PROXY header with a bad TLV");
        }
    }
    return at == header->tlvs_end ? MW_PROXYHDR_DONE
                                  : mw_proxyhdr_refuse(header, "a PROXY header that ends within a TLV");
}
