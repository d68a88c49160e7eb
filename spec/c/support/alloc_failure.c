#include "support/alloc_failure.h"

#include <errno.h>
#include <stddef.h>

/* The names that the linker's --wrap gives to the caller's and to libc's functions. */
void *wrapped_malloc(size_t size) __asm__("__wrap_malloc");
void *wrapped_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
void *wrapped_realloc(void *old, size_t size) __asm__("__wrap_realloc");
void *libc_malloc(size_t size) __asm__("__real_malloc");
void *libc_calloc(size_t count, size_t size) __asm__("__real_calloc");
void *libc_realloc(void *old, size_t size) __asm__("__real_realloc");

static int seen;
static int first, last; /* those between fail; last 0: none will */
static bool failed;

void alloc_failure_arm(int nth) {
    alloc_failure_arm_row(nth, 1);
}

void alloc_failure_arm_row(int nth, int count) {
    seen = 0;
    first = nth;
    last = nth + count - 1;
    failed = false;
}

bool alloc_failure_disarm(void) {
    last = 0;
    return failed;
}

int alloc_failure_seen(void) {
    return seen;
}

bool alloc_failure_next(void) {
    seen++;
    if (seen < first || seen > last) {
        return false;
    }
    failed = true;
    errno = ENOMEM;
    return true;
}

void *wrapped_malloc(size_t size) {
    return alloc_failure_next() ? NULL : libc_malloc(size);
}

void *wrapped_calloc(size_t count, size_t size) {
    return alloc_failure_next() ? NULL : libc_calloc(count, size);
}

void *wrapped_realloc(void *old, size_t size) {
    return alloc_failure_next() ? NULL : libc_realloc(old, size);
}
