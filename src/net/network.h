/* Networks, and lists of them that say who may connect. */
#ifndef MW_NET_NETWORK_H
#define MW_NET_NETWORK_H

#include "base/addr.h"

/* A network: "10.0.0.0/8", "::1", "fe80::/10". */
struct mw_network {
    uint8_t bytes[16]; /* IPv4 as mapped */
    uint8_t bits;      /* of these, 0 to 128 */
};

/* Parses `text`; false, with a message in `why` (a static string that says what is wrong and how it should look), when
 * it is no network. An address alone is a network of one. Bits that are set behind the prefix are refused: whoever
 * writes 10.0.0.1/8 may mean the one or the other. */
bool mw_network_parse(struct mw_network *network, const char *text, size_t length, const char **why);

/* Whether the address (mw_network_address) is in the network. "::/0" holds all of IPv6 and nothing of IPv4. */
bool mw_network_holds(const struct mw_network *network, const uint8_t bytes[16]);

/* The address of a peer in 16 bytes, IPv4 as mapped. False when it has none (Unix sockets). */
bool mw_network_address(uint8_t bytes[16], const struct mw_endpoint *peer);

/* An address of IPv4, or a network of IPv4 alone. */
bool mw_network_is_v4(const uint8_t bytes[16]);

/* The first `bits` bits of an address, and zeros behind them. */
void mw_network_cut(uint8_t cut[16], const uint8_t bytes[16], int bits);

struct mw_networks;

/* The most specific network that holds an address decides; where a network is in both lists it is denied. NULL when
 * memory is out. */
struct mw_networks *mw_networks_new(const struct mw_network *allow, size_t allows, const struct mw_network *deny,
                                    size_t denies);
void mw_networks_free(struct mw_networks *networks);

/* Whether that address may come. One that no network holds may, unless there are networks that are allowed. Takes
 * a binary search for each length of prefix that occurs. "::/0" holds all of IPv6 and nothing of IPv4. */
bool mw_networks_allow(const struct mw_networks *networks, const uint8_t bytes[16]);

#endif
