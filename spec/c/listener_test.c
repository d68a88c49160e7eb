/* layers: base loop net */
/* wrap: accept4 listen socket */
#include "base/log.h"
#include "net/listener.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 200, BATCH = 64 };

/* What accept4 does: fails `times` times. */
static struct { int error, times, calls; } on_accept4;
static int listen_error;
static bool without_v6;

static struct mw_listener *listener;
static struct mw_fault fault;
static char folder[] = "/tmp/listener_test.XXXXXX";
static char path[64];

/* What was accepted. */
static struct {
    int fds[MOST];
    struct mw_addr peers[MOST];
    int count;
    bool one_at_a_time, rests;
} accepted;

int wrapped_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags) __asm__("__wrap_accept4");
int libc_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags) __asm__("__real_accept4");
int wrapped_listen(int fd, int backlog) __asm__("__wrap_listen");
int libc_listen(int fd, int backlog) __asm__("__real_listen");
int wrapped_socket(int family, int type, int protocol) __asm__("__wrap_socket");
int libc_socket(int family, int type, int protocol) __asm__("__real_socket");

int wrapped_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags) {
    on_accept4.calls++;
    if (on_accept4.times > 0) {
        on_accept4.times--;
        errno = on_accept4.error;
        return -1;
    }
    return libc_accept4(fd, peer, length, flags);
}

int wrapped_listen(int fd, int backlog) {
    if (listen_error) {
        errno = listen_error;
        return -1;
    }
    return libc_listen(fd, backlog);
}

int wrapped_socket(int family, int type, int protocol) {
    if (without_v6 && family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return libc_socket(family, type, protocol);
}

static bool on_accept(void *owner, int fd, const struct mw_addr *peer) {
    assert_ptr_equal(owner, &accepted);
    assert_true(accepted.count < MOST);
    accepted.fds[accepted.count] = fd;
    accepted.peers[accepted.count] = *peer;
    accepted.count++;
    if (accepted.rests) {
        mw_listener_accept(listener, false);
    }
    return !accepted.one_at_a_time;
}

static const struct mw_listener_events events = {.on_accept = on_accept};

static int open_all(void **state) {
    memset(&accepted, 0, sizeof accepted);
    memset(&on_accept4, 0, sizeof on_accept4);
    listen_error = 0;
    without_v6 = false;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    mw_log_set_level(MW_LOG_ERROR);
    return world_open(state);
}

static void close_accepted(void) {
    for (int i = 0; i < accepted.count; i++) {
        close(accepted.fds[i]);
    }
    accepted.count = 0;
}

static void close_listener(void) {
    if (listener) {
        mw_listener_close(listener);
        listener = NULL;
    }
}

static int close_all(void **state) {
    alloc_failure_disarm();
    close_accepted();
    close_listener();
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return world_close(state);
}

static struct mw_address parse(const char *text) {
    struct mw_address address;
    const char *why;
    assert_true(mw_address_parse(&address, text, strlen(text), &why));
    return address;
}

static int open_with(const char *text, struct mw_listener_options options) {
    struct mw_address address = parse(text);
    fault = (struct mw_fault){0};
    int fd = mw_listener_open(&address, &options, &fault);
    assert_int_equal(fd < 0, fault.code != NULL);
    return fd;
}

static int open_plainly(const char *text) {
    return open_with(text, mw_listener_defaults);
}

static void own(int fd) {
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    listener = mw_listener_new(world.net, fd, &events, &accepted);
    assert_non_null(listener);
}

static void listen_on(const char *text) {
    own(open_plainly(text));
    mw_listener_accept(listener, true);
}

static const char *path_address(void) {
    static char text[80];
    snprintf(text, sizeof text, "unix://%s", path);
    return text;
}

static struct mw_addr local(void) {
    struct mw_addr addr;
    mw_listener_local(listener, &addr);
    assert_true(addr.length > 0);
    return addr;
}

static uint16_t local_port(void) {
    struct mw_addr addr = local();
    return ntohs(addr.any.sa_family == AF_INET ? addr.v4.sin_port : addr.v6.sin6_port);
}

/* A client, or -1 with errno. */
static int call(const struct mw_addr *addr) {
    int fd = libc_socket(addr->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, &addr->any, addr->length) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int call_text(const char *text) {
    struct mw_address address = parse(text);
    struct mw_addr addr;
    assert_true(mw_addr_resolve(&addr, &address));
    return call(&addr);
}

static int call_listener(void) {
    struct mw_addr addr = local();
    return call(&addr);
}

static void assert_reached(int client) {
    assert_true(client >= 0);
    int before = accepted.count;
    world_run_until(accepted.count == before + 1);
    assert_true(fcntl(accepted.fds[before], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepted.fds[before], F_GETFD) & FD_CLOEXEC);
    close(client);
}

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

/* --- addresses --- */

static void v4_is_served_on_the_port_that_the_kernel_chose(void **state) {
    (void)state;
    listen_on("tcp://127.0.0.1:0");
    assert_int_not_equal(local_port(), 0);
    int client = call_listener();
    struct mw_addr address = {.length = sizeof address.storage};
    assert_int_equal(getsockname(client, &address.any, &address.length), 0);
    assert_reached(client);
    assert_int_equal(accepted.peers[0].v4.sin_port, address.v4.sin_port);
}

static void v6_is_served(void **state) {
    (void)state;
    listen_on("tcp://[::1]:0");
    assert_reached(call_listener());
    assert_int_equal(accepted.peers[0].any.sa_family, AF_INET6);
}

static void any_address_serves_both_families(void **state) {
    (void)state;
    char text[64];
    listen_on("tcp://*:0");
    const char *const hosts[] = {"127.0.0.1", "[::1]"};
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "tcp://%s:%d", hosts[i], local_port());
        assert_reached(call_text(text));
    }
    assert_memory_equal(mw_addr_format(&accepted.peers[0], (char[MW_ADDR_TEXT]){0}), "127.0.0.1:", 10);
}

static void v6_alone_leaves_v4_out(void **state) {
    (void)state;
    char text[64];
    struct mw_listener_options options = mw_listener_defaults;
    options.v6_only = true;
    own(open_with("tcp://[::]:0", options));
    mw_listener_accept(listener, true);
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", local_port());
    assert_int_equal(call_text(text), -1);
    assert_int_equal(errno, ECONNREFUSED);
    snprintf(text, sizeof text, "tcp://[::1]:%d", local_port());
    assert_reached(call_text(text));
}

static void without_v6_any_address_is_v4(void **state) {
    (void)state;
    without_v6 = true;
    listen_on("tcp://:0");
    assert_int_equal(local().any.sa_family, AF_INET);
    assert_int_equal(open_plainly("tcp://[::1]:0"), -1);
    assert_string_equal(fault.code, "invalid");
}

static void a_port_in_use_is_said(void **state) {
    (void)state;
    char text[64];
    listen_on("tcp://127.0.0.1:0");
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", local_port());
    assert_int_equal(open_plainly(text), -1);
    assert_string_equal(fault.code, "in_use");
    assert_memory_equal(fault.message, "listen 127.0.0.1:", 17);
}

static void a_port_is_shared_when_asked(void **state) {
    (void)state;
    char text[64];
    struct mw_listener_options options = mw_listener_defaults;
    options.reuse_port = true;
    own(open_with("tcp://127.0.0.1:0", options));
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", local_port());
    int fd = open_with(text, options);
    assert_true(fd >= 0);
    close(fd);
}

static void a_port_may_be_listened_on_again(void **state) {
    (void)state;
    char text[64];
    listen_on("tcp://127.0.0.1:0");
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", local_port());
    assert_reached(call_listener());
    close_accepted();
    close_listener();
    assert_int_equal(call_text(text), -1);
    listen_on(text);
    assert_reached(call_listener());
}

static void connections_inherit_their_options(void **state) {
    (void)state;
    struct mw_listener_options options = mw_listener_defaults;
    for (int on = 0; on < 2; on++) {
        options.no_delay = options.keep_alive = on;
        own(open_with("tcp://127.0.0.1:0", options));
        mw_listener_accept(listener, true);
        assert_reached(call_listener());
        assert_int_equal(option_of(accepted.fds[0], IPPROTO_TCP, TCP_NODELAY), on);
        assert_int_equal(option_of(accepted.fds[0], SOL_SOCKET, SO_KEEPALIVE), on);
        close_accepted();
        close_listener();
    }
    assert_true(mw_listener_defaults.no_delay && !mw_listener_defaults.keep_alive);
}

static void what_cannot_be_listened_on_is_said(void **state) {
    (void)state;
    const struct {
        const char *text, *code;
    } cases[] = {
        {"tcp://example.com:80", "invalid"},
        {"tcp://192.0.2.1:0", "unavailable"},
        {"unix:///nowhere/at/all", "not_found"},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(open_plainly(cases[i].text), -1);
        assert_string_equal(fault.code, cases[i].code);
        assert_memory_equal(fault.message, "listen ", 7);
    }
}

/* --- Unix --- */

static bool exists(void) {
    struct stat status;
    return lstat(path, &status) == 0;
}

static void a_path_is_served_and_removed(void **state) {
    (void)state;
    listen_on(path_address());
    assert_reached(call_text(path_address()));
    assert_int_equal(accepted.peers[0].any.sa_family, AF_UNIX);
    assert_true(exists());
    close_listener();
    assert_false(exists());
}

static void the_mode_of_a_path_is_set(void **state) {
    (void)state;
    const mode_t modes[] = {0600, 0660, 0666};
    for (int i = 0; i < 3; i++) {
        struct stat status;
        struct mw_listener_options options = mw_listener_defaults;
        options.mode = (int)modes[i];
        own(open_with(path_address(), options));
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, modes[i]);
        close_listener();
    }
}

static void without_a_mode_the_umask_decides(void **state) {
    (void)state;
    struct stat status;
    mode_t before = umask(027);
    own(open_plainly(path_address()));
    umask(before);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
}

static void a_stale_path_is_replaced(void **state) {
    (void)state;
    int fd = open_plainly(path_address());
    assert_true(fd >= 0);
    close(fd);
    assert_true(exists());
    listen_on(path_address());
    assert_reached(call_text(path_address()));
}

static void a_living_path_is_refused(void **state) {
    (void)state;
    listen_on(path_address());
    assert_int_equal(open_plainly(path_address()), -1);
    assert_string_equal(fault.code, "in_use");
    assert_non_null(strstr(fault.message, path));
    world_settle();
    close_accepted();
    assert_reached(call_text(path_address()));
}

static void a_file_that_is_no_socket_stays(void **state) {
    (void)state;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(open_plainly(path_address()), -1);
    assert_string_equal(fault.code, "in_use");
    assert_true(exists());
}

static void a_path_that_is_anothers_by_now_stays(void **state) {
    (void)state;
    listen_on(path_address());
    assert_int_equal(unlink(path), 0);
    int other = open_plainly(path_address());
    assert_true(other >= 0);
    close_listener();
    assert_true(exists());
    close(other);
}

static void a_listener_that_does_not_come_about_leaves_no_path(void **state) {
    (void)state;
    listen_error = EOPNOTSUPP;
    assert_int_equal(open_plainly(path_address()), -1);
    assert_string_equal(fault.code, "system");
    assert_false(exists());
}

static void an_abstract_name_is_served(void **state) {
    (void)state;
    char text[64];
    snprintf(text, sizeof text, "unix://@moonwire-test-%d", (int)getpid());
    listen_on(text);
    assert_reached(call_text(text));
    struct mw_addr addr = local();
    assert_string_equal(mw_addr_format(&addr, (char[MW_ADDR_TEXT]){0}), text);
    assert_int_equal(open_plainly(text), -1);
    assert_string_equal(fault.code, "in_use");
}

/* --- adopted descriptors --- */

static int adopt(int fd) {
    char text[32];
    snprintf(text, sizeof text, "fd://%d", fd);
    return open_plainly(text);
}

static void a_listening_descriptor_is_adopted(void **state) {
    (void)state;
    int fd = libc_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(adopt(fd), -1);
    assert_string_equal(fault.code, "invalid");
    assert_int_equal(libc_listen(fd, 5), 0);
    assert_int_equal(adopt(fd), fd);
    own(fd);
    mw_listener_accept(listener, true);
    assert_reached(call_listener());
}

static void a_descriptor_of_another_kind_is_refused(void **state) {
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(adopt(fd), -1);
    assert_string_equal(fault.code, "system");
    close(fd);
    assert_int_equal(adopt(fd), -1);
    assert_string_equal(fault.code, "closed");
    assert_non_null(strstr(fault.message, "fd://"));
}

/* --- accepting --- */

static void call_often(int clients[], int count) {
    for (int i = 0; i < count; i++) {
        clients[i] = call_listener();
        assert_true(clients[i] >= 0);
    }
}

static void close_often(int clients[], int count) {
    for (int i = 0; i < count; i++) {
        close(clients[i]);
    }
}

static void accepting_rests_and_goes_on_when_told(void **state) {
    (void)state;
    own(open_plainly("tcp://127.0.0.1:0"));
    int client = call_listener();
    world_settle();
    assert_int_equal(accepted.count, 0);
    mw_listener_accept(listener, true);
    world_run_until(accepted.count == 1);
    mw_listener_accept(listener, false);
    close(client);
    client = call_listener();
    world_settle();
    assert_int_equal(accepted.count, 1);
    close(client);
}

static void a_burst_is_taken_in_batches(void **state) {
    (void)state;
    int clients[100];
    listen_on("tcp://127.0.0.1:0");
    call_often(clients, 100);
    world_run_until(accepted.count > 0);
    assert_int_equal(accepted.count, BATCH);
    world_run_until(accepted.count == 100);
    close_often(clients, 100);
}

static void the_owner_takes_as_many_as_it_likes(void **state) {
    (void)state;
    int clients[5];
    listen_on("tcp://127.0.0.1:0");
    accepted.one_at_a_time = true;
    call_often(clients, 5);
    world_run_until(accepted.count > 0);
    assert_int_equal(accepted.count, 1);
    accepted.one_at_a_time = false;
    accepted.rests = true;
    world_run_until(accepted.count == 2);
    world_settle();
    assert_int_equal(accepted.count, 2);
    accepted.rests = false;
    mw_listener_accept(listener, true);
    world_run_until(accepted.count == 5);
    close_often(clients, 5);
}

static void a_connection_that_failed_is_skipped(void **state) {
    (void)state;
    const int errors[] = {ECONNABORTED, EINTR, EPROTO, ENETUNREACH};
    listen_on("tcp://127.0.0.1:0");
    for (int i = 0; i < 4; i++) {
        double start = world_clock();
        on_accept4.error = errors[i];
        on_accept4.times = 3;
        assert_reached(call_listener());
        assert_int_equal(on_accept4.times, 0);
        assert_true(world_clock() - start < 1);
    }
}

/* Accepting is tried every 100 ms, not with all the CPU there is. */
static void without_descriptors_accepting_rests_and_recovers(void **state) {
    (void)state;
    const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EINVAL};
    listen_on("tcp://127.0.0.1:0");
    for (int i = 0; i < 5; i++) {
        double start = world_clock();
        on_accept4.error = errors[i];
        on_accept4.times = 2;
        on_accept4.calls = 0;
        assert_reached(call_listener());
        double lasted = world_clock() - start;
        assert_true(lasted >= 0.19 && lasted < 0.6);
        assert_true(on_accept4.calls <= 4);
    }
}

static int entries;

static void count_entry(const char *text) {
    FILE *log = fopen(text, "r");
    char line[1024];
    entries = 0;
    while (fgets(line, sizeof line, log)) {
        assert_non_null(strstr(line, "accepting rests"));
        assert_non_null(strstr(line, "limit of open files"));
        entries++;
    }
    fclose(log);
}

static void a_rest_is_logged_once(void **state) {
    (void)state;
    char text[80];
    snprintf(text, sizeof text, "%s/log", folder);
    mw_log_set_level(MW_LOG_WARN);
    assert_true(mw_log_open(text));
    listen_on("tcp://127.0.0.1:0");
    for (int i = 1; i <= 2; i++) {
        on_accept4.error = EMFILE;
        on_accept4.times = 2;
        assert_reached(call_listener());
        count_entry(text);
        assert_int_equal(entries, i);
    }
    assert_true(mw_log_open(NULL));
    unlink(text);
}

static void a_resting_listener_may_be_closed(void **state) {
    (void)state;
    listen_on("tcp://127.0.0.1:0");
    on_accept4.error = EMFILE;
    on_accept4.times = 1000000;
    int client = call_listener();
    world_run_until(on_accept4.calls > 0);
    close_listener();
    world_settle();
    close(client);
}

static void a_listener_that_gets_no_memory_leaves_the_descriptor(void **state) {
    (void)state;
    int fd = open_plainly("tcp://127.0.0.1:0");
    alloc_failure_arm(1);
    assert_null(mw_listener_new(world.net, fd, &events, &accepted));
    assert_true(alloc_failure_disarm());
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

/* Without memory for the timer of the rest, accepting is tried at once. */
static void a_rest_without_memory_is_none(void **state) {
    (void)state;
    listen_on("tcp://127.0.0.1:0");
    on_accept4.error = EMFILE;
    on_accept4.times = 1;
    int client = call_listener();
    alloc_failure_arm(1);
    assert_reached(client);
    assert_true(alloc_failure_disarm());
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(v4_is_served_on_the_port_that_the_kernel_chose),
        TEST(v6_is_served),
        TEST(any_address_serves_both_families),
        TEST(v6_alone_leaves_v4_out),
        TEST(without_v6_any_address_is_v4),
        TEST(a_port_in_use_is_said),
        TEST(a_port_is_shared_when_asked),
        TEST(a_port_may_be_listened_on_again),
        TEST(connections_inherit_their_options),
        TEST(what_cannot_be_listened_on_is_said),
        TEST(a_path_is_served_and_removed),
        TEST(the_mode_of_a_path_is_set),
        TEST(without_a_mode_the_umask_decides),
        TEST(a_stale_path_is_replaced),
        TEST(a_living_path_is_refused),
        TEST(a_file_that_is_no_socket_stays),
        TEST(a_path_that_is_anothers_by_now_stays),
        TEST(a_listener_that_does_not_come_about_leaves_no_path),
        TEST(an_abstract_name_is_served),
        TEST(a_listening_descriptor_is_adopted),
        TEST(a_descriptor_of_another_kind_is_refused),
        TEST(accepting_rests_and_goes_on_when_told),
        TEST(a_burst_is_taken_in_batches),
        TEST(the_owner_takes_as_many_as_it_likes),
        TEST(a_connection_that_failed_is_skipped),
        TEST(without_descriptors_accepting_rests_and_recovers),
        TEST(a_rest_is_logged_once),
        TEST(a_resting_listener_may_be_closed),
        TEST(a_listener_that_gets_no_memory_leaves_the_descriptor),
        TEST(a_rest_without_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
