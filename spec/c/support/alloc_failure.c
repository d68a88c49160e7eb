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

static int left; /* allocations until one fails; 0: none will */
static bool failed;

void alloc_failure_arm(int nth) {
    left = nth;
    failed = false;
}

bool alloc_failure_disarm(void) {
    left = 0;
    return failed;
}

static bool fails_now(void) {
    if (left == 0 || --left > 0) {
        return false;
    }
    failed = true;
    errno = ENOMEM;
    return true;
}

void *wrapped_malloc(size_t size) {
    return fails_now() ? NULL : libc_malloc(size);
}

void *wrapped_calloc(size_t count, size_t size) {
    return fails_now() ? NULL : libc_calloc(count, size);
}

void *wrapped_realloc(void *old, size_t size) {
    return fails_now() ? NULL : libc_realloc(old, size);
}
