#include "net/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 16, BITS = 128, MAPPED_BITS = 96 };

static const uint8_t MAPPED[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

/* Networks of one length of prefix, which lie side by side. */
struct group {
    uint8_t bits;
    size_t first, count;
};

struct rule {
    struct mw_network network;
    bool denied;
};

struct mw_networks {
    size_t count, group_count;
    bool closed; /* to those that no network holds */
    struct group groups[BITS + 1]; /* the longest prefix first */
    struct rule rules[];
};

static bool is_mapped(const uint8_t bytes[BYTES]) {
    return memcmp(bytes, MAPPED, sizeof MAPPED) == 0;
}

/* What of a byte belongs to the first `bits` bits of the address. */
static uint8_t mask_of(int byte, int bits) {
    int covered = bits - byte * 8;
    return covered <= 0 ? 0 : covered >= 8 ? 0xff : (uint8_t)(0xff << (8 - covered));
}

static void cut(uint8_t cut[BYTES], const uint8_t bytes[BYTES], int bits) {
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
    cut(plain, network->bytes, network->bits);
    if (memcmp(plain, network->bytes, BYTES) != 0) {
        return refuse(why, "the address has bits behind the prefix: 10.0.0.1 or 10.0.0.0/8, not 10.0.0.1/8");
    }
    return true;
}

bool mw_network_holds(const struct mw_network *network, const uint8_t bytes[BYTES]) {
    uint8_t prefix[BYTES];
    cut(prefix, bytes, network->bits);
    return is_mapped(bytes) == is_mapped(network->bytes) && memcmp(prefix, network->bytes, BYTES) == 0;
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

/* The longest prefix first. What is denied stands before what is allowed. */
static int compare(const void *one, const void *other) {
    const struct rule *a = one, *b = other;
    if (a->network.bits != b->network.bits) {
        return a->network.bits > b->network.bits ? -1 : 1;
    }
    int order = memcmp(a->network.bytes, b->network.bytes, BYTES);
    return order ? order : b->denied - a->denied;
}

static void add(struct mw_networks *networks, const struct mw_network *list, size_t count, bool denied) {
    for (size_t i = 0; i < count; i++) {
        networks->rules[networks->count++] = (struct rule){.network = list[i], .denied = denied};
    }
}

/* Of equal ones the first is left, so that a search finds it. */
static void drop_repeated(struct mw_networks *networks) {
    size_t kept = 0;
    for (size_t i = 0; i < networks->count; i++) {
        const struct mw_network *last = kept ? &networks->rules[kept - 1].network : NULL;
        const struct mw_network *next = &networks->rules[i].network;
        if (!last || last->bits != next->bits || memcmp(last->bytes, next->bytes, BYTES) != 0) {
            networks->rules[kept++] = networks->rules[i];
        }
    }
    networks->count = kept;
}

static void group(struct mw_networks *networks) {
    for (size_t i = 0; i < networks->count; i++) {
        uint8_t bits = networks->rules[i].network.bits;
        struct group *last = networks->group_count ? &networks->groups[networks->group_count - 1] : NULL;
        if (last && last->bits == bits) {
            last->count++;
        } else {
            networks->groups[networks->group_count++] = (struct group){.bits = bits, .first = i, .count = 1};
        }
    }
}

struct mw_networks *mw_networks_new(const struct mw_network *allow, size_t allows, const struct mw_network *deny,
                                    size_t denies) {
    struct mw_networks *networks = calloc(1, sizeof *networks + (allows + denies) * sizeof *networks->rules);
    if (networks) {
        networks->closed = allows > 0;
        add(networks, allow, allows, false);
        add(networks, deny, denies, true);
        qsort(networks->rules, networks->count, sizeof *networks->rules, compare);
        drop_repeated(networks);
        group(networks);
    }
    return networks;
}

void mw_networks_free(struct mw_networks *networks) {
    free(networks);
}

static int compare_bytes(const void *bytes, const void *rule) {
    return memcmp(bytes, ((const struct rule *)rule)->network.bytes, BYTES);
}

bool mw_networks_allow(const struct mw_networks *networks, const uint8_t bytes[BYTES]) {
    int least = is_mapped(bytes) ? MAPPED_BITS : 0;
    for (size_t i = 0; i < networks->group_count && networks->groups[i].bits >= least; i++) {
        const struct group *group = &networks->groups[i];
        uint8_t prefix[BYTES];
        cut(prefix, bytes, group->bits);
        const struct rule *rule = bsearch(prefix, networks->rules + group->first, group->count,
                                          sizeof *networks->rules, compare_bytes);
        if (rule) {
            return !rule->denied;
        }
    }
    return !networks->closed;
}
