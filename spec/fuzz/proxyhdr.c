/* layers: base proto */
/* PROXY headers: however the bytes are cut, the same comes out; and the addresses can be written again. */
#include "proto/proxyhdr.h"
#include "target.h"

#include <string.h>

static void must_be_same(const struct mw_addr *addr, const struct mw_addr *other) {
    char text[MW_ADDR_TEXT], again[MW_ADDR_TEXT];
    must(strcmp(mw_addr_format(addr, text), mw_addr_format(other, again)) == 0);
}

static void write_again(const struct mw_proxyhdr *header) {
    char bytes[MW_PROXYHDR_WRITE];
    struct mw_proxyhdr again;
    size_t size = mw_proxyhdr_write(bytes, 2, &header->source, &header->destination);
    must(size <= sizeof bytes && mw_proxyhdr_parse(&again, bytes, size) == MW_PROXYHDR_DONE &&
         again.size == size);
    if (header->source.length) {
        must_be_same(&header->source, &again.source);
        must_be_same(&header->destination, &again.destination);
    }
    size = mw_proxyhdr_write(bytes, 1, &header->source, &header->destination);
    must(mw_proxyhdr_parse(&again, bytes, size) == MW_PROXYHDR_DONE && again.size == size);
}

static void walk(const struct mw_proxyhdr *header, const void *bytes) {
    struct mw_proxyhdr_tlv tlv;
    struct mw_proxyhdr_ssl ssl;
    uint16_t at = header->tlvs;
    while (mw_proxyhdr_next_tlv(bytes, header->tlvs_end, &at, &tlv)) {
        mw_proxyhdr_read_ssl(&ssl, &tlv);
    }
    must(at == header->tlvs_end && at <= header->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct mw_proxyhdr header, cut;
    enum mw_proxyhdr_result result = mw_proxyhdr_parse(&header, bytes, size), again = MW_PROXYHDR_MORE;
    for (size_t there = 0; there <= size && again == MW_PROXYHDR_MORE; there++) {
        uint8_t *copy = malloc(there + 1);
        memcpy(copy + 1, bytes, there);
        again = mw_proxyhdr_parse(&cut, copy + 1, there);
        free(copy);
    }
    must(again == result);
    must(result != MW_PROXYHDR_BAD || header.why);
    if (result == MW_PROXYHDR_DONE) {
        must(memcmp(&header, &cut, sizeof cut) == 0 && header.size <= size &&
             header.size <= MW_PROXYHDR_MOST);
        walk(&header, bytes);
        write_again(&header);
    }
    return 0;
}
