/* layers: base loop net */
#include "net/stream.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024, UNDER_WAY = 64 * KIB };

static struct witness a, b;

static int open_all(void **state) {
    struct mw_stream *ends[2];
    world_open(state);
    a = b = (struct witness){0};
    assert_true(mw_stream_new_memory(world.net, ends));
    witness_own(&a, ends[0]);
    witness_own(&b, ends[1]);
    return 0;
}

static int close_all(void **state) {
    witness_close(&a, 0);
    witness_close(&b, 0);
    return world_close(state);
}

static size_t unread(const struct witness *witness) {
    size_t size;
    mw_stream_unread(witness->stream, &size);
    return size;
}

static void bytes_arrive_both_ways(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 1000), 0);
    assert_int_equal(witness_queue(&b, 0, 50 * KIB), 0);
    mw_net_flush(world.net);
    assert_int_equal(b.received, 0);
    world_run_until(b.received == 1000 && a.received == 50 * KIB);
}

static void much_passes_through_little(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 2 * MIB), 0);
    mw_stream_await_output(a.stream, 0);
    world_run_until(b.received == 2 * MIB);
    assert_int_equal(a.writable, 1);
}

static void no_descriptor_is_used(void **state) {
    (void)state;
    int before = world_descriptors();
    struct mw_stream *ends[2];
    assert_true(mw_stream_new_memory(world.net, ends));
    assert_int_equal(world_descriptors(), before);
    assert_int_equal(mw_stream_fd(ends[0]), -1);
    mw_stream_close(ends[0], 0);
    mw_stream_close(ends[1], 0);
}

static void a_peer_that_takes_nothing_stops_the_writer(void **state) {
    (void)state;
    b.leaves_input = true;
    size_t most = mw_stream_marks(b.stream)->input + MW_NET_SCRATCH;
    assert_int_equal(witness_queue(&a, 0, MIB), 0);
    world_settle();
    assert_true(unread(&b) >= mw_stream_marks(b.stream)->input && unread(&b) <= most);
    assert_true(mw_stream_pending(a.stream) >= MIB - most - UNDER_WAY);
    int told = b.readable;
    world_settle();
    assert_int_equal(b.readable, told);
    b.leaves_input = false;
    witness_take(&b);
    world_run_until(b.received == MIB);
}

static void our_end_goes_out_behind_the_last_byte_and_input_goes_on(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 300 * KIB), 0);
    assert_int_equal(mw_stream_shutdown(a.stream), 0);
    world_run_until(mw_stream_at_end(b.stream));
    assert_int_equal(b.received, 300 * KIB);
    assert_int_equal(witness_queue(&b, 0, 1000), 0);
    mw_net_flush(world.net);
    world_run_until(a.received == 1000);
    assert_false(mw_stream_at_end(a.stream));
}

static void a_close_delivers_all_that_is_pending(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 300 * KIB), 0);
    witness_close(&a, 5);
    world_run_until(mw_stream_at_end(b.stream));
    assert_int_equal(b.received, 300 * KIB);
    witness_close(&b, 5);
    world_run_until(world.net->streams == 0);
}

static void what_is_under_way_survives_a_close(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 1000), 0);
    mw_net_flush(world.net);
    witness_close(&a, 0);
    assert_int_equal(world.net->streams, 1);
    world_run_until(mw_stream_at_end(b.stream));
    assert_int_equal(b.received, 1000);
}

static void nobody_hears_what_is_sent_to_a_closed_end(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&a, 0, 300 * KIB), 0);
    mw_stream_await_output(a.stream, 0);
    witness_close(&b, 0);
    world_run_until(a.writable == 1);
    assert_int_equal(mw_stream_output_fault(a.stream), EPIPE);
}

static void the_owner_may_close_when_input_comes(void **state) {
    (void)state;
    b.closes = true;
    assert_int_equal(witness_queue(&a, 0, 300 * KIB), 0);
    world_run_until(b.stream == NULL);
}

static void a_reader_that_waits_for_more_gets_it_past_the_mark(void **state) {
    (void)state;
    b.leaves_input = true;
    mw_stream_await_input(b.stream, 500 * KIB);
    assert_int_equal(witness_queue(&a, 0, MIB), 0);
    world_run_until(unread(&b) >= 500 * KIB);
    mw_stream_await_input(b.stream, 0);
    world_settle();
    assert_true(unread(&b) <= 500 * KIB + MW_NET_SCRATCH);
}

/* The pipe itself, and the streams on both its ends. */
static void memory_may_fail_at_each_step(void **state) {
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        struct mw_stream *ends[2] = {NULL, NULL};
        alloc_failure_arm(nth);
        assert_false(mw_stream_new_memory(world.net, ends));
        assert_true(alloc_failure_disarm());
        assert_int_equal(world.net->streams, 2);
    }
}

static void memory_that_is_out_on_the_way_is_a_fault(void **state) {
    (void)state;
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        struct mw_stream *ends[2];
        witness_close(&a, 0);
        witness_close(&b, 0);
        mw_buf_pool_clear(&world.net->pool);
        assert_true(mw_stream_new_memory(world.net, ends));
        witness_own(&a, ends[0]);
        witness_own(&b, ends[1]);
        a.received = b.received = 0;
        alloc_failure_arm(nth);
        int error = witness_queue(&a, 0, 200 * KIB);
        world_settle();
        failed = alloc_failure_disarm();
        assert_true(failed || nth > 2);
        int fault = mw_stream_output_fault(a.stream);
        assert_int_equal(failed, error == ENOMEM || fault == ENOMEM);
    }
    assert_int_equal(b.received, 200 * KIB);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_both_ways),
        TEST(much_passes_through_little),
        TEST(no_descriptor_is_used),
        TEST(a_peer_that_takes_nothing_stops_the_writer),
        TEST(our_end_goes_out_behind_the_last_byte_and_input_goes_on),
        TEST(a_close_delivers_all_that_is_pending),
        TEST(what_is_under_way_survives_a_close),
        TEST(nobody_hears_what_is_sent_to_a_closed_end),
        TEST(the_owner_may_close_when_input_comes),
        TEST(a_reader_that_waits_for_more_gets_it_past_the_mark),
        TEST(memory_may_fail_at_each_step),
        TEST(memory_that_is_out_on_the_way_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
