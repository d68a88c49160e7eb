/* layers: net loop base */
#include "net/standard.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PASSED = 3 };

static int kept[4]; /* what the descriptors 0 to 3 are between tests; -1: nothing */
static int ends[2]; /* of a connection: ours, and the peer's */
static struct mw_standard standard;
static struct mw_fault fault;

static int open_all(void **state) {
    world_open(state);
    for (int fd = 0; fd < 4; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 20);
    }
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int close_all(void **state) {
    for (int fd = 0; fd < 4; fd++) {
        if (kept[fd] >= 0) {
            dup2(kept[fd], fd);
            close(kept[fd]);
        } else {
            close(fd);
        }
    }
    close(ends[1]);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return world_close(state);
}

/* The connection is these descriptors, and no other. */
static void place(int first, int last) {
    for (int fd = first; fd <= last; fd++) {
        assert_int_equal(dup2(ends[0], fd), fd);
    }
    close(ends[0]);
}

static void pass(const char *count) {
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
}

static void empty_input(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(dup2(null, STDIN_FILENO), STDIN_FILENO);
    close(null);
}

static bool take(void) {
    fflush(stdout);
    return mw_standard_take(&standard, &fault);
}

/* The peer sees the end when the one descriptor is closed. */
static void assert_is_alone(void) {
    char byte;
    assert_true(standard.input > STDERR_FILENO);
    assert_int_equal(standard.input, standard.output);
    assert_int_equal(fcntl(standard.input, F_GETFD), FD_CLOEXEC);
    close(standard.input);
    assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
}

static void test_a_socket_leaves_the_standard_places(void **state) {
    (void)state;
    char byte;
    place(0, 1);
    bool taken = take();
    assert_true(taken);
    assert_false(standard.without_log);
    assert_int_equal(read(STDIN_FILENO, &byte, 1), 0);
    assert_is_alone();
}

static void test_standard_error_too(void **state) {
    (void)state;
    place(0, 2);
    bool taken = take();
    assert_true(taken);
    assert_true(standard.without_log);
    assert_int_equal(write(STDERR_FILENO, "log", 3), 3);
    assert_is_alone();
}

static void test_what_systemd_passes_comes_first(void **state) {
    (void)state;
    place(PASSED, PASSED);
    pass("1");
    assert_true(take());
    assert_int_equal(standard.input, PASSED);
    assert_null(getenv("LISTEN_FDS"));
    assert_is_alone();
}

static void test_what_is_passed_to_others_is_not_ours(void **state) {
    (void)state;
    place(PASSED, PASSED);
    pass("1");
    setenv("LISTEN_PID", "1", 1);
    empty_input();
    assert_true(take());
    assert_int_equal(standard.input, STDIN_FILENO);
    assert_int_equal(standard.output, STDOUT_FILENO);
    assert_string_equal(getenv("LISTEN_FDS"), "1");
}

static void test_nonsense_of_systemd_is_ignored(void **state) {
    (void)state;
    static const char *const counts[] = {"-1", "x", "99999999999999999999"};
    close(ends[0]);
    empty_input();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        pass(counts[i]);
        take();
        assert_true(standard.input >= 0);
    }
}

static void test_a_listening_or_datagram_socket_is_no_connection(void **state) {
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    close(ends[0]);
    assert_int_equal(listen(listener, 1), 0);
    dup2(listener, STDIN_FILENO);
    assert_false(take());
    assert_non_null(strstr(fault.message, "listening"));
    dup2(datagrams, STDIN_FILENO);
    assert_false(take());
    assert_non_null(strstr(fault.message, "datagram"));
    close(STDIN_FILENO);
    assert_false(take());
    assert_string_equal(fault.code, "invalid");
    close(listener);
    close(datagrams);
}

static void test_it_becomes_a_stream(void **state) {
    (void)state;
    struct mw_addr peer;
    place(0, 2);
    assert_true(take());
    alloc_failure_arm(1);
    struct mw_stream *stream = mw_standard_open(&standard, world.net, &peer);
    assert_true(alloc_failure_disarm());
    assert_null(stream);
    assert_true(standard.input >= 0);
    stream = mw_standard_open(&standard, world.net, &peer);
    assert_non_null(stream);
    assert_int_equal(peer.any.sa_family, AF_UNIX);
    assert_int_equal(standard.input, -1);
    mw_stream_close(stream, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_socket_leaves_the_standard_places, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_standard_error_too, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_what_systemd_passes_comes_first, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_what_is_passed_to_others_is_not_ours, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_nonsense_of_systemd_is_ignored, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_a_listening_or_datagram_socket_is_no_connection, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_it_becomes_a_stream, open_all, close_all),
    };
    if (fcntl(PASSED, F_GETFD) < 0) { /* a place that the loop must not have */
        dup2(STDOUT_FILENO, PASSED);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
