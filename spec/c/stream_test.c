/* layers: base loop net */
/* wrap: recv send sendmsg */
#include "net/stream.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

/* What a system call does for the next `times` calls: fail with `error`, or
 * move no more than `limit` bytes. */
struct plan {
    int error, times, calls;
    size_t limit;
};

static struct plan on_recv, on_send;
static struct witness witness;
static struct peer peer;

ssize_t wrapped_recv(int fd, void *bytes, size_t size, int flags) __asm__("__wrap_recv");
ssize_t wrapped_send(int fd, const void *bytes, size_t size, int flags) __asm__("__wrap_send");
ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t libc_recv(int fd, void *bytes, size_t size, int flags) __asm__("__real_recv");
ssize_t libc_send(int fd, const void *bytes, size_t size, int flags) __asm__("__real_send");
ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");

/* Whether the call fails; else `*size` is cut to what it may move. */
static bool intervene(struct plan *plan, size_t *size) {
    plan->calls++;
    if (plan->times == 0) {
        return false;
    }
    plan->times--;
    if (plan->error) {
        errno = plan->error;
        return true;
    }
    if (*size > plan->limit) {
        *size = plan->limit;
    }
    return false;
}

ssize_t wrapped_recv(int fd, void *bytes, size_t size, int flags) {
    return intervene(&on_recv, &size) ? -1 : libc_recv(fd, bytes, size, flags);
}

ssize_t wrapped_send(int fd, const void *bytes, size_t size, int flags) {
    return intervene(&on_send, &size) ? -1 : libc_send(fd, bytes, size, flags);
}

ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t size = SIZE_MAX;
    if (intervene(&on_send, &size)) {
        return -1;
    }
    struct iovec pieces[MW_STREAM_PIECES + 1];
    struct msghdr cut = *message;
    cut.msg_iov = pieces;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        pieces[i] = message->msg_iov[i];
        pieces[i].iov_len = pieces[i].iov_len < size ? pieces[i].iov_len : size;
        size -= pieces[i].iov_len;
    }
    return libc_sendmsg(fd, &cut, flags);
}

static void start(void (*pair)(int ends[2])) {
    int ends[2];
    on_recv = on_send = (struct plan){0};
    witness = (struct witness){0};
    pair(ends);
    peer = (struct peer){.fd = ends[1]};
    witness_open(&witness, ends[0], &mw_plain_ops, NULL);
}

static int open_unix(void **state) {
    world_open(state);
    start(world_unix_pair);
    return 0;
}

static int open_tcp(void **state) {
    world_open(state);
    start(world_tcp_pair);
    return 0;
}

static int close_all(void **state) {
    alloc_failure_disarm();
    on_recv = on_send = (struct plan){0};
    witness_close(&witness, 0);
    close(peer.fd);
    return world_close(state);
}

static size_t unread(void) {
    size_t size;
    mw_stream_unread(witness.stream, &size);
    return size;
}

/* --- input --- */

static void input_arrives_whole_and_in_order(void **state) {
    (void)state;
    while (witness.received < MIB) {
        peer_send(&peer, MIB - peer.sent);
        world_run_until(witness.received == peer.sent);
    }
    assert_true(witness.readable > 0);
    assert_int_equal(unread(), 0);
}

static void what_is_left_stays_for_later(void **state) {
    (void)state;
    witness.leaves_input = true;
    peer_send(&peer, 100);
    world_run_until(unread() == 100);
    mw_stream_take(witness.stream, 60);
    peer.received = 0;
    peer_send(&peer, 50);
    world_run_until(unread() == 90);
    witness.received = 60;
    witness_take(&witness);
    assert_int_equal(witness.received, 150);
}

static void short_reads_are_put_together(void **state) {
    (void)state;
    witness.leaves_input = true;
    on_recv = (struct plan){.times = 1000, .limit = 7};
    peer_send(&peer, 1000);
    world_run_until(unread() == 1000);
    assert_true(on_recv.calls >= 1000 / 7);
    witness_take(&witness);
    assert_int_equal(witness.received, 1000);
}

static void an_interrupted_read_is_tried_again(void **state) {
    (void)state;
    on_recv = (struct plan){.times = 1, .error = EINTR};
    peer_send(&peer, 10);
    world_run_until(witness.received == 10);
    on_recv = (struct plan){.times = 1, .error = EAGAIN};
    peer_send(&peer, 10);
    world_run_until(witness.received == 20);
    assert_int_equal(mw_stream_input_fault(witness.stream), 0);
}

static void a_failed_read_is_a_fault_and_ends_reading(void **state) {
    (void)state;
    on_recv = (struct plan){.times = 1, .error = ETIMEDOUT};
    peer_send(&peer, 10);
    world_run_until(mw_stream_input_fault(witness.stream) == ETIMEDOUT);
    assert_int_equal(witness.readable, 1);
    world_settle();
    assert_int_equal(on_recv.calls, 1);
    assert_false(mw_stream_at_end(witness.stream));
}

static void reading_rests_at_the_mark_and_resumes(void **state) {
    (void)state;
    const struct mw_stream_marks *marks = mw_stream_marks(witness.stream);
    witness.leaves_input = true;
    do {
        peer_send(&peer, MIB);
        world_run_until(unread() == peer.sent || unread() >= marks->input);
    } while (unread() < marks->input);
    world_settle();
    int calls = on_recv.calls;
    size_t most = marks->input + MW_NET_SCRATCH;
    assert_true(unread() <= most);
    peer_send(&peer, MIB);
    world_settle();
    assert_int_equal(on_recv.calls, calls);
    witness.leaves_input = false;
    witness_take(&witness);
    world_run_until(witness.received == peer.sent);
}

static void a_reader_that_waits_for_more_gets_it_past_the_mark(void **state) {
    (void)state;
    size_t wanted = 3 * mw_stream_marks(witness.stream)->input;
    witness.leaves_input = true;
    mw_stream_await_input(witness.stream, wanted);
    while (unread() < wanted) {
        peer_send(&peer, wanted - peer.sent);
        world_run_until(unread() == peer.sent);
    }
    mw_stream_await_input(witness.stream, 0);
    peer_send(&peer, KIB);
    world_settle();
    assert_int_equal(unread(), wanted);
}

static void the_end_comes_after_the_last_byte(void **state) {
    (void)state;
    peer_send(&peer, 100);
    shutdown(peer.fd, SHUT_WR);
    world_run_until(mw_stream_at_end(witness.stream));
    assert_int_equal(witness.received, 100);
    int calls = on_recv.calls;
    world_settle();
    assert_int_equal(on_recv.calls, calls);
}

static void the_owner_may_close_when_input_comes(void **state) {
    (void)state;
    witness.closes = true;
    witness.leaves_input = true;
    peer_send(&peer, 100);
    world_run_until(witness.stream == NULL);
    assert_int_equal(world.net->streams, 0);
}

static void the_owner_may_give_up_with_a_farewell_when_input_comes(void **state) {
    (void)state;
    witness.leaves_input = true;
    peer_send(&peer, 100);
    world_run_until(witness.readable == 1);
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    witness_close(&witness, 5);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 100);
    close(peer.fd);
    world_run_until(world.net->streams == 0);
    peer.fd = -1;
}

/* --- output --- */

static void small_writes_leave_in_one_call(void **state) {
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(witness_queue(&witness, 10 * i, 10), 0);
    }
    assert_int_equal(on_send.calls, 0);
    assert_int_equal(mw_stream_pending(witness.stream), 1000);
    mw_net_flush(world.net);
    assert_int_equal(on_send.calls, 1);
    assert_true(peer_has(&peer, 1000));
}

static void a_large_piece_leaves_at_once_with_what_is_queued(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 10), 0);
    assert_int_equal(witness_queue(&witness, 10, 32 * KIB), 0);
    assert_int_equal(on_send.calls, 1);
    assert_true(peer_has(&peer, 32 * KIB + 10));
    mw_net_flush(world.net);
    assert_int_equal(on_send.calls, 1);
}

/* Queues the pattern from where it is, in pieces of these sizes. */
static int queue_pieces(size_t from, const size_t *sizes, int count) {
    struct iovec pieces[MW_STREAM_PIECES] = {0};
    for (int i = 0; i < count; i++) {
        pieces[i] = (struct iovec){.iov_base = world_bytes(from, sizes[i]), .iov_len = sizes[i]};
        from += sizes[i];
    }
    int error = mw_stream_queue_pieces(witness.stream, pieces, count);
    for (int i = 0; i < count; i++) {
        free(pieces[i].iov_base);
    }
    return error;
}

static void pieces_stay_in_order_wherever_the_kernel_stops(void **state) {
    (void)state;
    const size_t few[] = {10, 1, 0, 100}, many[] = {1, 9000, 0, 9000, 1, 200, 1, 5};
    size_t sent = 0;
    for (size_t limit = 1; limit < 20000; limit += 997) {
        assert_int_equal(queue_pieces(sent, few, 4), 0);
        on_send = (struct plan){.times = 1, .limit = limit};
        assert_int_equal(queue_pieces(sent + 111, many, MW_STREAM_PIECES), 0);
        assert_int_equal(on_send.calls, 1);
        sent += 111 + 18208;
        world_run_until(peer_has(&peer, sent));
        mw_net_flush(world.net);
        assert_null(world.net->dirty);
    }
}

static void of_pieces_all_or_none_are_queued(void **state) {
    (void)state;
    const size_t sizes[] = {1000, 1000};
    alloc_failure_arm(1);
    mw_buf_pool_clear(&world.net->pool);
    assert_int_equal(queue_pieces(0, sizes, 2), ENOMEM);
    assert_int_equal(mw_stream_pending(witness.stream), 0);
    assert_true(alloc_failure_disarm());
    assert_int_equal(queue_pieces(0, sizes, 2), 0);
    mw_net_flush(world.net);
    assert_true(peer_has(&peer, 2000));
}

static void short_writes_are_continued(void **state) {
    (void)state;
    on_send = (struct plan){.times = 1000000, .limit = 1000};
    assert_int_equal(witness_queue(&witness, 0, 10), 0);
    mw_net_flush(world.net);
    assert_int_equal(witness_queue(&witness, 10, 200 * KIB), 0);
    world_run_until(peer_has(&peer, 200 * KIB + 10));
    assert_int_equal(mw_stream_pending(witness.stream), 0);
    assert_true(on_send.calls > 200);
}

static void an_interrupted_write_is_tried_again(void **state) {
    (void)state;
    const int errors[] = {EINTR, EAGAIN};
    for (size_t i = 0; i < 2; i++) {
        on_send = (struct plan){.times = 1, .error = errors[i]};
        assert_int_equal(witness_queue(&witness, peer.received, 10), 0);
        mw_net_flush(world.net);
        assert_int_equal(mw_stream_pending(witness.stream), 10);
        world_run_until(peer_has(&peer, 10 * (i + 1)));
        on_send = (struct plan){.times = 1, .error = errors[i]};
    }
    on_send = (struct plan){.times = 1, .error = EINTR};
    assert_int_equal(witness_queue(&witness, 20, 20 * KIB), 0);
    assert_int_equal(mw_stream_pending(witness.stream), 20 * KIB);
    world_run_until(peer_has(&peer, 20 * KIB + 20));
}

static void nothing_watches_for_room_that_nobody_needs(void **state) {
    (void)state;
    on_send = (struct plan){.times = 1, .error = EAGAIN};
    assert_int_equal(witness_queue(&witness, 0, 10), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&peer, 10));
    world_settle();
    assert_int_equal(on_send.calls, 2);
}

/* Queues pieces until the writer should wait. */
static size_t queue_to_the_high_mark(size_t piece) {
    size_t queued = 0;
    while (mw_stream_pending(witness.stream) <= mw_stream_marks(witness.stream)->high) {
        assert_int_equal(witness_queue(&witness, queued, piece), 0);
        queued += piece;
        mw_net_flush(world.net);
    }
    return queued;
}

static void memory_stays_at_the_mark_when_the_peer_never_reads(void **state) {
    (void)state;
    size_t high = mw_stream_marks(witness.stream)->high, low = mw_stream_marks(witness.stream)->low;
    size_t queued = queue_to_the_high_mark(10 * KIB);
    size_t pending = mw_stream_pending(witness.stream);
    assert_true(pending <= high + 10 * KIB);
    mw_stream_await_output(witness.stream, low);
    world_settle();
    assert_int_equal(mw_stream_pending(witness.stream), pending);
    assert_int_equal(witness.writable, 0);
    while (witness.writable == 0) {
        peer_receive(&peer, 16 * KIB);
        world_settle();
    }
    assert_true(mw_stream_pending(witness.stream) <= low);
    world_run_until(peer_has(&peer, queued));
    assert_int_equal(witness.writable, 1);
}

static void a_write_past_the_cap_is_refused(void **state) {
    (void)state;
    const struct mw_stream_marks marks = {.input = 1, .high = 64 * KIB, .low = 16 * KIB, .cap = 256 * KIB};
    mw_stream_set_marks(witness.stream, &marks);
    size_t queued = queue_to_the_high_mark(10 * KIB), pending;
    while ((pending = mw_stream_pending(witness.stream)) + 10 * KIB <= marks.cap) {
        assert_int_equal(witness_queue(&witness, queued, 10 * KIB), 0);
        queued += 10 * KIB;
    }
    assert_int_equal(witness_queue(&witness, queued, 10 * KIB), ENOBUFS);
    assert_int_equal(mw_stream_pending(witness.stream), pending);
    assert_int_equal(witness_queue(&witness, queued, marks.cap - pending), 0);
    assert_int_equal(witness_queue(&witness, queued, 1), ENOBUFS);
    world_run_until(peer_has(&peer, queued + marks.cap - pending));
    assert_int_equal(witness_queue(&witness, peer.received, 1), 0);
}

/* One write may be larger than the cap; the next finds the queue above it. */
static void a_queue_above_the_cap_takes_nothing_more(void **state) {
    (void)state;
    const struct mw_stream_marks marks = {.input = 1, .high = 64 * KIB, .low = 16 * KIB, .cap = 256 * KIB};
    mw_stream_set_marks(witness.stream, &marks);
    assert_int_equal(witness_queue(&witness, 0, 4 * MIB), 0);
    assert_true(mw_stream_pending(witness.stream) > marks.cap);
    assert_int_equal(witness_queue(&witness, 4 * MIB, 1), ENOBUFS);
    world_run_until(peer_has(&peer, 4 * MIB));
}

/* The writer waits before the queue was flushed: all leaves, or nothing can,
 * and no watcher for output ever exists. */
static void a_flush_tells_the_writer_that_waits(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_stream_await_output(witness.stream, 0);
    mw_net_flush(world.net);
    assert_int_equal(witness.writable, 1);
    on_send = (struct plan){.times = 1, .error = ECONNRESET};
    assert_int_equal(witness_queue(&witness, 100, 100), 0);
    mw_stream_await_output(witness.stream, 0);
    mw_net_flush(world.net);
    assert_int_equal(witness.writable, 2);
    assert_int_equal(mw_stream_output_fault(witness.stream), ECONNRESET);
}

static void a_writer_that_forgets_is_not_told(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_stream_await_output(witness.stream, 0);
    mw_stream_forget_output(witness.stream);
    mw_net_flush(world.net);
    assert_int_equal(witness.writable, 0);
}

static void the_owner_may_close_when_room_comes(void **state) {
    (void)state;
    queue_to_the_high_mark(10 * KIB);
    witness.closes = true;
    mw_stream_await_output(witness.stream, 0);
    world_run_until((peer_receive(&peer, 16 * KIB), witness.stream == NULL));
    assert_int_equal(world.net->streams, 0);
}

static void a_failed_write_is_a_fault_for_all_that_follow(void **state) {
    (void)state;
    const size_t sizes[] = {10, 20 * KIB};
    for (size_t i = 0; i < 2; i++) {
        on_send = (struct plan){.times = 1, .error = ENETUNREACH};
        int error = witness_queue(&witness, 0, sizes[i]);
        assert_int_equal(mw_stream_flush(witness.stream), ENETUNREACH);
        assert_int_equal(error, i == 0 ? 0 : ENETUNREACH);
        assert_int_equal(witness_queue(&witness, 0, 10), ENETUNREACH);
        assert_int_equal(mw_stream_shutdown(witness.stream), ENETUNREACH);
        assert_int_equal(mw_stream_pending(witness.stream), 0);
        witness_close(&witness, 5);
        close(peer.fd);
        assert_int_equal(world.net->streams, 0);
        start(world_unix_pair);
    }
}

/* --- half-close --- */

static void our_end_goes_out_behind_the_last_byte_and_input_goes_on(void **state) {
    (void)state;
    size_t queued = queue_to_the_high_mark(10 * KIB);
    assert_int_equal(mw_stream_shutdown(witness.stream), 0);
    assert_int_equal(witness_queue(&witness, queued, 1), ESHUTDOWN);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.fault, 0);
    assert_int_equal(peer.received, queued);
    peer_send(&peer, 1000);
    world_run_until(witness.received == 1000);
}

static void the_peers_end_leaves_output_open(void **state) {
    (void)state;
    shutdown(peer.fd, SHUT_WR);
    world_run_until(mw_stream_at_end(witness.stream));
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    assert_true(peer_has(&peer, 100));
}

/* --- the peer goes --- */

static void a_reset_in_the_middle_of_a_write_is_told(void **state) {
    (void)state;
    queue_to_the_high_mark(64 * KIB);
    mw_stream_await_output(witness.stream, 0);
    peer_reset(&peer);
    peer.fd = -1;
    world_run_until(witness.writable == 1);
    assert_int_not_equal(mw_stream_output_fault(witness.stream), 0);
    assert_int_equal(mw_stream_pending(witness.stream), 0);
    world_run_until(mw_stream_at_end(witness.stream) || mw_stream_input_fault(witness.stream));
    assert_int_not_equal(witness_queue(&witness, 0, 1), 0);
}

static void a_reset_while_idle_is_an_input_fault(void **state) {
    (void)state;
    peer_reset(&peer);
    peer.fd = -1;
    world_run_until(mw_stream_input_fault(witness.stream) == ECONNRESET);
    assert_int_equal(witness.readable, 1);
}

/* --- counters --- */

static void bytes_are_counted_both_ways(void **state) {
    (void)state;
    struct mw_stream_counters counters;
    mw_stream_count(witness.stream, &counters);
    assert_int_equal(counters.received + counters.sent, 0);
    assert_true(counters.opened > 0 && counters.active == counters.opened);
    peer_send(&peer, 1234);
    world_run_until(witness.received == 1234);
    assert_int_equal(witness_queue(&witness, 0, 4321), 0);
    mw_stream_count(witness.stream, &counters);
    assert_int_equal(counters.sent, 0);
    mw_net_flush(world.net);
    mw_stream_count(witness.stream, &counters);
    assert_int_equal(counters.received, 1234);
    assert_int_equal(counters.sent, 4321);
    assert_true(counters.active > counters.opened);
}

static void a_try_that_moves_nothing_is_no_activity(void **state) {
    (void)state;
    struct mw_stream_counters counters;
    queue_to_the_high_mark(64 * KIB);
    mw_stream_count(witness.stream, &counters);
    double active = counters.active;
    world_settle();
    on_send = (struct plan){.times = 1, .error = EAGAIN};
    mw_stream_flush(witness.stream);
    mw_stream_count(witness.stream, &counters);
    assert_true(counters.active == active);
}

/* --- memory --- */

/* Leftovers, more input behind them, a queue, a large piece, waiting for room. */
static void exercise(void) {
    witness.leaves_input = true;
    peer_send(&peer, 5000);
    world_settle();
    peer_send(&peer, 20000);
    world_settle();
    on_send = (struct plan){.times = 1, .error = EAGAIN};
    int error = witness_queue(&witness, 0, 100);
    if (!error) {
        error = mw_stream_flush(witness.stream);
    }
    if (!error) {
        on_send = (struct plan){.times = 1, .limit = 30};
        error = witness_queue(&witness, 100, 40000);
    }
    assert_true(error == 0 || error == ENOMEM);
    world_settle();
    int fault = mw_stream_input_fault(witness.stream);
    assert_true(fault == 0 || fault == ENOMEM);
    fault = mw_stream_output_fault(witness.stream);
    assert_true(fault == 0 || fault == ENOMEM);
    if (!error && !fault) {
        world_run_until(peer_has(&peer, 40100));
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        witness_close(&witness, 0);
        close(peer.fd);
        mw_buf_pool_clear(&world.net->pool);
        start(world_unix_pair);
        alloc_failure_arm(nth);
        exercise();
        failed = alloc_failure_disarm();
        assert_true(failed || nth > 3);
    }
    witness_take(&witness);
    assert_int_equal(witness.received, 25000);
}

static void a_stream_that_gets_no_memory_leaves_the_descriptor(void **state) {
    (void)state;
    int ends[2];
    world_unix_pair(ends);
    alloc_failure_arm(1);
    assert_null(mw_stream_new(world.net, ends[0], &mw_plain_ops, NULL));
    alloc_failure_disarm();
    assert_true(fcntl(ends[0], F_GETFD) >= 0);
    close(ends[0]);
    close(ends[1]);
}

#define ON_UNIX(test) cmocka_unit_test_setup_teardown(test, open_unix, close_all)
#define ON_TCP(test) cmocka_unit_test_setup_teardown(test, open_tcp, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_TCP(input_arrives_whole_and_in_order),
        ON_UNIX(what_is_left_stays_for_later),
        ON_UNIX(short_reads_are_put_together),
        ON_UNIX(an_interrupted_read_is_tried_again),
        ON_UNIX(a_failed_read_is_a_fault_and_ends_reading),
        ON_TCP(reading_rests_at_the_mark_and_resumes),
        ON_UNIX(a_reader_that_waits_for_more_gets_it_past_the_mark),
        ON_TCP(the_end_comes_after_the_last_byte),
        ON_UNIX(the_owner_may_close_when_input_comes),
        ON_TCP(the_owner_may_give_up_with_a_farewell_when_input_comes),
        ON_UNIX(small_writes_leave_in_one_call),
        ON_UNIX(a_large_piece_leaves_at_once_with_what_is_queued),
        ON_UNIX(pieces_stay_in_order_wherever_the_kernel_stops),
        ON_UNIX(of_pieces_all_or_none_are_queued),
        ON_UNIX(short_writes_are_continued),
        ON_UNIX(an_interrupted_write_is_tried_again),
        ON_UNIX(nothing_watches_for_room_that_nobody_needs),
        ON_UNIX(memory_stays_at_the_mark_when_the_peer_never_reads),
        ON_UNIX(a_write_past_the_cap_is_refused),
        ON_UNIX(a_queue_above_the_cap_takes_nothing_more),
        ON_UNIX(a_flush_tells_the_writer_that_waits),
        ON_UNIX(a_writer_that_forgets_is_not_told),
        ON_UNIX(the_owner_may_close_when_room_comes),
        ON_UNIX(a_failed_write_is_a_fault_for_all_that_follow),
        ON_TCP(our_end_goes_out_behind_the_last_byte_and_input_goes_on),
        ON_TCP(the_peers_end_leaves_output_open),
        ON_TCP(a_reset_in_the_middle_of_a_write_is_told),
        ON_TCP(a_reset_while_idle_is_an_input_fault),
        ON_UNIX(bytes_are_counted_both_ways),
        ON_UNIX(a_try_that_moves_nothing_is_no_activity),
        ON_UNIX(every_allocation_may_fail),
        ON_UNIX(a_stream_that_gets_no_memory_leaves_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
