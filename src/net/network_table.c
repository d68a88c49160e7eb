#include "net/network_table.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 16, BITS = 128, MAPPED_BITS = 96 };

/* Networks of one length of prefix, which lie side by side. */
struct group {
    uint8_t bits;
    size_t first, count;
};

struct entry {
    struct mw_network network;
    uint32_t number;
};

struct mw_network_table {
    size_t count, group_count;
    struct group groups[BITS + 1]; /* the longest prefix first */
    struct entry entries[];
};

size_t mw_network_table_size(size_t count) {
    return sizeof(struct mw_network_table) + count * sizeof(struct entry);
}

struct mw_network_table *mw_network_table_init(void *memory) {
    struct mw_network_table *table = memory;
    table->count = table->group_count = 0;
    return table;
}

void mw_network_table_add(struct mw_network_table *table, const struct mw_network *network, uint32_t number) {
    table->entries[table->count++] = (struct entry){.network = *network, .number = number};
}

/* The longest prefix first, and of equal networks the greatest number. */
static int compare(const void *one, const void *other) {
    const struct entry *a = one, *b = other;
    if (a->network.bits != b->network.bits) {
        return a->network.bits > b->network.bits ? -1 : 1;
    }
    int order = memcmp(a->network.bytes, b->network.bytes, BYTES);
    return order ? order : (a->number < b->number) - (a->number > b->number);
}

/* Of equal ones the first is left, so that a search finds it. */
static void drop_repeated(struct mw_network_table *table) {
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct mw_network *last = kept ? &table->entries[kept - 1].network : NULL;
        const struct mw_network *next = &table->entries[i].network;
        if (!last || last->bits != next->bits || memcmp(last->bytes, next->bytes, BYTES) != 0) {
            table->entries[kept++] = table->entries[i];
        }
    }
    table->count = kept;
}

static void group(struct mw_network_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        uint8_t bits = table->entries[i].network.bits;
        struct group *last = table->group_count ? &table->groups[table->group_count - 1] : NULL;
        if (last && last->bits == bits) {
            last->count++;
        } else {
            table->groups[table->group_count++] = (struct group){.bits = bits, .first = i, .count = 1};
        }
    }
}

void mw_network_table_sort(struct mw_network_table *table) {
    qsort(table->entries, table->count, sizeof *table->entries, compare);
    drop_repeated(table);
    group(table);
}

static int compare_bytes(const void *bytes, const void *entry) {
    return memcmp(bytes, ((const struct entry *)entry)->network.bytes, BYTES);
}

bool mw_network_table_find(const struct mw_network_table *table, const uint8_t bytes[BYTES], uint32_t *number) {
    int least = mw_network_is_v4(bytes) ? MAPPED_BITS : 0;
    for (size_t i = 0; i < table->group_count && table->groups[i].bits >= least; i++) {
        const struct group *group = &table->groups[i];
        uint8_t prefix[BYTES];
        mw_network_cut(prefix, bytes, group->bits);
        const struct entry *entry =
            bsearch(prefix, table->entries + group->first, group->count, sizeof *entry, compare_bytes);
        if (entry) {
            *number = entry->number;
            return true;
        }
    }
    return false;
}

size_t mw_network_table_count(const struct mw_network_table *table) {
    return table->count;
}
