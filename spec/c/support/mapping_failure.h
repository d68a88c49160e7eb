/* mmap and getrandom that fail on order, with that error. For tests with `wrap: mmap getrandom`; included by one file of
 * a test. */
#ifndef SUPPORT_MAPPING_FAILURE_H
#define SUPPORT_MAPPING_FAILURE_H

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>

static int mmap_error, random_error;

void *wrapped_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) __asm__("__wrap_mmap");
void *libc_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) __asm__("__real_mmap");
ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__wrap_getrandom");
ssize_t libc_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__real_getrandom");

void *wrapped_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    if (mmap_error) {
        errno = mmap_error;
        return MAP_FAILED;
    }
    return libc_mmap(at, size, protection, flags, fd, offset);
}

ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) {
    if (random_error) {
        errno = random_error;
        return -1;
    }
    return libc_getrandom(bytes, size, flags);
}

#endif
