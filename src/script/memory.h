/* The memory of one Lua state. Lua names the size of a block when it frees it,
 * so small blocks need no header: they come from lists of equal blocks, which
 * saves a tenth of the memory of an idle connection and most of the time that
 * malloc takes. Large blocks are malloc's. What a list holds is kept for the
 * next block of its size until the state is closed. */
#ifndef MW_SCRIPT_MEMORY_H
#define MW_SCRIPT_MEMORY_H

#include <stddef.h>

struct mw_memory;

/* NULL when memory is out. */
struct mw_memory *mw_memory_new(void);

/* Frees everything at once; the state must be closed. */
void mw_memory_free(struct mw_memory *memory);

/* The lua_Alloc of a state; `context` is the struct mw_memory. */
void *mw_memory_allocate(void *context, void *block, size_t old_size, size_t size);

#endif
