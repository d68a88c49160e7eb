/* Failure of memory, on order. The test is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. */
#ifndef SUPPORT_ALLOC_FAILURE_H
#define SUPPORT_ALLOC_FAILURE_H

#include <stdbool.h>

/* The `nth` allocation from now (1: the next one) returns NULL with errno
 * ENOMEM; those before and after it succeed. */
void alloc_failure_arm(int nth);

/* The same for `count` allocations in a row, the `nth` first. */
void alloc_failure_arm_row(int nth, int count);

/* No allocation fails any more. Returns whether one did since alloc_failure_arm. */
bool alloc_failure_disarm(void);

/* Allocations since alloc_failure_arm, failed ones included. */
int alloc_failure_seen(void);

/* Counts an allocation past malloc; whether it is to fail. */
bool alloc_failure_next(void);

#endif
