/* layers: proto script net loop base */
/* The memory of a Lua state: blocks keep their content through every change of
 * size, never overlap, and refuse cleanly when memory is out. */
#include "script/memory.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS = 200, STEPS = 20000, LARGEST = 3000 };

struct block {
    unsigned char *bytes;
    size_t size;
    unsigned char mark;
};

static unsigned next_random(unsigned *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static void assert_intact(const struct block *block, size_t size) {
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(block->bytes[i], block->mark);
    }
}

static void resize(struct mw_memory *memory, struct block *block, size_t size, unsigned char mark) {
    size_t kept = block->size < size ? block->size : size;
    unsigned char *moved = mw_memory_allocate(memory, block->bytes, block->size, size);
    assert_true(size == 0 || moved != NULL);
    assert_int_equal((uintptr_t)moved % 16, 0);
    block->bytes = moved;
    assert_intact(block, kept);
    block->size = size;
    block->mark = mark;
    if (size) {
        memset(moved, mark, size);
    }
}

static void blocks_keep_their_content(void **state) {
    struct mw_memory *memory = mw_memory_new();
    struct block blocks[BLOCKS] = {{0}};
    unsigned seed = 1;
    (void)state;
    assert_non_null(memory);
    for (unsigned step = 0; step < STEPS; step++) {
        struct block *block = &blocks[next_random(&seed) % BLOCKS];
        size_t size = next_random(&seed) % 4 ? next_random(&seed) % 200 : next_random(&seed) % LARGEST;
        assert_intact(block, block->size);
        resize(memory, block, size, (unsigned char)step);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_intact(&blocks[i], blocks[i].size);
        resize(memory, &blocks[i], 0, 0);
    }
    mw_memory_free(memory);
}

static void a_freed_block_serves_the_next_of_its_size(void **state) {
    struct mw_memory *memory = mw_memory_new();
    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        void *block = mw_memory_allocate(memory, NULL, 0, 720);
        assert_non_null(block);
        alloc_failure_arm(1); /* nothing more may be asked from malloc for the same size */
        mw_memory_allocate(memory, block, 720, 0);
#ifndef __SANITIZE_ADDRESS__
        block = mw_memory_allocate(memory, NULL, 0, 712);
        assert_non_null(block);
        mw_memory_allocate(memory, block, 712, 0);
#endif
        alloc_failure_disarm();
    }
    mw_memory_free(memory);
}

static void out_of_memory_changes_nothing(void **state) {
    struct mw_memory *memory = mw_memory_new();
    struct block block = {.bytes = NULL};
    (void)state;
    resize(memory, &block, 900, 'a');
    alloc_failure_arm(1);
    assert_null(mw_memory_allocate(memory, block.bytes, block.size, 5000));
    alloc_failure_disarm();
    assert_intact(&block, 900);
    resize(memory, &block, 5000, 'b');
    resize(memory, &block, 10, 'c');
    resize(memory, &block, 0, 0);
    alloc_failure_arm(1);
    assert_null(mw_memory_allocate(memory, NULL, 0, 100000));
    alloc_failure_disarm();
    mw_memory_free(memory);
}

static unsigned refused;

static void on_refused(void *context) {
    (void)context;
    refused++;
}

static void a_limit_holds_for_small_and_large_blocks(void **state) {
    struct mw_memory *memory = mw_memory_new();
    (void)state;
    refused = 0;
    mw_memory_set_limit(memory, 1024 * 1024);
    mw_memory_on_refused(memory, on_refused, NULL);
    void *large = mw_memory_allocate(memory, NULL, 0, 600000);
    assert_non_null(large);
    assert_null(mw_memory_allocate(memory, NULL, 0, 600000));
    assert_int_equal(refused, 1);
    void *small[10000];
    unsigned count = 0;
    while (count < 10000 && (small[count] = mw_memory_allocate(memory, NULL, 0, 100))) {
        count++;
    }
    assert_true(count > 3000 && count < 5000);
    assert_int_equal(refused, 2);
    assert_true(mw_memory_taken(memory) <= 1024 * 1024);
    mw_memory_lend(memory, 200000);
    void *lent = mw_memory_allocate(memory, NULL, 0, 150000);
    assert_non_null(lent);
    mw_memory_lend(memory, 0);
    mw_memory_allocate(memory, lent, 150000, 0);
    mw_memory_allocate(memory, large, 600000, 0);
    large = mw_memory_allocate(memory, NULL, 0, 500000);
    assert_non_null(large);
    mw_memory_allocate(memory, large, 500000, 0);
    while (count > 0) {
        mw_memory_allocate(memory, small[--count], 100, 0);
    }
    mw_memory_free(memory);
}

static void at_the_limit_what_is_free_serves_smaller_blocks(void **state) {
    struct mw_memory *memory = mw_memory_new();
    struct block blocks[64];
    unsigned count = 0;
    (void)state;
    mw_memory_set_limit(memory, 200 * 1024);
    for (; count < 64; count++) {
        blocks[count] = (struct block){.bytes = NULL};
        unsigned char *bytes = mw_memory_allocate(memory, NULL, 0, 4000);
        if (!bytes) {
            break;
        }
        blocks[count].bytes = bytes;
    }
    assert_true(count > 40 && count < 64);
    for (unsigned i = 0; i < count; i++) {
        mw_memory_allocate(memory, blocks[i].bytes, 4000, 0);
    }
    struct block small[1000];
    for (unsigned i = 0; i < 1000; i++) {
        small[i] = (struct block){.bytes = NULL};
        resize(memory, &small[i], 112 + i % 16, (unsigned char)i);
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_intact(&small[i], small[i].size);
        resize(memory, &small[i], 0, 0);
    }
    mw_memory_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_content),
        cmocka_unit_test(a_freed_block_serves_the_next_of_its_size),
        cmocka_unit_test(out_of_memory_changes_nothing),
        cmocka_unit_test(a_limit_holds_for_small_and_large_blocks),
        cmocka_unit_test(at_the_limit_what_is_free_serves_smaller_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
