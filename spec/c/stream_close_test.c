/* layers: base loop net */
#include "net/stream.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

static struct witness witness;
static struct peer peer;

static int open_all(void **state) {
    int ends[2];
    world_open(state);
    witness = (struct witness){0};
    world_tcp_pair(ends);
    peer = (struct peer){.fd = ends[1]};
    witness_open(&witness, ends[0], &mw_plain_ops, NULL);
    return 0;
}

static int close_peer(void **state) {
    witness_close(&witness, 0);
    if (peer.fd >= 0) {
        close(peer.fd);
    }
    return world_close(state);
}

/* More than the kernel takes while the peer does not read. */
static size_t queue_much(void) {
    size_t size = 8 * MIB;
    assert_int_equal(witness_queue(&witness, 0, size), 0);
    assert_true(mw_stream_pending(witness.stream) > 0);
    return size;
}

static bool is_gone(void) {
    return world.net->streams == 0;
}

static void a_stream_with_nothing_to_do_is_closed_at_once(void **state) {
    (void)state;
    witness_close(&witness, 5);
    assert_true(is_gone());
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.fault, 0);
}

static void a_close_sends_what_was_not_flushed(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    witness_close(&witness, 5);
    assert_true(is_gone());
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 100);
    assert_int_equal(peer.fault, 0);
}

static void a_close_delivers_all_that_is_pending(void **state) {
    (void)state;
    size_t size = queue_much();
    witness_close(&witness, 5);
    assert_false(is_gone());
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, size);
    assert_int_equal(peer.fault, 0);
    close(peer.fd);
    peer.fd = -1;
    world_run_until(is_gone());
}

/* A socket that is closed with unread bytes resets the connection, and the
 * answer would be lost with it. */
static void a_close_with_unread_input_does_not_reset(void **state) {
    (void)state;
    const struct mw_stream_marks marks = {.input = 1, .high = 64 * KIB, .low = 1, .cap = MIB};
    mw_stream_set_marks(witness.stream, &marks);
    witness.leaves_input = true;
    peer_send(&peer, 300 * KIB);
    world_run_until(witness.readable == 1);
    assert_int_equal(witness_queue(&witness, 0, 200 * KIB), 0);
    witness_close(&witness, 5);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.fault, 0);
    assert_int_equal(peer.received, 200 * KIB);
    assert_false(is_gone());
    peer_send(&peer, 100 * KIB);
    world_settle();
    assert_false(is_gone());
    shutdown(peer.fd, SHUT_WR);
    world_run_until(is_gone());
}

static void input_that_nobody_read_yet_counts_as_unread(void **state) {
    (void)state;
    peer_send(&peer, 100);
    witness_close(&witness, 5);
    assert_false(is_gone());
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.fault, 0);
    shutdown(peer.fd, SHUT_WR);
    world_run_until(is_gone());
}

static void draining_does_not_last_for_ever(void **state) {
    (void)state;
    double start = world_clock();
    peer_send(&peer, 100);
    witness_close(&witness, 1000);
    world_run_until((peer_send(&peer, 10), is_gone()) || world_clock() > start + 5);
    assert_true(is_gone());
    assert_true(world_clock() - start > 1);
}

static void lingering_ends_when_its_time_is_over(void **state) {
    (void)state;
    queue_much();
    double start = world_clock();
    witness_close(&witness, 0.05);
    assert_false(is_gone());
    world_run_until(is_gone());
    assert_true(world_clock() - start >= 0.04);
}

static void a_close_without_linger_waits_for_nothing(void **state) {
    (void)state;
    queue_much();
    witness_close(&witness, 0);
    assert_true(is_gone());
}

static void a_peer_that_goes_ends_the_farewell(void **state) {
    (void)state;
    queue_much();
    witness_close(&witness, 1000);
    peer_reset(&peer);
    peer.fd = -1;
    world_run_until(is_gone());
}

static void a_faulty_stream_is_closed_at_once(void **state) {
    (void)state;
    queue_much();
    mw_stream_await_output(witness.stream, 0);
    peer_reset(&peer);
    peer.fd = -1;
    world_run_until(witness.writable == 1);
    witness_close(&witness, 1000);
    assert_true(is_gone());
}

/* The queue was left to mw_net_flush, the kernel had no room, and the stream
 * was closed since. */
static void a_flush_goes_on_with_the_farewell(void **state) {
    (void)state;
    struct peer ours = {.fd = mw_stream_fd(witness.stream)};
    peer_send_until_stuck(&ours);
    assert_int_equal(witness_queue(&witness, ours.sent, 100), 0);
    assert_int_equal(mw_stream_flush(witness.stream), 0);
    assert_int_equal(mw_stream_pending(witness.stream), 100);
    witness_close(&witness, 1000);
    double limit = world_clock() + 10;
    while (!peer_has(&peer, ours.sent) && world_clock() < limit) {
    }
    mw_net_flush(world.net);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, ours.sent + 100);
    shutdown(peer.fd, SHUT_WR);
    world_run_until(is_gone());
}

static void a_close_without_memory_for_the_farewell_is_at_once(void **state) {
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        queue_much();
        alloc_failure_arm(nth);
        witness_close(&witness, 5);
        assert_true(alloc_failure_disarm());
        assert_true(is_gone());
        close_peer(state);
        open_all(state);
    }
}

static void an_abort_resets(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_stream_abort(witness.stream);
    witness.stream = NULL;
    assert_true(is_gone());
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.fault, ECONNRESET);
    assert_int_equal(peer.received, 0);
}

static void a_net_that_is_freed_waits_for_nobody(void **state) {
    (void)state;
    queue_much();
    witness_close(&witness, 1000);
    assert_false(is_gone());
    mw_net_free(world.net);
    world.net = mw_net_new(world.loop);
    world_run_until(peer_at_end(&peer));
}

static void count_drained(void *context) {
    ++*(int *)context;
}

static void the_last_farewell_is_told_once(void **state) {
    (void)state;
    int drained = 0;
    mw_net_drain(world.net, count_drained, &drained);
    assert_int_equal(drained, 1);
    size_t size = queue_much();
    witness_close(&witness, 1000);
    mw_net_drain(world.net, count_drained, &drained);
    world_settle();
    assert_int_equal(drained, 1);
    world_run_until(peer_has(&peer, size));
    shutdown(peer.fd, SHUT_WR);
    world_run_until(is_gone());
    assert_int_equal(drained, 2);
    close_peer(state);
    open_all(state);
    peer_send(&peer, 10);
    witness_close(&witness, 1000);
    close(peer.fd);
    peer.fd = -1;
    world_run_until(is_gone());
    assert_int_equal(drained, 2);
}

static void a_net_needs_memory(void **state) {
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        alloc_failure_arm(nth);
        assert_null(mw_net_new(world.loop));
        assert_true(alloc_failure_disarm());
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_peer)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stream_with_nothing_to_do_is_closed_at_once),
        TEST(a_close_sends_what_was_not_flushed),
        TEST(a_close_delivers_all_that_is_pending),
        TEST(a_close_with_unread_input_does_not_reset),
        TEST(input_that_nobody_read_yet_counts_as_unread),
        TEST(draining_does_not_last_for_ever),
        TEST(lingering_ends_when_its_time_is_over),
        TEST(a_close_without_linger_waits_for_nothing),
        TEST(a_peer_that_goes_ends_the_farewell),
        TEST(a_faulty_stream_is_closed_at_once),
        TEST(a_flush_goes_on_with_the_farewell),
        TEST(a_close_without_memory_for_the_farewell_is_at_once),
        TEST(an_abort_resets),
        TEST(a_net_that_is_freed_waits_for_nobody),
        TEST(the_last_farewell_is_told_once),
        TEST(a_net_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
