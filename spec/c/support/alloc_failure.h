/* Failure of memory, on order. The test is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. */
#ifndef SUPPORT_ALLOC_FAILURE_H
#define SUPPORT_ALLOC_FAILURE_H

#include <stdbool.h>

/* The `nth` allocation from now (1: the next one) returns NULL with errno
 * ENOMEM; those before and after it succeed. */
void alloc_failure_arm(int nth);

/* No allocation fails any more. Returns whether one did since alloc_failure_arm. */
bool alloc_failure_disarm(void);

#endif
