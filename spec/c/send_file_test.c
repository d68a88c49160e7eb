/* layers: base loop net */
/* wrap: sendfile pread */
#include "net/send_file.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024, SIZE = 3 * MIB, TURN = MIB, PART = 64 * KIB };

/* What a system call does: moves no more than `limit` bytes, and fails `times`
 * times after the first `after` calls. */
struct plan {
    int error, times, after, calls;
    size_t limit, largest;
};

static struct plan on_sendfile, on_pread;
static struct witness witness;
static struct peer peer;
static int file = -1;

/* How the sending ended. */
static struct {
    int calls, error;
    uint64_t sent;
    bool closes;
} end;

ssize_t wrapped_sendfile(int out, int in, off_t *offset, size_t size) __asm__("__wrap_sendfile");
ssize_t wrapped_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("__wrap_pread");
ssize_t libc_sendfile(int out, int in, off_t *offset, size_t size) __asm__("__real_sendfile");
ssize_t libc_pread(int fd, void *bytes, size_t size, off_t offset) __asm__("__real_pread");

static bool intervene(struct plan *plan, size_t *size) {
    plan->calls++;
    plan->largest = *size > plan->largest ? *size : plan->largest;
    if (plan->times > 0 && plan->calls > plan->after) {
        plan->times--;
        errno = plan->error;
        return true;
    }
    if (plan->limit && *size > plan->limit) {
        *size = plan->limit;
    }
    return false;
}

ssize_t wrapped_sendfile(int out, int in, off_t *offset, size_t size) {
    return intervene(&on_sendfile, &size) ? -1 : libc_sendfile(out, in, offset, size);
}

ssize_t wrapped_pread(int fd, void *bytes, size_t size, off_t offset) {
    return intervene(&on_pread, &size) ? -1 : libc_pread(fd, bytes, size, offset);
}

static void on_done(void *context, uint64_t sent, int error) {
    assert_ptr_equal(context, &end);
    end.calls++;
    end.sent = sent;
    end.error = error;
    if (end.closes) {
        witness_close(&witness, 0);
    }
}

/* A transport that is not the plain one, over the same socket. */
static struct mw_stream_ops other_ops;

static void make_file(void) {
    char *bytes = world_bytes(0, SIZE);
    file = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(write(file, bytes, SIZE), SIZE);
    free(bytes);
}

static void start(const struct mw_stream_ops *ops) {
    int ends[2];
    world_tcp_pair(ends);
    on_sendfile = on_pread = (struct plan){0};
    end.calls = end.error = 0;
    end.sent = 0;
    end.closes = false;
    witness = (struct witness){0};
    peer = (struct peer){.fd = ends[1]};
    witness_open(&witness, ends[0], ops, NULL);
}

static int open_plain(void **state) {
    world_open(state);
    make_file();
    start(&mw_plain_ops);
    return 0;
}

static int open_other(void **state) {
    world_open(state);
    make_file();
    other_ops = mw_plain_ops;
    start(&other_ops);
    return 0;
}

static int close_all(void **state) {
    alloc_failure_disarm();
    witness_close(&witness, 0);
    close(peer.fd);
    close(file);
    return world_close(state);
}

static struct mw_send_file *send_part(uint64_t offset, uint64_t length) {
    int calls = end.calls;
    struct mw_send_file *send = mw_send_file_start(witness.stream, file, offset, length, on_done, &end);
    assert_non_null(send);
    assert_int_equal(end.calls, calls);
    return send;
}

static void assert_ended(uint64_t sent, int error) {
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.error, error);
    assert_int_equal(end.sent, sent);
}

/* Reads on at the peer until the sending has ended. */
static void run_to_the_end(void) {
    world_run_until((peer_receive(&peer, MIB), end.calls > 0));
}

static void the_whole_file_arrives(void **state) {
    (void)state;
    struct mw_stream_counters counters;
    send_part(0, SIZE);
    run_to_the_end();
    assert_ended(SIZE, 0);
    world_run_until(peer_has(&peer, SIZE));
    mw_stream_count(witness.stream, &counters);
    assert_int_equal(counters.sent, SIZE);
    assert_true(counters.active > counters.opened);
}

static void a_plain_socket_uses_sendfile_in_turns(void **state) {
    the_whole_file_arrives(state);
    assert_int_equal(on_pread.calls, 0);
    assert_int_equal(on_sendfile.largest, TURN);
}

static void others_read_in_parts(void **state) {
    the_whole_file_arrives(state);
    assert_int_equal(on_sendfile.calls, 0);
    assert_int_equal(on_pread.largest, PART);
}

static void a_part_is_sent_and_the_position_stays(void **state) {
    (void)state;
    assert_int_equal(lseek(file, 5, SEEK_SET), 5);
    peer.received = 100 * KIB;
    send_part(100 * KIB, 200 * KIB);
    run_to_the_end();
    assert_ended(200 * KIB, 0);
    world_run_until(peer_has(&peer, 300 * KIB));
    assert_int_equal(lseek(file, 0, SEEK_CUR), 5);
}

static void sending_stops_at_the_end_of_the_file(void **state) {
    (void)state;
    peer.received = SIZE - 1000;
    send_part(SIZE - 1000, UINT64_MAX);
    run_to_the_end();
    assert_ended(1000, 0);
    send_part(SIZE + 1000, 10);
    world_run_until(end.calls == 2);
    assert_int_equal(end.sent, 0);
    assert_int_equal(end.error, 0);
}

static void nothing_is_sent_at_once_but_told_later(void **state) {
    (void)state;
    send_part(0, 0);
    world_run_until(end.calls > 0);
    assert_ended(0, 0);
    assert_int_equal(on_sendfile.calls + on_pread.calls, 0);
}

static void what_is_queued_goes_first(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    send_part(100, 400 * KIB);
    run_to_the_end();
    assert_ended(400 * KIB, 0);
    assert_int_equal(witness_queue(&witness, 100 + 400 * KIB, 100), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&peer, 200 + 400 * KIB));
}

static void a_full_kernel_is_waited_for(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 8 * MIB), 0);
    assert_true(mw_stream_pending(witness.stream) > 0);
    send_part(0, 10);
    world_settle();
    assert_int_equal(on_sendfile.calls + on_pread.calls, 0);
    while (!peer_has(&peer, 8 * MIB)) {
        world_settle();
    }
    peer.received = 0;
    world_run_until(peer_has(&peer, 10) && end.calls > 0);
    assert_ended(10, 0);
}

static void memory_stays_small_when_the_peer_does_not_read(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        send_part(0, SIZE);
        world_settle();
        if (end.calls == 0) {
            break;
        }
        end.calls = 0;
    }
    assert_int_equal(end.calls, 0);
    int calls = on_sendfile.calls + on_pread.calls;
    assert_true(mw_stream_pending(witness.stream) <= PART);
    world_settle();
    assert_int_equal(on_sendfile.calls + on_pread.calls, calls);
    witness_close(&witness, 0);
    assert_int_equal(end.error, ECANCELED);
}

static void drop_input(void) {
    char bytes[PART];
    while (read(peer.fd, bytes, sizeof bytes) > 0) {
    }
}

static int is_corked(void) {
    int on = 0;
    socklen_t size = sizeof on;
    assert_int_equal(getsockopt(mw_stream_fd(witness.stream), IPPROTO_TCP, TCP_CORK, &on, &size), 0);
    return on;
}

static void a_long_file_leaves_in_whole_segments(void **state) {
    (void)state;
    do {
        end.calls = 0;
        send_part(0, SIZE);
        world_settle();
    } while (end.calls > 0);
    assert_true(is_corked());
    world_run_until((drop_input(), end.calls > 0));
    assert_false(is_corked());
}

static void short_and_interrupted_calls_are_continued(void **state) {
    (void)state;
    const struct plan plans[] = {
        {.limit = 1000}, {.times = 3, .error = EINTR}, {.times = 3, .error = EAGAIN}};
    for (size_t i = 0; i < 3; i++) {
        on_sendfile = on_pread = plans[i];
        end.calls = 0;
        peer.received = 0;
        send_part(0, 200 * KIB);
        run_to_the_end();
        assert_ended(200 * KIB, 0);
        world_run_until(peer_has(&peer, 200 * KIB));
    }
}

static void a_file_that_sendfile_does_not_take_is_read(void **state) {
    (void)state;
    on_sendfile = (struct plan){.times = 1, .error = EINVAL};
    send_part(0, SIZE);
    run_to_the_end();
    assert_ended(SIZE, 0);
    assert_int_equal(on_sendfile.calls, 1);
    world_run_until(peer_has(&peer, SIZE));
}

static void what_cannot_be_read_from_a_position_is_a_fault(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_non_null(mw_send_file_start(witness.stream, ends[0], 0, 100, on_done, &end));
    world_run_until(end.calls > 0);
    assert_ended(0, ESPIPE);
    assert_int_equal(mw_stream_output_fault(witness.stream), 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_disk_that_fails_midway_is_a_fault(void **state) {
    (void)state;
    on_sendfile = on_pread = (struct plan){.limit = 1000, .error = EIO, .times = 1, .after = 2};
    send_part(0, 3000);
    world_run_until(end.calls > 0);
    assert_ended(2000, EIO);
    assert_int_equal(witness_queue(&witness, 2000, 100), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&peer, 2100));
}

static void a_reset_in_the_middle_is_a_fault(void **state) {
    (void)state;
    int starts = 0;
    do {
        send_part(0, SIZE);
        starts++;
        world_settle();
    } while (end.calls == starts);
    end.calls = 0;
    peer_reset(&peer);
    peer.fd = -1;
    world_run_until(end.calls > 0);
    assert_true(end.error == ECONNRESET || end.error == EPIPE);
    assert_true(end.sent < SIZE);
}

static void a_faulty_stream_is_told_of_later(void **state) {
    (void)state;
    assert_int_equal(mw_stream_shutdown(witness.stream), 0);
    send_part(0, SIZE);
    world_run_until(end.calls > 0);
    assert_ended(0, ESHUTDOWN);
}

static void the_owner_may_close_in_the_end(void **state) {
    (void)state;
    end.closes = true;
    send_part(0, 100);
    world_run_until(end.calls > 0);
    assert_ended(100, 0);
    assert_int_equal(world.net->streams, 0);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 100);
}

static void a_cancelled_file_is_not_told_of(void **state) {
    (void)state;
    struct mw_send_file *send = send_part(0, UINT64_MAX);
    assert_int_equal(mw_send_file_cancel(send), 0);
    world_settle();
    assert_int_equal(end.calls, 0);
    on_sendfile = on_pread = (struct plan){.limit = 1000};
    send = send_part(0, UINT64_MAX);
    world_run_until(on_sendfile.calls + on_pread.calls == 5);
    uint64_t sent = mw_send_file_cancel(send);
    assert_int_equal(sent, 5000);
    assert_int_equal(witness_queue(&witness, 5000, 100), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&peer, 5100));
    world_settle();
    assert_int_equal(end.calls, 0);
}

static void what_is_queued_leaves_after_a_cancel(void **state) {
    (void)state;
    struct peer ours = {.fd = mw_stream_fd(witness.stream)};
    peer_send_until_stuck(&ours);
    struct mw_send_file *send = send_part(0, SIZE);
    world_settle();
    assert_int_equal(mw_stream_pending(witness.stream), PART);
    mw_send_file_cancel(send);
    assert_int_equal(mw_stream_pending(witness.stream), PART);
    world_run_until(peer_has(&peer, ours.sent));
    peer.received = 0;
    world_run_until(peer_has(&peer, PART));
    assert_int_equal(end.calls, 0);
}

static void closing_the_stream_ends_it(void **state) {
    (void)state;
    on_sendfile = on_pread = (struct plan){.limit = 1000};
    send_part(0, SIZE);
    world_run_until(on_sendfile.calls + on_pread.calls == 5);
    witness_close(&witness, 5);
    assert_ended(5000, ECANCELED);
    world_run_until(peer_at_end(&peer));
    assert_int_equal(peer.received, 5000);
    assert_int_equal(peer.fault, 0);
}

static void an_abort_ends_it(void **state) {
    (void)state;
    send_part(0, SIZE);
    mw_stream_abort(witness.stream);
    witness.stream = NULL;
    assert_ended(0, ECANCELED);
}

static void one_at_a_time(void **state) {
    (void)state;
    struct mw_send_file *send = send_part(0, SIZE);
    assert_null(mw_send_file_start(witness.stream, file, 0, 10, on_done, &end));
    assert_int_equal(errno, EBUSY);
    mw_send_file_cancel(send);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const struct mw_stream_ops *ops = mw_stream_transport(witness.stream);
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        end.calls = 0;
        mw_buf_pool_clear(&world.net->pool);
        alloc_failure_arm(nth);
        struct mw_send_file *send = mw_send_file_start(witness.stream, file, 0, 100 * KIB, on_done, &end);
        if (send) {
            run_to_the_end();
        }
        failed = alloc_failure_disarm();
        assert_int_equal(failed, !send || end.error == ENOMEM);
        witness_close(&witness, 0);
        close(peer.fd);
        assert_true(failed || nth > (ops == &other_ops ? 3 : 2));
        start(ops);
    }
}

static void it_goes_through_memory_streams(void **state) {
    (void)state;
    struct mw_stream *ends[2];
    struct witness ours = {0}, theirs = {0};
    assert_true(mw_stream_new_memory(world.net, ends));
    witness_own(&ours, ends[0]);
    witness_own(&theirs, ends[1]);
    assert_non_null(mw_send_file_start(ours.stream, file, 0, SIZE, on_done, &end));
    world_run_until(end.calls > 0 && theirs.received == SIZE);
    assert_ended(SIZE, 0);
    witness_close(&ours, 0);
    witness_close(&theirs, 0);
}

#define ON_PLAIN(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)
#define ON_OTHER(test)                                                                                       \
    { #test " (other)", test, open_other, close_all, NULL }
#define ON_BOTH(test) ON_PLAIN(test), ON_OTHER(test)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_PLAIN(a_plain_socket_uses_sendfile_in_turns),
        ON_OTHER(others_read_in_parts),
        ON_BOTH(a_part_is_sent_and_the_position_stays),
        ON_BOTH(sending_stops_at_the_end_of_the_file),
        ON_BOTH(nothing_is_sent_at_once_but_told_later),
        ON_BOTH(what_is_queued_goes_first),
        ON_BOTH(a_full_kernel_is_waited_for),
        ON_BOTH(memory_stays_small_when_the_peer_does_not_read),
        ON_BOTH(a_long_file_leaves_in_whole_segments),
        ON_BOTH(short_and_interrupted_calls_are_continued),
        ON_PLAIN(a_file_that_sendfile_does_not_take_is_read),
        ON_BOTH(what_cannot_be_read_from_a_position_is_a_fault),
        ON_BOTH(a_disk_that_fails_midway_is_a_fault),
        ON_BOTH(a_reset_in_the_middle_is_a_fault),
        ON_BOTH(a_faulty_stream_is_told_of_later),
        ON_BOTH(the_owner_may_close_in_the_end),
        ON_BOTH(a_cancelled_file_is_not_told_of),
        ON_OTHER(what_is_queued_leaves_after_a_cancel),
        ON_BOTH(closing_the_stream_ends_it),
        ON_BOTH(an_abort_ends_it),
        ON_BOTH(one_at_a_time),
        ON_BOTH(every_allocation_may_fail),
        ON_PLAIN(it_goes_through_memory_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
