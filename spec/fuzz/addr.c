/* layers: base */
/* Addresses: what is accepted is printable and within its bounds, and what is
 * written for a socket address is read as the same one. */
#include "base/addr.h"
#include "target.h"

#include <string.h>

static void check_text(const char *text, size_t most) {
    size_t length = strnlen(text, most + 1);
    must(length <= most);
    for (size_t i = 0; i < length; i++) {
        must((unsigned char)text[i] > ' ' && text[i] != 0x7f);
    }
}

static void check_endpoint(const struct mw_addr *addr, const char *text) {
    struct mw_endpoint endpoint;
    struct mw_addr again;
    char second[MW_ADDR_TEXT];
    mw_endpoint_pack(&endpoint, addr);
    mw_endpoint_unpack(&again, &endpoint);
    must(again.any.sa_family == addr->any.sa_family);
    if (addr->any.sa_family != AF_UNIX) {
        must(strcmp(mw_addr_format(&again, second), text) == 0);
    }
}

/* The text of an internet or Unix address is itself an address, the same one. */
static void check_round_trip(const struct mw_addr *addr) {
    char text[MW_ADDR_TEXT], second[MW_ADDR_TEXT];
    struct mw_address parsed;
    struct mw_addr again;
    const char *why;
    must(mw_addr_format(addr, text) == text);
    check_text(text, MW_ADDR_TEXT - 1);
    check_endpoint(addr, text);
    must(mw_address_parse(&parsed, text, strlen(text), &why));
    must(mw_addr_resolve(&again, &parsed));
    must(strcmp(mw_addr_format(&again, second), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct mw_address address;
    struct mw_addr addr;
    const char *why = NULL;
    if (!mw_address_parse(&address, (const char *)bytes, size, &why)) {
        must(why && *why);
        return 0;
    }
    must(address.scheme <= MW_SCHEME_FD);
    check_text(address.host, MW_HOST_MAX);
    must(address.scheme == MW_SCHEME_FD ? address.fd >= 0 : address.fd == -1);
    if (mw_addr_resolve(&addr, &address)) {
        must(addr.length <= sizeof addr.storage);
        check_round_trip(&addr);
    }
    return 0;
}
