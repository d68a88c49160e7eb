/* Which of many networks an address is in, and what number that one has. */
#ifndef MW_NET_NETWORK_TABLE_H
#define MW_NET_NETWORK_TABLE_H

#include "net/network.h"

struct mw_network_table;

/* Bytes of a table with room for so many networks. */
size_t mw_network_table_size(size_t count);

/* An empty table, in memory of that size, which is the caller's. */
struct mw_network_table *mw_network_table_init(void *memory);

/* Adds one more; there must be room. Nothing can be found until mw_network_table_sort. */
void mw_network_table_add(struct mw_network_table *table, const struct mw_network *network, uint32_t number);

/* All are in. Of a network that was added twice the one with the greater number stays. */
void mw_network_table_sort(struct mw_network_table *table);

/* Whether a network holds the address (mw_network_address); the number is that of the most specific one. Takes a binary
 * search for each length of prefix that occurs. "::/0" holds all of IPv6 and nothing of IPv4. */
bool mw_network_table_find(const struct mw_network_table *table, const uint8_t bytes[16], uint32_t *number);

/* How many different networks there are, once it is sorted. */
size_t mw_network_table_count(const struct mw_network_table *table);

#endif
