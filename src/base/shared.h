/* Memory that a process shares with those that it forks. */
#ifndef MW_BASE_SHARED_H
#define MW_BASE_SHARED_H

#include <stddef.h>

/* Zeroed, in whole pages; only pages that are touched are really there. NULL and errno. */
void *mw_shared_map(size_t size);

/* NULL is allowed. */
void mw_shared_unmap(void *memory, size_t size);

#endif
