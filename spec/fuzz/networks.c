/* layers: base net */
/* Lists of networks: whatever a text says, what is read of it lies in it, and every network of it is found again. */
#include "net/network_table.h"
#include "net/network_text.h"
#include "target.h"

#include <string.h>

enum { LINES = 4096 };

static struct mw_network networks[LINES];

/* The text in memory of its own, so that a step behind it is seen. */
static char *copy_of(const uint8_t *bytes, size_t size) {
    char *copy = malloc(size + 1);
    memcpy(copy + 1, bytes, size);
    return copy;
}

static size_t read_all(const char *bytes, size_t size) {
    struct mw_network_text text;
    size_t count = 0;
    mw_network_text_init(&text, bytes, size);
    enum mw_network_text_result result;
    while (count < LINES && (result = mw_network_text_next(&text)) != MW_NETWORK_TEXT_END) {
        if (result == MW_NETWORK_TEXT_BAD) {
            must(text.why);
            continue;
        }
        must(text.value >= bytes && text.value + text.value_size <= bytes + size);
        must(!memchr(text.value, '\n', text.value_size));
        networks[count++] = text.network;
    }
    return count;
}

static void find_all(size_t count) {
    struct mw_network_table *table = mw_network_table_init(malloc(mw_network_table_size(count)));
    for (size_t i = 0; i < count; i++) {
        mw_network_table_add(table, &networks[i], (uint32_t)i);
    }
    mw_network_table_sort(table);
    must(mw_network_table_count(table) <= count);
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        must(mw_network_table_find(table, networks[i].bytes, &number) || networks[i].bits < 96);
    }
    free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char *copy = copy_of(bytes, size);
    find_all(read_all(copy + 1, size));
    free(copy);
    return 0;
}
