/* layers: base loop net */
/* wrap: read writev */
#include "net/stream.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024 };

ssize_t wrapped_read(int fd, void *bytes, size_t size) __asm__("__wrap_read");
ssize_t wrapped_writev(int fd, const struct iovec *pieces, int count) __asm__("__wrap_writev");
ssize_t libc_read(int fd, void *bytes, size_t size) __asm__("__real_read");
ssize_t libc_writev(int fd, const struct iovec *pieces, int count) __asm__("__real_writev");

/* Two pipes: what the stream reads, and what it writes. */
static int input[2], output[2];
static int interruptions;
static struct witness witness;
static struct peer sender, receiver;

static bool interrupted(int fd, int ours) {
    if (fd != ours || interruptions == 0) {
        return false;
    }
    interruptions--;
    errno = EINTR;
    return true;
}

ssize_t wrapped_read(int fd, void *bytes, size_t size) {
    return interrupted(fd, input[0]) ? -1 : libc_read(fd, bytes, size);
}

ssize_t wrapped_writev(int fd, const struct iovec *pieces, int count) {
    return interrupted(fd, output[1]) ? -1 : libc_writev(fd, pieces, count);
}

static int open_all(void **state) {
    world_open(state);
    interruptions = 0;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(fcntl(input[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(output[0], F_SETFL, O_NONBLOCK), 0);
    sender = (struct peer){.fd = input[1]};
    receiver = (struct peer){.fd = output[0]};
    witness = (struct witness){0};
    witness_own(&witness, mw_stream_new_pair(world.net, input[0], output[1]));
    return 0;
}

static int close_all(void **state) {
    witness_close(&witness, 0);
    close(input[1]);
    close(output[0]);
    return world_close(state);
}

static void bytes_come_in_on_one_and_leave_on_the_other(void **state) {
    (void)state;
    peer_send(&sender, 1000);
    world_run_until(witness.received == 1000);
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    assert_int_equal(witness_queue(&witness, 100, 300 * KIB), 0);
    world_run_until(peer_has(&receiver, 300 * KIB + 100));
}

static void interrupted_calls_are_tried_again(void **state) {
    (void)state;
    interruptions = 3;
    peer_send(&sender, 1000);
    world_run_until(witness.received == 1000);
    assert_int_equal(interruptions, 0);
    interruptions = 3;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    world_run_until(peer_has(&receiver, 100));
    assert_int_equal(interruptions, 0);
}

static void a_shutdown_closes_the_output_alone(void **state) {
    (void)state;
    assert_int_equal(witness_queue(&witness, 0, 300 * KIB), 0);
    assert_int_equal(mw_stream_shutdown(witness.stream), 0);
    world_run_until(peer_at_end(&receiver));
    assert_int_equal(receiver.received, 300 * KIB);
    assert_int_equal(fcntl(output[1], F_GETFD), -1);
    peer_send(&sender, 1000);
    world_run_until(witness.received == 1000);
}

static void the_end_of_input_leaves_the_output_open(void **state) {
    (void)state;
    close(input[1]);
    world_run_until(mw_stream_at_end(witness.stream));
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    mw_net_flush(world.net);
    assert_true(peer_has(&receiver, 100));
    input[1] = -1;
}

static void a_reader_that_has_gone_is_a_fault(void **state) {
    (void)state;
    close(output[0]);
    output[0] = -1;
    assert_int_equal(witness_queue(&witness, 0, 100), 0);
    assert_int_equal(mw_stream_flush(witness.stream), EPIPE);
}

/* Other processes share the files behind standard input and output. */
static void the_modes_are_put_back(void **state) {
    (void)state;
    int kept[2] = {dup(input[0]), dup(output[1])};
    for (int i = 0; i < 2; i++) {
        assert_true(fcntl(kept[i], F_GETFL) & O_NONBLOCK);
    }
    witness_close(&witness, 0);
    for (int i = 0; i < 2; i++) {
        assert_false(fcntl(kept[i], F_GETFL) & O_NONBLOCK);
        close(kept[i]);
    }
}

static void a_pair_that_gets_no_memory_leaves_the_descriptors(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (int nth = 1; nth <= 2; nth++) {
        alloc_failure_arm(nth);
        assert_null(mw_stream_new_pair(world.net, ends[0], ends[1]));
        assert_true(alloc_failure_disarm());
    }
    for (int i = 0; i < 2; i++) {
        assert_false(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
        close(ends[i]);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_come_in_on_one_and_leave_on_the_other),
        TEST(interrupted_calls_are_tried_again),
        TEST(a_shutdown_closes_the_output_alone),
        TEST(the_end_of_input_leaves_the_output_open),
        TEST(a_reader_that_has_gone_is_a_fault),
        TEST(the_modes_are_put_back),
        TEST(a_pair_that_gets_no_memory_leaves_the_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
