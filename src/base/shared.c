#include "base/shared.h"

#include <sys/mman.h>

void *mw_shared_map(size_t size) {
    /* cppcheck-suppress invalidFunctionArg */
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    return memory;
}

void mw_shared_unmap(void *memory, size_t size) {
    if (memory) {
        munmap(memory, size);
    }
}
