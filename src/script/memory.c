#include "script/memory.h"

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
    size_t taken, limit, lent;
    void (*on_refused)(void *context); /* NULL: nobody wants to know */
    void *refused_context;
};

struct mw_memory *mw_memory_new(void) {
    struct mw_memory *memory = calloc(1, sizeof *memory);
    if (memory) {
        memory->limit = SIZE_MAX;
    }
    return memory;
}

void mw_memory_set_limit(struct mw_memory *memory, size_t limit) {
    memory->limit = limit;
}

size_t mw_memory_limit(const struct mw_memory *memory) {
    return memory->limit;
}

void mw_memory_lend(struct mw_memory *memory, size_t lent) {
    memory->lent = lent;
}

size_t mw_memory_taken(const struct mw_memory *memory) {
    return memory->taken;
}

void mw_memory_on_refused(struct mw_memory *memory, void (*on_refused)(void *context), void *context) {
    memory->on_refused = on_refused;
    memory->refused_context = context;
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

static bool may_take(const struct mw_memory *memory, size_t size) {
    size_t limit = memory->limit > SIZE_MAX - memory->lent ? SIZE_MAX : memory->limit + memory->lent;
    return memory->taken <= limit && size <= limit - memory->taken;
}

bool mw_memory_charge(struct mw_memory *memory, size_t size) {
    bool may = may_take(memory, size);
    memory->taken += may ? size : 0;
    return may;
}

void mw_memory_discharge(struct mw_memory *memory, size_t size) {
    memory->taken -= size;
}

/* realloc within the limit, `old_size` 0 for a new block. */
static void *take_large(struct mw_memory *memory, void *block, size_t old_size, size_t size) {
    if (size > old_size && !may_take(memory, size - old_size)) {
        return NULL;
    }
    void *taken = realloc(block, size);
    if (taken) {
        memory->taken = memory->taken - old_size + size;
    }
    return taken;
}

static void give(struct mw_memory *memory, void *bytes, size_t size) {
    struct block *block = bytes;
    size_t list = list_of(size);
    block->next = memory->lists[list];
    memory->lists[list] = block;
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
        struct region *region = take_large(memory, NULL, 0, REGION);
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

/* When nothing more can be had: a larger block that is free, cut in two. */
static void *split(struct mw_memory *memory, size_t list) {
    for (size_t larger = list + 1; larger < LISTS; larger++) {
        struct block *block = memory->lists[larger];
        if (block) {
            memory->lists[larger] = block->next;
            give(memory, (char *)block + (list + 1) * GRAIN, (larger - list) * GRAIN);
            return block;
        }
    }
    return NULL;
}

/* NULL: the list is empty. */
static void *take_free(struct mw_memory *memory, size_t list) {
    struct block *block = memory->lists[list];
    if (block) {
        memory->lists[list] = block->next;
    }
    return block;
}

static void *take(struct mw_memory *memory, size_t size) {
    size_t list = list_of(size);
    void *block = take_free(memory, list);
    if (!block) {
        block = carve(memory, (list + 1) * GRAIN);
    }
    return block ? block : split(memory, list);
}

static void *allocate(struct mw_memory *memory, size_t size) {
    return is_small(size) ? take(memory, size) : take_large(memory, NULL, 0, size);
}

static void release(struct mw_memory *memory, void *block, size_t size) {
    if (is_small(size)) {
        give(memory, block, size);
    } else {
        memory->taken -= size;
        free(block);
    }
}

static void *resize(struct mw_memory *memory, void *block, size_t old_size, size_t size) {
    if (!is_small(old_size) && !is_small(size)) {
        return take_large(memory, block, old_size, size);
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

static void *refuse(const struct mw_memory *memory) {
    if (memory->on_refused) {
        memory->on_refused(memory->refused_context);
    }
    return NULL;
}

/* Whatever is asked for. */
static __attribute__((noinline)) void *serve(struct mw_memory *memory, void *block, size_t old_size, size_t size) {
    if (size == 0) {
        if (block) {
            release(memory, block, old_size);
        }
        return NULL;
    }
    void *allocated = block ? resize(memory, block, old_size, size) : allocate(memory, size);
    return allocated ? allocated : refuse(memory);
}

/* What lists can do at once is most of it, and calls nothing. */
void *mw_memory_allocate(void *context, void *block, size_t old_size, size_t size) {
    struct mw_memory *memory = context;
    if (!block && size && is_small(size)) {
        void *taken = take_free(memory, list_of(size));
        return taken ? taken : serve(memory, NULL, 0, size);
    }
    if (block && size == 0 && is_small(old_size)) {
        give(memory, block, old_size);
        return NULL;
    }
    return serve(memory, block, old_size, size);
}
