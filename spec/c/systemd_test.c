/* layers: base loop proto net proc */
/* wrap: sendmsg */
#include "proc/systemd.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct mw_systemd *systemd;
static struct mw_fault fault;
static int manager = -1; /* the socket that the manager listens on */
static char folder[] = "/tmp/systemd_test.XXXXXX";
static char path[64];

static struct { int error, times; } on_sendmsg;

ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");

ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) {
    if (on_sendmsg.times > 0) {
        on_sendmsg.times--;
        errno = on_sendmsg.error;
        return -1;
    }
    return libc_sendmsg(fd, message, flags);
}

static void set_number(const char *variable, long long number) {
    char text[40];
    snprintf(text, sizeof text, "%lld", number);
    setenv(variable, text, 1);
}

static int open_all(void **state) {
    (void)state;
    on_sendmsg.times = 0;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    fault = (struct mw_fault){.code = NULL};
    return 0;
}

static int close_all(void **state) {
    (void)state;
    if (systemd) {
        mw_systemd_free(systemd);
        systemd = NULL;
    }
    if (manager >= 0) {
        close(manager);
        manager = -1;
    }
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void listen_as_manager(const char *place) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, place);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(place));
    if (place[0] == '@') {
        address.sun_path[0] = '\0';
    }
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", place, 1);
}

static void begin(void) {
    systemd = mw_systemd_new(&fault);
    if (!systemd) {
        fail_msg("%s", fault.message);
    }
}

static void begin_managed(void) {
    listen_as_manager(path);
    begin();
}

static char told[2000];
static int given[70], given_count;

static const char *hear(void) {
    union {
        char bytes[CMSG_SPACE(sizeof given)];
        struct cmsghdr aligned;
    } control;
    struct iovec piece = {.iov_base = told, .iov_len = sizeof told - 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
    assert_true(size > 0);
    told[size] = '\0';
    given_count = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header) {
        assert_int_equal(header->cmsg_type, SCM_RIGHTS);
        given_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(given, CMSG_DATA(header), (size_t)given_count * sizeof(int));
    }
    return told;
}

/* --- notification --- */

static void without_a_manager_nothing_happens(void **state) {
    (void)state;
    begin();
    assert_false(mw_systemd_notifies(systemd));
    assert_true(mw_systemd_ready(systemd, "serves"));
    assert_true(mw_systemd_watchdog(systemd));
    assert_true(mw_systemd_store(systemd, "x", &(int){0}, 1));
    assert_true(mw_systemd_watchdog_interval(systemd) <= 0);
    assert_int_equal(mw_systemd_left(systemd), 0);
    assert_int_equal(mw_systemd_take_named(systemd, "x"), -1);
}

static void states_are_told(void **state) {
    (void)state;
    begin_managed();
    assert_true(mw_systemd_notifies(systemd));
    assert_true(mw_systemd_ready(systemd, "serves\n2 services"));
    assert_string_equal(hear(), "READY=1\nSTATUS=serves 2 services");
    assert_true(mw_systemd_ready(systemd, NULL));
    assert_string_equal(hear(), "READY=1\n");
    assert_true(mw_systemd_status(systemd, "%d services", 3));
    assert_string_equal(hear(), "STATUS=3 services");
    assert_true(mw_systemd_stopping(systemd, "drains"));
    assert_string_equal(hear(), "STOPPING=1\nSTATUS=drains");
    assert_true(mw_systemd_main_pid(systemd, 4711));
    assert_string_equal(hear(), "MAINPID=4711\n");
    assert_true(mw_systemd_watchdog(systemd));
    assert_string_equal(hear(), "WATCHDOG=1\n");
}

static void a_reload_says_when_it_began(void **state) {
    (void)state;
    struct timespec now;
    long long moment;
    int end = 0;
    begin_managed();
    assert_true(mw_systemd_reloading(systemd, "reads"));
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_int_equal(sscanf(hear(), "RELOADING=1\nMONOTONIC_USEC=%lld\n%n", &moment, &end), 1);
    assert_string_equal(told + end, "STATUS=reads");
    double age = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)moment * 1e-6;
    assert_true(age > -0.001 && age < 5);
}

static void a_long_status_is_cut(void **state) {
    (void)state;
    char status[3000];
    begin_managed();
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    assert_true(mw_systemd_status(systemd, "%s", status));
    assert_in_range(strlen(hear()), 400, 600);
    assert_true(mw_systemd_ready(systemd, status));
    assert_in_range(strlen(hear()), 400, 600);
}

static void an_abstract_socket_is_found(void **state) {
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@moonwire-systemd-test-%d", (int)getpid());
    listen_as_manager(name);
    begin();
    assert_true(mw_systemd_ready(systemd, NULL));
    assert_string_equal(hear(), "READY=1\n");
}

static void a_full_queue_is_waited_for_and_not_for_ever(void **state) {
    (void)state;
    begin_managed();
    on_sendmsg.error = EAGAIN;
    on_sendmsg.times = 3;
    assert_true(mw_systemd_ready(systemd, NULL));
    assert_string_equal(hear(), "READY=1\n");
    on_sendmsg.times = 100000;
    double start = world_clock();
    assert_false(mw_systemd_watchdog(systemd));
    assert_int_equal(errno, EAGAIN);
    assert_true(world_clock() - start < 5);
}

static void a_manager_that_is_gone_is_said(void **state) {
    (void)state;
    begin_managed();
    close(manager);
    manager = -1;
    assert_false(mw_systemd_ready(systemd, NULL));
    assert_int_equal(errno, ECONNREFUSED);
}

/* --- the watchdog --- */

static void the_watchdog_is_fed_twice_as_often(void **state) {
    (void)state;
    set_number("WATCHDOG_USEC", 20000000);
    begin();
    assert_true(mw_systemd_watchdog_interval(systemd) > 9.99 && mw_systemd_watchdog_interval(systemd) < 10.01);
    assert_null(getenv("WATCHDOG_USEC"));
    mw_systemd_free(systemd);
    set_number("WATCHDOG_USEC", 20000000);
    set_number("WATCHDOG_PID", getpid());
    begin();
    assert_true(mw_systemd_watchdog_interval(systemd) > 9.99);
    mw_systemd_free(systemd);
    set_number("WATCHDOG_USEC", 20000000);
    set_number("WATCHDOG_PID", getppid());
    begin();
    assert_true(mw_systemd_watchdog_interval(systemd) <= 0);
    assert_null(getenv("WATCHDOG_PID"));
}

/* --- nonsense --- */

static void nonsense_is_refused(void **state) {
    (void)state;
    static const char *const nonsense[][2] = {
        {"WATCHDOG_USEC", "0"},  {"WATCHDOG_USEC", "-1"},         {"WATCHDOG_USEC", "x"},
        {"LISTEN_FDS", "-1"},    {"LISTEN_FDS", "4097"},          {"LISTEN_FDS", "3x"},
        {"LISTEN_FDS", "4096"},  {"NOTIFY_SOCKET", "vsock:2:1"},  {"NOTIFY_SOCKET", "@"},
        {"LISTEN_FDS", ""},      {"WATCHDOG_USEC", "99999999999999999999"},
    };
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        setenv(nonsense[i][0], nonsense[i][1], 1);
        pid_t child = fork(); /* descriptors would be taken from the test */
        if (child == 0) {
            set_number("LISTEN_PID", getpid());
            _exit(mw_systemd_new(&fault) || !strstr(fault.message, nonsense[i][0]) || getenv("LISTEN_PID"));
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status) {
            fail_msg("%s=%s was taken", nonsense[i][0], nonsense[i][1]);
        }
        unsetenv(nonsense[i][0]);
    }
    char place[200];
    snprintf(place, sizeof place, "/%0150d", 1);
    setenv("NOTIFY_SOCKET", place, 1);
    assert_null(mw_systemd_new(&fault));
    assert_string_equal(fault.code, "invalid");
}

static void memory_that_is_out_is_said(void **state) {
    (void)state;
    alloc_failure_arm(1);
    assert_null(mw_systemd_new(&fault));
    assert_true(alloc_failure_disarm());
    assert_string_equal(fault.code, "memory");
}

/* --- descriptors: in a child, whose descriptors from 3 on are these --- */

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                      \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static void in_child(void (*check)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        set_number("LISTEN_PID", getpid());
        check();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static struct mw_addr resolve(const char *text) {
    struct mw_address address;
    struct mw_addr addr;
    const char *why;
    CHECK(mw_address_parse(&address, text, strlen(text), &why) && mw_addr_resolve(&addr, &address));
    return addr;
}

/* A blocking, inheritable socket on loopback as descriptor `as`; `addr` gets where. */
static void place_socket(int as, int type, bool listens, struct mw_addr *addr) {
    *addr = resolve("tcp://127.0.0.1:0");
    int fd = socket(AF_INET, type, 0);
    CHECK(bind(fd, &addr->any, addr->length) == 0 && (!listens || listen(fd, 5) == 0));
    CHECK(getsockname(fd, &addr->any, &addr->length) == 0);
    if (fd != as) {
        CHECK(dup2(fd, as) == as);
        close(fd);
    }
}

static void check_taking(void) {
    struct mw_addr web, mail, names, idle;
    char name[MW_SYSTEMD_NAME];
    closefrom(3);
    place_socket(3, SOCK_STREAM, true, &web);
    place_socket(4, SOCK_STREAM, true, &mail);
    place_socket(5, SOCK_DGRAM, false, &names);
    place_socket(6, SOCK_STREAM, false, &idle);
    CHECK(dup2(4, 7) == 7 && dup2(5, 8) == 8);
    set_number("LISTEN_FDS", 6);
    setenv("LISTEN_FDNAMES", "web:mail:names::again", 1);
    begin();
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    CHECK(mw_systemd_left(systemd) == 6);
    for (int fd = 3; fd < 9; fd++) {
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    CHECK(mw_systemd_take(systemd, &mail, SOCK_DGRAM, NULL) == -1);
    CHECK(mw_systemd_take(systemd, &idle, SOCK_STREAM, NULL) == -1); /* does not listen */
    CHECK(mw_systemd_take(systemd, &mail, SOCK_STREAM, name) == 4 && strcmp(name, "mail") == 0);
    CHECK(mw_systemd_take(systemd, &mail, SOCK_STREAM, name) == 7 && strcmp(name, "again") == 0);
    CHECK(mw_systemd_take(systemd, &mail, SOCK_STREAM, name) == -1);
    CHECK(mw_systemd_take(systemd, &names, SOCK_DGRAM, NULL) == 5);
    CHECK(mw_systemd_take_named(systemd, "web") == 3 && mw_systemd_take_named(systemd, "web") == -1);
    CHECK(mw_systemd_left(systemd) == 2);
    mw_systemd_free(systemd);
    CHECK(fcntl(3, F_GETFD) >= 0 && fcntl(7, F_GETFD) >= 0); /* taken: ours */
    CHECK(fcntl(6, F_GETFD) < 0 && fcntl(8, F_GETFD) < 0);
}

static void descriptors_are_taken_by_address_and_name(void **state) {
    (void)state;
    in_child(check_taking);
}

static void check_dropping(void) {
    closefrom(3);
    CHECK(open("/dev/null", O_RDWR) == 3 && dup(3) == 4 && dup(3) == 5);
    set_number("LISTEN_FDS", 3);
    setenv("LISTEN_FDNAMES", "kept/one:other:kept/two", 1);
    begin();
    CHECK(mw_systemd_take_named(systemd, "kept/two") == 5);
    mw_systemd_drop_rest(systemd, "kept/");
    CHECK(fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) >= 0 && fcntl(5, F_GETFD) >= 0);
    mw_systemd_free(systemd);
}

static void what_was_stored_for_nobody_is_dropped(void **state) {
    (void)state;
    in_child(check_dropping);
}

static void check_unix(void) {
    struct mw_addr addr, other = resolve("unix:///run/another");
    char text[200];
    closefrom(3);
    snprintf(text, sizeof text, "unix://%s", path);
    addr = resolve(text);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd == 3 && bind(fd, &addr.any, addr.length) == 0 && listen(fd, 5) == 0);
    set_number("LISTEN_FDS", 1);
    begin();
    CHECK(mw_systemd_take(systemd, &other, SOCK_STREAM, NULL) == -1);
    CHECK(mw_systemd_take(systemd, &addr, SOCK_STREAM, NULL) == 3);
    mw_systemd_free(systemd);
}

static void a_path_is_taken_too(void **state) {
    (void)state;
    in_child(check_unix);
}

static void check_others(void) {
    set_number("LISTEN_PID", getppid());
    set_number("LISTEN_FDS", 1);
    begin();
    CHECK(mw_systemd_left(systemd) == 0 && !getenv("LISTEN_FDS"));
    mw_systemd_free(systemd);
}

static void descriptors_for_others_are_left_alone(void **state) {
    (void)state;
    in_child(check_others);
}

/* --- the store --- */

static void descriptors_are_stored_and_forgotten(void **state) {
    (void)state;
    int pipes[2];
    struct stat one, other;
    begin_managed();
    assert_int_equal(pipe(pipes), 0);
    assert_true(mw_systemd_store(systemd, "echo.1", pipes, 2));
    assert_string_equal(hear(), "FDSTORE=1\nFDNAME=echo.1\nFDPOLL=0\n");
    assert_int_equal(given_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fstat(pipes[i], &one), 0);
        assert_int_equal(fstat(given[i], &other), 0);
        assert_int_equal(one.st_ino, other.st_ino);
        close(pipes[i]);
        close(given[i]);
    }
    assert_true(mw_systemd_unstore(systemd, "echo.1"));
    assert_string_equal(hear(), "FDSTOREREMOVE=1\nFDNAME=echo.1\n");
    assert_int_equal(given_count, 0);
}

static void what_cannot_be_stored_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"", "a:b", "a\nb", "\xc3\xa4"};
    char name[MW_SYSTEMD_NAME + 1];
    begin_managed();
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 5; i++) {
        errno = 0;
        assert_false(mw_systemd_store(systemd, i < 4 ? names[i] : name, &(int){0}, 1));
        assert_int_equal(errno, EINVAL);
        assert_false(mw_systemd_unstore(systemd, i < 4 ? names[i] : name));
    }
    assert_false(mw_systemd_store(systemd, "x", given, 0));
    assert_false(mw_systemd_store(systemd, "x", given, 65));
    assert_false(mw_systemd_store(systemd, "x", &(int){-1}, 1));
    assert_int_equal(errno, EBADF);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_a_manager_nothing_happens),
        TEST(states_are_told),
        TEST(a_reload_says_when_it_began),
        TEST(a_long_status_is_cut),
        TEST(an_abstract_socket_is_found),
        TEST(a_full_queue_is_waited_for_and_not_for_ever),
        TEST(a_manager_that_is_gone_is_said),
        TEST(the_watchdog_is_fed_twice_as_often),
        TEST(nonsense_is_refused),
        TEST(memory_that_is_out_is_said),
        TEST(descriptors_are_taken_by_address_and_name),
        TEST(what_was_stored_for_nobody_is_dropped),
        TEST(a_path_is_taken_too),
        TEST(descriptors_for_others_are_left_alone),
        TEST(descriptors_are_stored_and_forgotten),
        TEST(what_cannot_be_stored_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
