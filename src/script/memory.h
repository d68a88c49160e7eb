/* The memory of one Lua state. Lua names the size of a block when it frees it,
 * so small blocks need no header: they come from lists of equal blocks, which
 * saves a tenth of the memory of an idle connection and most of the time that
 * malloc takes. Large blocks are malloc's. What a list holds is kept for the
 * next block of its size until the state is closed. */
#ifndef MW_SCRIPT_MEMORY_H
#define MW_SCRIPT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct mw_memory;

/* NULL when memory is out. */
struct mw_memory *mw_memory_new(void);

/* What it may take from the system, in bytes; SIZE_MAX, as at first: everything.
 * An allocation past that fails. */
void mw_memory_set_limit(struct mw_memory *memory, size_t limit);
size_t mw_memory_limit(const struct mw_memory *memory);

/* This much may be taken besides, until the next call. */
void mw_memory_lend(struct mw_memory *memory, size_t lent);

/* Counts bytes that something of the state takes elsewhere, from malloc itself. False when that is past the limit. */
bool mw_memory_charge(struct mw_memory *memory, size_t size);
void mw_memory_discharge(struct mw_memory *memory, size_t size);

/* What it has taken. */
size_t mw_memory_taken(const struct mw_memory *memory);

/* Calls on_refused for every allocation that fails, amid that allocation: it may
 * look at the Lua state, and must not change it. */
void mw_memory_on_refused(struct mw_memory *memory, void (*on_refused)(void *context), void *context);

/* Frees everything at once; the state must be closed. */
void mw_memory_free(struct mw_memory *memory);

/* The lua_Alloc of a state; `context` is the struct mw_memory. */
void *mw_memory_allocate(void *context, void *block, size_t old_size, size_t size);

#endif
