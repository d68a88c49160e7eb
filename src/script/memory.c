#include "script/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    GRAIN = 16,             /* bytes: sizes are rounded up to this, which also aligns them */
    SMALL = 4096,           /* the largest block that comes from a list */
    LISTS = SMALL / GRAIN,
    REGION = 64 * 1024,     /* what is asked from malloc at a time */
};

struct block {
    struct block *next;
};

struct region {
    struct region *next;
    _Alignas(GRAIN) char bytes[];
};

struct mw_memory {
    struct block *lists[LISTS]; /* free blocks of (index + 1) grains */
    char *fresh, *end;          /* of the newest region: not handed out yet */
    struct region *regions;
};

struct mw_memory *mw_memory_new(void) {
    return calloc(1, sizeof(struct mw_memory));
}

void mw_memory_free(struct mw_memory *memory) {
    while (memory->regions) {
        struct region *region = memory->regions;
        memory->regions = region->next;
        free(region);
    }
    free(memory);
}

/* Under AddressSanitizer every block is malloc's, so that it sees their ends. */
static bool is_small(size_t size) {
#ifdef __SANITIZE_ADDRESS__
    (void)size;
    return false;
#else
    return size <= SMALL;
#endif
}

static size_t list_of(size_t size) {
    return (size - 1) / GRAIN;
}

/* The rest of the old region becomes one block of the list that it fits. */
static void retire_region(struct mw_memory *memory) {
    size_t left = (size_t)(memory->end - memory->fresh);
    if (left >= GRAIN) {
        size_t list = left > SMALL ? LISTS - 1 : left / GRAIN - 1;
        struct block *block = (struct block *)(void *)memory->fresh;
        block->next = memory->lists[list];
        memory->lists[list] = block;
    }
}

static void *carve(struct mw_memory *memory, size_t size) {
    if ((size_t)(memory->end - memory->fresh) < size) {
        struct region *region = malloc(REGION);
        if (!region) {
            return NULL;
        }
        retire_region(memory);
        region->next = memory->regions;
        memory->regions = region;
        memory->fresh = region->bytes;
        memory->end = (char *)region + REGION;
    }
    void *block = memory->fresh;
    memory->fresh += size;
    return block;
}

static void *take(struct mw_memory *memory, size_t size) {
    size_t list = list_of(size);
    struct block *block = memory->lists[list];
    if (block) {
        memory->lists[list] = block->next;
        return block;
    }
    return carve(memory, (list + 1) * GRAIN);
}

static void give(struct mw_memory *memory, void *bytes, size_t size) {
    struct block *block = bytes;
    size_t list = list_of(size);
    block->next = memory->lists[list];
    memory->lists[list] = block;
}

static void *allocate(struct mw_memory *memory, size_t size) {
    return is_small(size) ? take(memory, size) : malloc(size);
}

static void release(struct mw_memory *memory, void *block, size_t size) {
    if (is_small(size)) {
        give(memory, block, size);
    } else {
        free(block);
    }
}

static void *resize(struct mw_memory *memory, void *block, size_t old_size, size_t size) {
    if (!is_small(old_size) && !is_small(size)) {
        return realloc(block, size);
    }
    if (is_small(old_size) && is_small(size) && list_of(old_size) == list_of(size)) {
        return block;
    }
    void *moved = allocate(memory, size);
    if (moved) {
        memcpy(moved, block, old_size < size ? old_size : size);
        release(memory, block, old_size);
    }
    return moved;
}

void *mw_memory_allocate(void *context, void *block, size_t old_size, size_t size) {
    if (!block) {
        return size ? allocate(context, size) : NULL;
    }
    if (size == 0) {
        release(context, block, old_size);
        return NULL;
    }
    return resize(context, block, old_size, size);
}
