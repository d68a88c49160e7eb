/* layers: base loop net */
/* A transport that wants to read when it should write and to write when it
 * should read, as TLS does. */
#include "net/stream.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024 };

/* A socket whose writes wait for input and whose reads wait for room. */
struct crossing {
    bool write_needs_input, read_needs_room, shutdown_needs_input;
    int reads, writes, shutdowns, closed;
};

static struct crossing crossing;
static struct witness witness;
static struct peer peer;

static bool ready(const struct mw_stream *stream, short events) {
    struct pollfd descriptor = {.fd = mw_stream_fd(stream), .events = events};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & events);
}

static ssize_t crossing_read(struct mw_stream *stream, char *bytes, size_t size) {
    crossing.reads++;
    if (crossing.read_needs_room && !ready(stream, POLLOUT)) {
        return MW_WANT_WRITE;
    }
    return mw_plain_ops.read(stream, bytes, size);
}

static ssize_t crossing_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    crossing.writes++;
    if (crossing.write_needs_input && !ready(stream, POLLIN)) {
        return MW_WANT_READ;
    }
    return mw_plain_ops.write(stream, pieces, count);
}

static int crossing_shutdown(struct mw_stream *stream) {
    crossing.shutdowns++;
    if (crossing.shutdown_needs_input && !ready(stream, POLLIN)) {
        return MW_WANT_READ;
    }
    return mw_plain_ops.shutdown_write(stream);
}

static void crossing_close(struct mw_stream *stream) {
    crossing.closed++;
    mw_plain_ops.close(stream);
}

static const struct mw_stream_ops crossing_ops = {
    .name = "crossing",
    .read = crossing_read,
    .write = crossing_write,
    .shutdown_write = crossing_shutdown,
    .close = crossing_close,
};

static int open_all(void **state) {
    int ends[2];
    world_open(state);
    crossing = (struct crossing){0};
    witness = (struct witness){0};
    world_unix_pair(ends);
    peer = (struct peer){.fd = ends[1]};
    witness_open(&witness, ends[0], &crossing_ops, NULL);
    return 0;
}

static int close_all(void **state) {
    witness_close(&witness, 0);
    close(peer.fd);
    assert_int_equal(crossing.closed, 1);
    return world_close(state);
}

static void a_write_that_wants_input_goes_on_when_it_comes(void **state) {
    (void)state;
    crossing.write_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    mw_stream_await_output(witness.stream, 0);
    world_settle();
    assert_int_equal(crossing.writes, 1);
    assert_int_equal(mw_stream_pending(witness.stream), 100);
    assert_int_equal(witness_queue(&witness, 100, 20 * KIB), 0);
    assert_int_equal(crossing.writes, 1);
    peer_send(&peer, 10);
    world_run_until(witness.received == 10);
    assert_int_equal(witness.writable, 1);
    assert_true(peer_has(&peer, 20 * KIB + 100));
}

static void a_large_write_that_wants_input_is_queued(void **state) {
    (void)state;
    crossing.write_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 20 * KIB), 0);
    world_settle();
    assert_int_equal(crossing.writes, 1);
    peer_send(&peer, 10);
    world_run_until(peer_has(&peer, 20 * KIB));
}

static void a_write_that_waited_for_room_may_want_input_then(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 1024 * KIB), 0);
    assert_true(mw_stream_pending(witness.stream) > 0);
    crossing.write_needs_input = true;
    peer_receive(&peer, SIZE_MAX);
    world_settle();
    int writes = crossing.writes;
    world_settle();
    assert_int_equal(crossing.writes, writes);
    crossing.write_needs_input = false;
    peer_send(&peer, 10);
    world_run_until(peer_has(&peer, 1024 * KIB));
}

static void a_write_gets_its_input_while_reading_rests(void **state) {
    (void)state;
    const struct mw_stream_marks marks = {.input = 1, .high = 1, .low = 1, .cap = 1024 * KIB};
    mw_stream_set_marks(witness.stream, &marks);
    witness.leaves_input = true;
    peer_send(&peer, 10);
    world_run_until(witness.readable == 1);
    int reads = crossing.reads;
    crossing.write_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    peer_send(&peer, 10);
    world_run_until(peer_has(&peer, 100));
    world_settle();
    assert_int_equal(crossing.reads, reads);
}

static void a_shutdown_that_wants_input_goes_on_when_it_comes(void **state) {
    (void)state;
    crossing.shutdown_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    assert_int_equal(mw_stream_shutdown(witness.stream), 0);
    world_settle();
    assert_int_equal(crossing.shutdowns, 1);
    peer_send(&peer, 10);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 100);
    assert_int_equal(crossing.shutdowns, 2);
    world_run_until(witness.received == 10);
}

static void the_last_write_of_a_closed_stream_may_want_input(void **state) {
    (void)state;
    crossing.write_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    witness_close(&witness, 5);
    world_settle();
    assert_int_equal(world.net->streams, 1);
    peer_send(&peer, 10);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 100);
    shutdown(peer.fd, SHUT_WR);
    world_run_until(world.net->streams == 0);
}

static void the_owner_may_close_when_the_write_got_its_input(void **state) {
    (void)state;
    crossing.write_needs_input = true;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    mw_stream_await_output(witness.stream, 0);
    witness.closes = true;
    peer_send(&peer, 10);
    world_run_until(witness.stream == NULL);
    assert_int_equal(witness.writable, 1);
    assert_int_equal(witness.readable, 0);
}

/* Fills the way to the peer, so that nothing can be written. */
static void block_output(void) {
    int unread;
    do {
        peer.sent = 0;
        assert_int_equal(ioctl(peer.fd, FIONREAD, &unread), 0);
        struct peer ours = {.fd = mw_stream_fd(witness.stream), .sent = (size_t)unread};
        peer_send(&ours, 64 * KIB);
    } while (ready(witness.stream, POLLOUT));
}

static void a_read_that_wants_room_goes_on_when_there_is_some(void **state) {
    (void)state;
    block_output();
    crossing.read_needs_room = true;
    peer_send(&peer, 100);
    world_run_until(crossing.reads == 1);
    world_settle();
    assert_int_equal(crossing.reads, 1);
    assert_int_equal(witness.readable, 0);
    world_run_until((peer_receive(&peer, 16 * KIB), witness.received == 100));
    world_run_until(!peer_at_end(&peer));
    int reads = crossing.reads;
    world_settle();
    assert_int_equal(crossing.reads, reads);
    peer_send(&peer, 100);
    world_run_until(witness.received == 200);
}

static void a_read_that_cannot_wait_for_room_is_a_fault(void **state) {
    (void)state;
    block_output();
    crossing.read_needs_room = true;
    peer_send(&peer, 100);
    alloc_failure_arm(1);
    world_run_until(mw_stream_input_fault(witness.stream) == ENOMEM);
    assert_true(alloc_failure_disarm());
    assert_int_equal(witness.readable, 1);
}

static void the_owner_may_close_when_the_read_got_its_room(void **state) {
    (void)state;
    block_output();
    crossing.read_needs_room = true;
    witness.closes = true;
    peer_send(&peer, 100);
    world_run_until((peer_receive(&peer, 16 * KIB), witness.stream == NULL));
    assert_int_equal(witness.readable, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_write_that_wants_input_goes_on_when_it_comes),
        TEST(a_large_write_that_wants_input_is_queued),
        TEST(a_write_that_waited_for_room_may_want_input_then),
        TEST(a_write_gets_its_input_while_reading_rests),
        TEST(a_shutdown_that_wants_input_goes_on_when_it_comes),
        TEST(the_last_write_of_a_closed_stream_may_want_input),
        TEST(the_owner_may_close_when_the_write_got_its_input),
        TEST(a_read_that_wants_room_goes_on_when_there_is_some),
        TEST(a_read_that_cannot_wait_for_room_is_a_fault),
        TEST(the_owner_may_close_when_the_read_got_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
