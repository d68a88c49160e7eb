/* layers: base loop net */
/* wrap: splice pipe2 */
#include "net/relay.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024, TURN = 256 * KIB };

/* What a system call does: moves no more than `limit` bytes, and fails `times`
 * times after the first `after` calls. */
struct plan {
    int error, times, after, calls;
    size_t limit;
};

static struct plan on_splice, on_pipe;

/* client - a, relayed to b - server */
static struct witness a, b;
static struct peer client, server;

/* How the relay ended. */
static struct {
    int calls, error;
    uint64_t a_to_b, b_to_a;
    bool closes;
} end;

ssize_t wrapped_splice(int in, off_t *from, int out, off_t *to, size_t size,
                       unsigned flags) __asm__("__wrap_splice");
ssize_t libc_splice(int in, off_t *from, int out, off_t *to, size_t size,
                    unsigned flags) __asm__("__real_splice");
int wrapped_pipe2(int ends[2], int flags) __asm__("__wrap_pipe2");
int libc_pipe2(int ends[2], int flags) __asm__("__real_pipe2");

static bool fails(struct plan *plan) {
    plan->calls++;
    if (plan->times == 0 || plan->calls <= plan->after) {
        return false;
    }
    plan->times--;
    errno = plan->error;
    return true;
}

ssize_t wrapped_splice(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    if (fails(&on_splice)) {
        return -1;
    }
    if (on_splice.limit && size > on_splice.limit) {
        size = on_splice.limit;
    }
    return libc_splice(in, from, out, to, size, flags);
}

int wrapped_pipe2(int ends[2], int flags) {
    assert_int_equal(flags, O_CLOEXEC | O_NONBLOCK);
    return fails(&on_pipe) ? -1 : libc_pipe2(ends, flags);
}

static void on_done(void *context, uint64_t a_to_b, uint64_t b_to_a, int error) {
    assert_ptr_equal(context, &end);
    end.calls++;
    end.a_to_b = a_to_b;
    end.b_to_a = b_to_a;
    end.error = error;
    if (!error) {
        assert_int_equal(mw_stream_pending(a.stream) + mw_stream_pending(b.stream), 0);
    }
    if (end.closes) {
        witness_close(&a, 0);
        witness_close(&b, 0);
    }
}

/* A transport that is not the plain one, over the same sockets. */
static struct mw_stream_ops other_ops;

static void open_ends(void (*pair)(int ends[2]), const struct mw_stream_ops *ops) {
    int ends[2];
    on_splice = on_pipe = (struct plan){0};
    end.calls = end.error = 0;
    end.closes = false;
    a = b = (struct witness){0};
    pair(ends);
    client = (struct peer){.fd = ends[0]};
    witness_open(&a, ends[1], ops, NULL);
    pair(ends);
    server = (struct peer){.fd = ends[0]};
    witness_open(&b, ends[1], &mw_plain_ops, NULL);
}

static void close_ends(void) {
    witness_close(&a, 0);
    witness_close(&b, 0);
    close(client.fd);
    close(server.fd);
}

static int open_plain(void **state) {
    world_open(state);
    open_ends(world_tcp_pair, &mw_plain_ops);
    return 0;
}

static int open_unix(void **state) {
    world_open(state);
    open_ends(world_unix_pair, &mw_plain_ops);
    return 0;
}

static int open_other(void **state) {
    world_open(state);
    other_ops = mw_plain_ops;
    open_ends(world_tcp_pair, &other_ops);
    return 0;
}

static int close_all(void **state) {
    alloc_failure_disarm();
    close_ends();
    return world_close(state);
}

static struct mw_relay *relay_idling(double idle) {
    const struct mw_relay_options options = {.idle = idle};
    struct mw_relay *relay = mw_relay_start(a.stream, b.stream, &options, on_done, &end);
    assert_non_null(relay);
    assert_int_equal(end.calls, 0);
    return relay;
}

static struct mw_relay *relay_both(void) {
    return relay_idling(0);
}

static void assert_ended(uint64_t a_to_b, uint64_t b_to_a, int error) {
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.error, error);
    assert_int_equal(end.a_to_b, a_to_b);
    assert_int_equal(end.b_to_a, b_to_a);
}

static void send_end(struct peer *peer) {
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
}

/* Sends on and reads on until all `size` bytes have gone through. */
static bool passes(struct peer *from, struct peer *to, size_t size) {
    peer_send(from, size - from->sent);
    return peer_has(to, size);
}

static size_t send_until_stuck(void) {
    peer_send_until_stuck(&client);
    return client.sent;
}

/* --- the way of the bytes --- */

static void bytes_go_both_ways(void **state) {
    (void)state;
    relay_both();
    peer_send(&client, 1000);
    peer_send(&server, 2000);
    world_run_until(peer_has(&server, 1000) && peer_has(&client, 2000));
    send_end(&client);
    send_end(&server);
    world_run_until(end.calls > 0);
    assert_ended(1000, 2000, 0);
}

static void much_goes_both_ways(void **state) {
    (void)state;
    relay_both();
    bool there = false, back = false;
    world_run_until(
        (there = passes(&client, &server, 8 * MIB), back = passes(&server, &client, 6 * MIB), there && back));
    send_end(&client);
    send_end(&server);
    world_run_until(end.calls > 0);
    assert_ended(8 * MIB, 6 * MIB, 0);
}

static void between_plain_sockets_it_is_spliced(void **state) {
    much_goes_both_ways(state);
    assert_true(on_splice.calls > 0);
    assert_true(on_pipe.calls > 0 && on_pipe.calls <= 2);
}

static void elsewhere_it_is_copied(void **state) {
    much_goes_both_ways(state);
    assert_int_equal(on_splice.calls + on_pipe.calls, 0);
}

static void one_direction_may_end_long_before_the_other(void **state) {
    (void)state;
    relay_both();
    world_run_until(passes(&client, &server, MIB));
    send_end(&client);
    world_run_until(peer_at_end(&server));
    assert_int_equal(server.fault, 0);
    assert_int_equal(end.calls, 0);
    world_run_until(passes(&server, &client, MIB));
    assert_int_equal(end.calls, 0);
    send_end(&server);
    world_run_until(end.calls > 0 && peer_at_end(&client));
    assert_ended(MIB, MIB, 0);
}

static void the_other_direction_may_end_first(void **state) {
    (void)state;
    relay_both();
    send_end(&server);
    world_run_until(peer_at_end(&client));
    world_run_until(passes(&client, &server, MIB));
    send_end(&client);
    world_run_until(end.calls > 0);
    assert_ended(MIB, 0, 0);
}

/* The end is not passed on before what came ahead of it. */
static void the_end_waits_for_a_slow_reader(void **state) {
    (void)state;
    relay_both();
    size_t sent = send_until_stuck();
    send_end(&client);
    send_end(&server);
    world_settle();
    assert_int_equal(end.calls, 0);
    world_run_until(peer_at_end(&server));
    assert_int_equal(server.received, sent);
    world_run_until(end.calls > 0);
    assert_ended(sent, 0, 0);
}

static void it_does_not_end_before_the_last_byte_has_left(void **state) {
    (void)state;
    struct peer ours = {.fd = mw_stream_fd(b.stream)};
    send_end(&server);
    peer_send_until_stuck(&ours);
    client.sent = ours.sent;
    peer_send(&client, 1000);
    send_end(&client);
    relay_both();
    world_run_until(mw_stream_pending(b.stream) == 1000);
    world_settle();
    assert_int_equal(end.calls, 0);
    world_run_until(peer_at_end(&server) && end.calls > 0);
    assert_int_equal(server.received, client.sent);
    assert_ended(1000, 0, 0);
}

static void what_is_unread_and_queued_goes_first(void **state) {
    (void)state;
    a.leaves_input = true;
    assert_int_equal(witness_queue(&b, 0, 100), 0);
    client.sent = 100;
    peer_send(&client, 1000);
    world_run_until(a.readable > 0);
    relay_both();
    peer_send(&client, 500);
    world_run_until(peer_has(&server, 1600));
}

static void more_may_be_unread_than_one_turn_moves(void **state) {
    (void)state;
    size_t size, sent = 2 * MIB;
    a.leaves_input = true;
    mw_stream_await_input(a.stream, sent);
    world_run_until(
        (peer_send(&client, sent - client.sent), mw_stream_unread(a.stream, &size), size == sent));
    relay_both();
    world_run_until(peer_has(&server, sent));
}

/* Takes whatever it is given. */
static ssize_t swallow(struct mw_stream *stream, const struct iovec *pieces, int count) {
    ssize_t size = 0;
    (void)stream;
    for (int i = 0; i < count; i++) {
        size += (ssize_t)pieces[i].iov_len;
    }
    return size;
}

static void a_turn_of_copying_has_an_end(void **state) {
    (void)state;
    size_t size, sent = 2 * MIB;
    struct mw_stream_counters counters;
    struct mw_stream_ops ops = mw_plain_ops;
    ops.write = swallow;
    witness_close(&b, 0);
    witness_open(&b, dup(server.fd), &ops, NULL);
    a.leaves_input = true;
    mw_stream_await_input(a.stream, sent);
    world_run_until(
        (peer_send(&client, sent - client.sent), mw_stream_unread(a.stream, &size), size == sent));
    relay_both();
    ev_run(mw_loop_ev(world.loop), EVRUN_NOWAIT);
    mw_stream_count(b.stream, &counters);
    assert_true(counters.sent > 0 && counters.sent <= 2 * TURN);
    world_run_until((mw_stream_count(b.stream, &counters), counters.sent == sent));
    witness_close(&b, 0);
}

/* The input is still in the scratch buffer when the relay takes over. */
static void start_in_the_event(void *owner) {
    (void)owner;
    relay_both();
}

static void it_may_start_when_input_comes(void **state) {
    (void)state;
    const struct mw_stream_events events = {.on_readable = start_in_the_event};
    mw_stream_set_owner(a.stream, &events, NULL);
    peer_send(&client, 20 * KIB);
    world_run_until(peer_has(&server, 20 * KIB));
    world_run_until(passes(&client, &server, MIB));
}

static size_t received_by(const struct witness *witness) {
    struct mw_stream_counters counters;
    mw_stream_count(witness->stream, &counters);
    return counters.received;
}

static void neighbours_get_their_turn(void **state) {
    (void)state;
    size_t most = 0;
    relay_both();
    double limit = world_clock() + 10;
    while (!passes(&client, &server, 8 * MIB) && world_clock() < limit) {
        size_t before = received_by(&a);
        ev_run(mw_loop_ev(world.loop), EVRUN_NOWAIT);
        size_t moved = received_by(&a) - before;
        most = moved > most ? moved : most;
    }
    assert_int_equal(server.received, 8 * MIB);
    assert_true(most > 0 && most <= 2 * (TURN + 64 * KIB));
}

static void memory_stays_at_the_marks_when_nobody_reads(void **state) {
    (void)state;
    const struct mw_stream_marks *marks = mw_stream_marks(b.stream);
    struct mw_relay *relay = relay_both();
    size_t unread, sent = send_until_stuck();
    mw_stream_unread(a.stream, &unread);
    assert_true(unread <= MW_NET_SCRATCH);
    assert_true(mw_stream_pending(b.stream) <= marks->high + 64 * KIB);
    int calls = on_splice.calls;
    world_settle();
    assert_int_equal(on_splice.calls, calls);
    world_run_until(passes(&client, &server, sent + MIB));
    mw_relay_cancel(relay);
}

/* --- splicing --- */

static void little_is_not_spliced(void **state) {
    (void)state;
    relay_both();
    for (size_t i = 1; i <= 50; i++) {
        world_run_until(passes(&client, &server, 1000 * i));
    }
    assert_int_equal(on_splice.calls + on_pipe.calls, 0);
}

static void a_trickle_after_much_is_copied_again(void **state) {
    (void)state;
    int before = world_descriptors();
    relay_both();
    world_run_until(passes(&client, &server, 4 * MIB));
    assert_true(on_splice.calls > 0);
    world_run_until(passes(&client, &server, 4 * MIB + 10));
    int calls = on_splice.calls;
    for (size_t i = 2; i <= 10; i++) {
        world_run_until(passes(&client, &server, 4 * MIB + 10 * i));
    }
    assert_int_equal(on_splice.calls, calls);
    assert_true(world_descriptors() <= before + 2);
}

static void without_pipes_it_is_copied(void **state) {
    (void)state;
    on_pipe = (struct plan){.error = EMFILE, .times = 1000000};
    much_goes_both_ways(state);
    assert_true(on_pipe.calls > 0);
    assert_int_equal(on_splice.calls, 0);
}

static void a_kernel_that_cannot_splice_is_left_in_peace(void **state) {
    (void)state;
    for (int after = 0; after < 4; after++) {
        close_ends();
        open_ends(world_tcp_pair, &mw_plain_ops);
        on_splice = (struct plan){.error = EINVAL, .times = 1000000, .after = after};
        relay_both();
        world_run_until(passes(&client, &server, 4 * MIB));
        assert_int_equal(on_splice.calls, after + 1);
        send_end(&client);
        send_end(&server);
        world_run_until(end.calls > 0);
        assert_ended(4 * MIB, 0, 0);
    }
}

static void short_and_interrupted_calls_are_continued(void **state) {
    (void)state;
    const struct plan plans[] = {
        {.limit = 5000}, {.error = EINTR, .times = 5, .after = 1}, {.error = EAGAIN, .times = 5, .after = 2}};
    for (size_t i = 0; i < 3; i++) {
        close_ends();
        open_ends(world_tcp_pair, &mw_plain_ops);
        on_splice = plans[i];
        much_goes_both_ways(state);
        assert_true(on_splice.calls > 5);
    }
}

static void a_fault_of_splice_ends_the_relay(void **state) {
    (void)state;
    for (int after = 0; after < 2; after++) {
        close_ends();
        open_ends(world_tcp_pair, &mw_plain_ops);
        on_splice = (struct plan){.error = ENETDOWN, .times = 1, .after = after};
        relay_both();
        peer_send(&client, MIB);
        world_run_until((peer_receive(&server, MIB), end.calls > 0));
        assert_int_equal(end.error, ENETDOWN);
    }
}

/* --- the end --- */

static void the_streams_are_the_callers_again(void **state) {
    (void)state;
    const struct mw_stream_marks *marks = mw_stream_marks(a.stream);
    mw_relay_cancel(relay_both());
    assert_ptr_equal(mw_stream_marks(a.stream), marks);
    peer_send(&client, 100);
    peer_send(&server, 200);
    world_run_until(a.received == 100 && b.received == 200);
    assert_int_equal(witness_queue(&a, 0, 300), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&client, 300));
    assert_int_equal(end.calls, 0);
}

/* What has left one peer and not arrived at the other is in the queues. */
static void a_cancel_loses_nothing(void **state) {
    (void)state;
    struct mw_relay *relay = relay_both();
    size_t sent = send_until_stuck();
    a.leaves_input = true;
    mw_relay_cancel(relay);
    struct mw_stream_counters counters;
    mw_stream_count(b.stream, &counters);
    size_t passed = counters.sent + mw_stream_pending(b.stream);
    a.received = passed;
    a.leaves_input = false;
    world_run_until(peer_has(&server, passed));
    witness_take(&a);
    world_run_until(a.received == sent);
}

static void a_cancel_without_memory_is_a_fault_of_the_stream(void **state) {
    (void)state;
    struct mw_relay *relay = relay_both();
    send_until_stuck();
    assert_true(on_splice.calls > 0);
    mw_buf_pool_clear(&world.net->pool);
    alloc_failure_arm(1);
    mw_relay_cancel(relay);
    assert_true(alloc_failure_disarm());
    assert_int_equal(mw_stream_output_fault(b.stream), ENOMEM);
}

static void closing_a_stream_ends_it(void **state) {
    (void)state;
    struct witness *const witnesses[] = {&a, &b};
    for (int i = 0; i < 4; i++) {
        relay_both();
        world_run_until(passes(&client, &server, MIB));
        struct witness *witness = witnesses[i % 2];
        if (i < 2) {
            witness_close(witness, 0);
        } else {
            mw_stream_abort(witness->stream);
            witness->stream = NULL;
        }
        assert_ended(MIB, 0, ECANCELED);
        close_ends();
        open_ends(world_tcp_pair, &mw_plain_ops);
    }
}

/* Bytes that are in the pipe when the receiving stream is closed leave with it. */
static void closing_with_a_farewell_loses_nothing(void **state) {
    (void)state;
    a.leaves_input = true;
    relay_both();
    send_until_stuck();
    witness_close(&b, 10);
    assert_int_equal(end.error, ECANCELED);
    world_run_until(peer_at_end(&server));
    assert_int_equal(server.fault, 0);
    assert_int_equal(server.received, end.a_to_b);
    send_end(&server);
    world_run_until(world.net->streams == 1);
}

static void the_owner_may_close_both_in_the_end(void **state) {
    (void)state;
    end.closes = true;
    relay_both();
    send_end(&client);
    send_end(&server);
    world_run_until(end.calls > 0);
    assert_int_equal(world.net->streams, 0);
}

static void a_reset_is_told_after_what_came_before(void **state) {
    (void)state;
    relay_both();
    world_run_until(passes(&client, &server, 1000));
    peer_reset(&client);
    client.fd = -1;
    world_run_until(end.calls > 0);
    assert_ended(1000, 0, ECONNRESET);
}

static void a_reset_of_the_receiver_is_told(void **state) {
    (void)state;
    a.leaves_input = true;
    relay_both();
    world_run_until(passes(&client, &server, MIB));
    peer_send(&client, 16 * MIB);
    world_settle();
    peer_reset(&server);
    server.fd = -1;
    world_run_until(end.calls > 0);
    assert_true(end.error == ECONNRESET || end.error == EPIPE);
}

/* A relay between memory streams: near[0] - near[1], relayed to far[0] - far[1]. */
static struct mw_relay *relay_beside(struct mw_stream *near[2], struct mw_stream *far[2]) {
    const struct mw_relay_options options = {0};
    assert_true(mw_stream_new_memory(world.net, near));
    assert_true(mw_stream_new_memory(world.net, far));
    struct mw_relay *relay = mw_relay_start(near[1], far[0], &options, on_done, &end);
    assert_non_null(relay);
    return relay;
}

/* What is in the pipe is nobody's then. */
static void bytes_of_a_broken_relay_do_not_turn_up_in_the_next(void **state) {
    (void)state;
    struct mw_stream *near[2], *far[2];
    struct mw_relay *beside = relay_beside(near, far); /* keeps the pipes of the net */
    a.leaves_input = true;
    on_splice = (struct plan){.error = ENETDOWN, .times = 1, .after = 1};
    relay_both();
    peer_send(&client, MIB);
    world_run_until((peer_receive(&server, MIB), end.calls > 0));
    assert_int_equal(mw_stream_output_fault(b.stream), ENETDOWN);
    close_ends();
    open_ends(world_tcp_pair, &mw_plain_ops);
    relay_both();
    world_run_until(passes(&client, &server, 4 * MIB));
    assert_true(on_splice.calls > 0);
    mw_relay_cancel(beside);
    for (int i = 0; i < 2; i++) {
        mw_stream_close(near[i], 0);
        mw_stream_close(far[i], 0);
    }
}

static void a_stream_that_is_faulty_or_ended_already_is_told_of_later(void **state) {
    (void)state;
    assert_int_equal(mw_stream_shutdown(b.stream), 0);
    relay_both();
    peer_send(&client, 10);
    world_run_until(end.calls > 0);
    assert_ended(0, 0, ESHUTDOWN);
    close_ends();
    open_ends(world_tcp_pair, &mw_plain_ops);
    peer_reset(&client);
    client.fd = -1;
    world_run_until(mw_stream_input_fault(a.stream));
    relay_both();
    world_run_until(end.calls > 0);
    assert_ended(0, 0, ECONNRESET);
}

static void both_may_have_ended_before(void **state) {
    (void)state;
    send_end(&client);
    send_end(&server);
    world_run_until(mw_stream_at_end(a.stream) && mw_stream_at_end(b.stream));
    relay_both();
    world_run_until(end.calls > 0);
    assert_ended(0, 0, 0);
    world_run_until(peer_at_end(&client) && peer_at_end(&server));
}

static void silence_ends_it(void **state) {
    (void)state;
    double start = world_clock();
    relay_idling(0.1);
    world_run_until(end.calls > 0);
    assert_ended(0, 0, ETIMEDOUT);
    assert_true(world_clock() - start >= 0.09);
    assert_int_equal(world.net->streams, 2);
}

static void bytes_either_way_put_the_end_off(void **state) {
    (void)state;
    double start = world_clock();
    relay_idling(0.4);
    while (world_clock() - start < 1) {
        size_t size = server.received + 1;
        world_run_until(passes(&client, &server, size));
    }
    assert_int_equal(end.calls, 0);
    world_run_until(end.calls > 0);
    assert_int_equal(end.error, ETIMEDOUT);
}

/* The relay hears nothing meanwhile: only the queue gets shorter. */
static void slow_delivery_is_no_silence(void **state) {
    (void)state;
    on_pipe = (struct plan){.error = EMFILE, .times = 1000000};
    a.leaves_input = true;
    relay_idling(0.4);
    send_until_stuck();
    double next = world_clock();
    for (int i = 0; i < 60; i++) {
        peer_receive(&server, 10 * KIB);
        next += 0.01;
        world_run_until(world_clock() >= next);
    }
    assert_int_equal(end.calls, 0);
    world_run_until(end.calls > 0);
    assert_int_equal(end.error, ETIMEDOUT);
}

static void a_relay_in_use_takes_no_other(void **state) {
    (void)state;
    const struct mw_relay_options options = {0};
    struct witness c = {0};
    int ends[2];
    world_unix_pair(ends);
    witness_open(&c, ends[0], &mw_plain_ops, NULL);
    struct mw_relay *relay = relay_both();
    assert_null(mw_relay_start(a.stream, c.stream, &options, on_done, &end));
    assert_int_equal(errno, EBUSY);
    assert_null(mw_relay_start(c.stream, a.stream, &options, on_done, &end));
    assert_int_equal(errno, EBUSY);
    peer_send(&(struct peer){.fd = ends[1]}, 10);
    world_run_until(c.received == 10);
    mw_relay_cancel(relay);
    witness_close(&c, 0);
    close(ends[1]);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const struct mw_relay_options options = {.idle = 10};
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        close_all(state);
        open_plain(state);
        alloc_failure_arm(nth);
        struct mw_relay *relay = mw_relay_start(a.stream, b.stream, &options, on_done, &end);
        if (relay) {
            world_run_until(passes(&client, &server, 2 * MIB) || end.calls > 0);
            send_end(&client);
            send_end(&server);
            world_run_until((peer_receive(&server, MIB), end.calls > 0));
        }
        failed = alloc_failure_disarm();
        assert_true(failed || nth > 4);
        assert_true(!relay || end.error == 0 || end.error == ENOMEM);
    }
    assert_ended(2 * MIB, 0, 0);
}

static void memory_streams_are_relayed(void **state) {
    (void)state;
    struct mw_stream *near[2], *far[2];
    struct witness left = {0}, right = {0};
    relay_beside(near, far);
    witness_own(&left, near[0]);
    witness_own(&right, far[1]);
    assert_int_equal(witness_queue(&left, 0, MIB), 0);
    assert_int_equal(witness_queue(&right, 0, 3 * MIB), 0);
    assert_int_equal(mw_stream_shutdown(left.stream), 0);
    assert_int_equal(mw_stream_shutdown(right.stream), 0);
    world_run_until(end.calls > 0 && mw_stream_at_end(left.stream) && mw_stream_at_end(right.stream));
    assert_ended(MIB, 3 * MIB, 0);
    assert_int_equal(right.received, MIB);
    assert_int_equal(left.received, 3 * MIB);
    mw_stream_close(near[1], 0);
    mw_stream_close(far[0], 0);
    witness_close(&left, 0);
    witness_close(&right, 0);
}

#define ON(open, test)                                                                                       \
    { #test " (" #open ")", test, open, close_all, NULL }
#define ON_PLAIN(test) ON(open_plain, test)
#define ON_ALL(test) ON(open_plain, test), ON(open_other, test), ON(open_unix, test)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_ALL(bytes_go_both_ways),
        ON(open_plain, between_plain_sockets_it_is_spliced),
        ON(open_unix, between_plain_sockets_it_is_spliced),
        ON(open_other, elsewhere_it_is_copied),
        ON_ALL(one_direction_may_end_long_before_the_other),
        ON_ALL(the_other_direction_may_end_first),
        ON_ALL(the_end_waits_for_a_slow_reader),
        ON_ALL(it_does_not_end_before_the_last_byte_has_left),
        ON_ALL(what_is_unread_and_queued_goes_first),
        ON_ALL(more_may_be_unread_than_one_turn_moves),
        ON_ALL(it_may_start_when_input_comes),
        ON_ALL(neighbours_get_their_turn),
        ON_PLAIN(a_turn_of_copying_has_an_end),
        ON_ALL(memory_stays_at_the_marks_when_nobody_reads),
        ON_PLAIN(little_is_not_spliced),
        ON_PLAIN(a_trickle_after_much_is_copied_again),
        ON_PLAIN(without_pipes_it_is_copied),
        ON_PLAIN(a_kernel_that_cannot_splice_is_left_in_peace),
        ON_PLAIN(short_and_interrupted_calls_are_continued),
        ON_PLAIN(a_fault_of_splice_ends_the_relay),
        ON_ALL(the_streams_are_the_callers_again),
        ON_ALL(a_cancel_loses_nothing),
        ON_PLAIN(a_cancel_without_memory_is_a_fault_of_the_stream),
        ON_PLAIN(closing_a_stream_ends_it),
        ON_ALL(closing_with_a_farewell_loses_nothing),
        ON_ALL(the_owner_may_close_both_in_the_end),
        ON(open_plain, a_reset_is_told_after_what_came_before),
        ON(open_other, a_reset_is_told_after_what_came_before),
        ON(open_plain, a_reset_of_the_receiver_is_told),
        ON(open_other, a_reset_of_the_receiver_is_told),
        ON_PLAIN(bytes_of_a_broken_relay_do_not_turn_up_in_the_next),
        ON_PLAIN(a_stream_that_is_faulty_or_ended_already_is_told_of_later),
        ON_ALL(both_may_have_ended_before),
        ON_PLAIN(silence_ends_it),
        ON_PLAIN(bytes_either_way_put_the_end_off),
        ON(open_unix, slow_delivery_is_no_silence),
        ON_PLAIN(a_relay_in_use_takes_no_other),
        ON_PLAIN(every_allocation_may_fail),
        ON_PLAIN(memory_streams_are_relayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
