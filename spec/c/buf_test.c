/* layers: base */
#include "base/buf.h"
#include "support/alloc_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t STANDARD = MW_BUF_STANDARD;

static struct mw_buf_pool pool;

static int open_pool(void **state) {
    (void)state;
    mw_buf_pool_init(&pool, 2);
    return 0;
}

static int close_pool(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_buf_pool_clear(&pool);
    return 0;
}

/* Byte `position` of the endless stream that the tests send through buffers. */
static char pattern(size_t position) {
    return (char)(position * 7 + position / 251);
}

static void append_pattern(struct mw_buf **buf, size_t from, size_t size) {
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern(from + i);
    }
    assert_true(mw_buf_append(&pool, buf, bytes, size));
    free(bytes);
}

static void assert_holds_pattern(const struct mw_buf *buf, size_t from, size_t size) {
    assert_int_equal(mw_buf_size(buf), size);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(mw_buf_bytes(buf)[i], pattern(from + i));
    }
}

static void nothing_is_no_buffer(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    assert_int_equal(mw_buf_size(buf), 0);
    alloc_failure_arm(1);
    assert_true(mw_buf_append(&pool, &buf, NULL, 0));
    assert_false(alloc_failure_disarm());
    assert_null(buf);
    mw_buf_consume(&pool, &buf, 0);
    mw_buf_release(&pool, &buf);
    assert_null(buf);
}

static void first_bytes_take_a_standard_buffer(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    append_pattern(&buf, 0, 10);
    assert_int_equal(buf->capacity, STANDARD);
    assert_holds_pattern(buf, 0, 10);
    assert_int_equal(mw_buf_room(buf), STANDARD - 10);
    mw_buf_release(&pool, &buf);
    assert_null(buf);
}

static void consuming_the_last_byte_gives_the_buffer_back(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    append_pattern(&buf, 0, 10);
    struct mw_buf *first = buf;
    mw_buf_consume(&pool, &buf, 4);
    assert_holds_pattern(buf, 4, 6);
    mw_buf_consume(&pool, &buf, 6);
    assert_null(buf);
    assert_int_equal(pool.count, 1);
    alloc_failure_arm(1);
    assert_true(mw_buf_append(&pool, &buf, "again", 5));
    assert_false(alloc_failure_disarm());
    assert_ptr_equal(buf, first);
    assert_memory_equal(mw_buf_bytes(buf), "again", 5);
    assert_int_equal(pool.count, 0);
    mw_buf_release(&pool, &buf);
}

static void reserved_for_nothing_is_released(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    assert_true(mw_buf_reserve(&pool, &buf, 100));
    assert_int_equal(mw_buf_size(buf), 0);
    mw_buf_consume(&pool, &buf, 0);
    assert_null(buf);
}

static void room_comes_from_compacting_first(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    append_pattern(&buf, 0, STANDARD);
    mw_buf_consume(&pool, &buf, 1000);
    struct mw_buf *before = buf;
    assert_int_equal(mw_buf_room(buf), 0);
    alloc_failure_arm(1);
    assert_true(mw_buf_reserve(&pool, &buf, 1000));
    assert_false(alloc_failure_disarm());
    assert_ptr_equal(buf, before);
    assert_int_equal(mw_buf_room(buf), 1000);
    assert_holds_pattern(buf, 1000, STANDARD - 1000);
    mw_buf_release(&pool, &buf);
}

static void what_fits_moves_nothing(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    append_pattern(&buf, 0, 100);
    mw_buf_consume(&pool, &buf, 50);
    const char *bytes = mw_buf_bytes(buf);
    assert_true(mw_buf_reserve(&pool, &buf, STANDARD - 100));
    assert_ptr_equal(mw_buf_bytes(buf), bytes);
    mw_buf_release(&pool, &buf);
}

static void grows_by_doubling_and_keeps_the_bytes(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    append_pattern(&buf, 0, STANDARD);
    mw_buf_consume(&pool, &buf, 10);
    append_pattern(&buf, STANDARD, 11);
    assert_int_equal(buf->capacity, 2 * STANDARD);
    assert_holds_pattern(buf, 10, STANDARD + 1);
    assert_int_equal(pool.count, 1);
    append_pattern(&buf, STANDARD + 11, 7 * STANDARD);
    assert_int_equal(buf->capacity, 16 * STANDARD);
    assert_holds_pattern(buf, 10, 8 * STANDARD + 1);
    mw_buf_release(&pool, &buf);
    assert_int_equal(pool.count, 1);
}

static void a_large_first_reserve_is_one_buffer(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    assert_true(mw_buf_reserve(&pool, &buf, 3 * STANDARD));
    assert_int_equal(buf->capacity, 4 * STANDARD);
    mw_buf_release(&pool, &buf);
    assert_int_equal(pool.count, 0);
}

static void the_pool_keeps_no_more_than_its_limit(void **state) {
    (void)state;
    struct mw_buf *bufs[3] = {NULL, NULL, NULL};
    for (size_t i = 0; i < 3; i++) {
        append_pattern(&bufs[i], 0, 1);
    }
    for (size_t i = 0; i < 3; i++) {
        mw_buf_release(&pool, &bufs[i]);
    }
    assert_int_equal(pool.count, 2);
    mw_buf_pool_clear(&pool);
    assert_int_equal(pool.count, 0);
    assert_null(pool.free);
}

static void failure_leaves_what_is_queued(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    alloc_failure_arm(1);
    assert_false(mw_buf_append(&pool, &buf, "x", 1));
    assert_true(alloc_failure_disarm());
    assert_null(buf);
    append_pattern(&buf, 0, STANDARD);
    mw_buf_consume(&pool, &buf, 3);
    alloc_failure_arm(1);
    assert_false(mw_buf_append(&pool, &buf, "four", 4));
    assert_true(alloc_failure_disarm());
    assert_holds_pattern(buf, 3, STANDARD - 3);
    mw_buf_release(&pool, &buf);
}

static void impossible_sizes_fail(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    assert_false(mw_buf_reserve(&pool, &buf, SIZE_MAX));
    assert_null(buf);
    append_pattern(&buf, 0, 10);
    assert_false(mw_buf_reserve(&pool, &buf, SIZE_MAX));
    assert_false(mw_buf_reserve(&pool, &buf, SIZE_MAX - 5));
    assert_false(mw_buf_reserve(&pool, &buf, SIZE_MAX / 2));
    assert_holds_pattern(buf, 0, 10);
    mw_buf_release(&pool, &buf);
    assert_null(mw_buf_new(SIZE_MAX));
}

static void a_buffer_outside_of_the_pool(void **state) {
    (void)state;
    struct mw_buf *buf = mw_buf_new(100);
    assert_non_null(buf);
    assert_int_equal(mw_buf_size(buf), 0);
    assert_int_equal(mw_buf_room(buf), 100);
    free(buf);
    alloc_failure_arm(1);
    assert_null(mw_buf_new(100));
}

/* Many small writes and reads of odd sizes: every byte arrives once, in order. */
static void a_long_stream_keeps_its_order(void **state) {
    (void)state;
    struct mw_buf *buf = NULL;
    size_t written = 0, consumed = 0;
    for (size_t round = 0; round < 2000; round++) {
        size_t in = 1 + round * 31 % 977, out = round * 37 % 1103;
        append_pattern(&buf, written, in);
        written += in;
        assert_int_equal(mw_buf_bytes(buf)[0], pattern(consumed));
        out = out > mw_buf_size(buf) ? mw_buf_size(buf) : out;
        mw_buf_consume(&pool, &buf, out);
        consumed += out;
        assert_int_equal(mw_buf_size(buf), written - consumed);
    }
    if (buf) {
        assert_holds_pattern(buf, consumed, written - consumed);
    }
    mw_buf_release(&pool, &buf);
}

#define pooled(test) cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

int main(void) {
    const struct CMUnitTest tests[] = {
        pooled(nothing_is_no_buffer),
        pooled(first_bytes_take_a_standard_buffer),
        pooled(consuming_the_last_byte_gives_the_buffer_back),
        pooled(reserved_for_nothing_is_released),
        pooled(room_comes_from_compacting_first),
        pooled(what_fits_moves_nothing),
        pooled(grows_by_doubling_and_keeps_the_bytes),
        pooled(a_large_first_reserve_is_one_buffer),
        pooled(the_pool_keeps_no_more_than_its_limit),
        pooled(failure_leaves_what_is_queued),
        pooled(impossible_sizes_fail),
        pooled(a_buffer_outside_of_the_pool),
        pooled(a_long_stream_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
