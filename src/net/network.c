#include "net/network.h"

#include "net/network_table.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 16, BITS = 128, MAPPED_BITS = 96 };

static const uint8_t MAPPED[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

struct mw_networks {
    bool closed; /* to those that no network holds */
    struct mw_network_table *table;
};

bool mw_network_is_v4(const uint8_t bytes[BYTES]) {
    return memcmp(bytes, MAPPED, sizeof MAPPED) == 0;
}

/* What of a byte belongs to the first `bits` bits of the address. */
static uint8_t mask_of(int byte, int bits) {
    int covered = bits - byte * 8;
    return covered <= 0 ? 0 : (uint8_t)(covered >= 8 ? 0xff : 0xff << (8 - covered));
}

void mw_network_cut(uint8_t cut[BYTES], const uint8_t bytes[BYTES], int bits) {
    for (int i = 0; i < BYTES; i++) {
        cut[i] = bytes[i] & mask_of(i, bits);
    }
}

/* -1 when it is no number from 0 to 128 in its plain form. */
static int parse_bits(const char *text) {
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 3 || text[digits] || (*text == '0' && digits > 1)) {
        return -1;
    }
    int bits = atoi(text); /* NOLINT(bugprone-unchecked-string-to-number-conversion) */
    return bits <= BITS ? bits : -1;
}

static bool parse_address(struct mw_network *network, const char *text, bool *v4) {
    *v4 = inet_pton(AF_INET, text, network->bytes + sizeof MAPPED) == 1;
    if (*v4) {
        memcpy(network->bytes, MAPPED, sizeof MAPPED);
        return true;
    }
    return inet_pton(AF_INET6, text, network->bytes) == 1;
}

static bool refuse(const char **why, const char *problem) {
    *why = problem;
    return false;
}

bool mw_network_parse(struct mw_network *network, const char *text, size_t length, const char **why) {
    char copy[INET6_ADDRSTRLEN + sizeof "/128"];
    bool v4;
    if (length >= sizeof copy || memchr(text, '\0', length)) {
        return refuse(why, "no network: such as 10.0.0.0/8, 192.0.2.1, fe80::/10 or ::1");
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash = '\0';
    }
    if (!parse_address(network, copy, &v4)) {
        return refuse(why, "no network: such as 10.0.0.0/8, 192.0.2.1, fe80::/10 or ::1");
    }
    int bits = slash ? parse_bits(slash + 1) : v4 ? BITS - MAPPED_BITS : BITS;
    if (bits < 0 || (v4 && bits > BITS - MAPPED_BITS)) {
        return refuse(why, "behind the slash: the number of bits, up to 32 for IPv4 and 128 for IPv6");
    }
    network->bits = (uint8_t)(v4 ? bits + MAPPED_BITS : bits);
    uint8_t plain[BYTES];
    mw_network_cut(plain, network->bytes, network->bits);
    if (memcmp(plain, network->bytes, BYTES) != 0) {
        return refuse(why, "the address has bits behind the prefix: 10.0.0.1 or 10.0.0.0/8, not 10.0.0.1/8");
    }
    return true;
}

bool mw_network_holds(const struct mw_network *network, const uint8_t bytes[BYTES]) {
    uint8_t prefix[BYTES];
    mw_network_cut(prefix, bytes, network->bits);
    return mw_network_is_v4(bytes) == mw_network_is_v4(network->bytes) && memcmp(prefix, network->bytes, BYTES) == 0;
}

bool mw_network_address(uint8_t bytes[BYTES], const struct mw_endpoint *peer) {
    if (peer->family == AF_INET) {
        memcpy(bytes, MAPPED, sizeof MAPPED);
        memcpy(bytes + sizeof MAPPED, peer->bytes, BYTES - sizeof MAPPED);
    } else if (peer->family == AF_INET6) {
        memcpy(bytes, peer->bytes, BYTES);
    }
    return peer->family == AF_INET || peer->family == AF_INET6;
}

/* Denied is 1 and allowed 0: where a network is both, the greater number stays. */
static void add(struct mw_networks *networks, const struct mw_network *list, size_t count, bool denied) {
    for (size_t i = 0; i < count; i++) {
        mw_network_table_add(networks->table, &list[i], denied);
    }
}

struct mw_networks *mw_networks_new(const struct mw_network *allow, size_t allows, const struct mw_network *deny,
                                    size_t denies) {
    struct mw_networks *networks = malloc(sizeof *networks + mw_network_table_size(allows + denies));
    if (networks) {
        networks->closed = allows > 0;
        networks->table = mw_network_table_init(networks + 1);
        add(networks, allow, allows, false);
        add(networks, deny, denies, true);
        mw_network_table_sort(networks->table);
    }
    return networks;
}

void mw_networks_free(struct mw_networks *networks) {
    free(networks);
}

bool mw_networks_allow(const struct mw_networks *networks, const uint8_t bytes[BYTES]) {
    uint32_t denied;
    return mw_network_table_find(networks->table, bytes, &denied) ? !denied : !networks->closed;
}
