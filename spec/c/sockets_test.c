/* layers: proc net loop proto base */
#include "base/log.h"
#include "net/socket.h"
#include "proc/sockets.h"
#include "support/world.h"

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

enum { WORKERS = 3 };

static struct mw_sockets *sockets;
static struct mw_fault fault;
static const bool all[WORKERS] = {true, true, true};
static char folder[] = "/tmp/sockets_test.XXXXXX";
static char path[64], path_text[80];
static int descriptors_at_start;

/* The keeper: what it has for us, and what it was given. */
static struct {
    int offered[4], offers;
    const char *offered_name;
    bool exists;
    char name[MW_SOCKET_NAME];
    char last[MW_SOCKET_NAME]; /* that was to be forgotten */
    int kept, forgotten;
} keeper;

static int take(void *context, const struct mw_addr *addr, int type, char name[MW_SOCKET_NAME]) {
    (void)context;
    snprintf(name, MW_SOCKET_NAME, "%s", keeper.offered_name ? keeper.offered_name : keeper.name);
    assert_true(addr->length > 0);
    assert_true(type == SOCK_STREAM || type == SOCK_DGRAM);
    return keeper.offers ? keeper.offered[--keeper.offers] : -1;
}

static bool keep(void *context, const char *name, const int *descriptors, int count) {
    (void)context;
    for (int i = 0; i < count; i++) {
        assert_true(descriptors[i] >= 0);
    }
    snprintf(keeper.name, sizeof keeper.name, "%s", name);
    keeper.kept = count;
    return keeper.exists;
}

static void forget(void *context, const char *name) {
    (void)context;
    snprintf(keeper.last, sizeof keeper.last, "%s", name);
    keeper.forgotten++;
}

static int open_all(void **state) {
    (void)state;
    const struct mw_sockets_keeper events = {.take = take, .keep = keep, .forget = forget};
    memset(&keeper, 0, sizeof keeper);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(path_text, sizeof path_text, "unix://%s", path);
    mw_log_set_level(MW_LOG_ERROR);
    descriptors_at_start = world_descriptors();
    sockets = mw_sockets_new(WORKERS, &events);
    assert_non_null(sockets);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    mw_sockets_free(sockets);
    unlink(path);
    assert_int_equal(world_descriptors(), descriptors_at_start);
    return rmdir(folder);
}

static struct mw_listening listening_on(const char *text) {
    struct mw_listening listening = {.mode = -1, .no_delay = true};
    const char *why;
    snprintf(listening.text, sizeof listening.text, "%s", text);
    listening.datagram = strncmp(text, "udp", 3) == 0;
    assert_true(mw_address_parse(&listening.address, text, strlen(text), &why));
    return listening;
}

static struct mw_socket_set *open_for(const char *service, const char *text, const bool *on) {
    struct mw_listening listening = listening_on(text);
    return mw_sockets_take(sockets, service, 0, &listening, on, &fault);
}

static struct mw_socket_set *open_set(const char *text) {
    struct mw_socket_set *set = open_for("echo", text, all);
    assert_non_null(set);
    return set;
}

static void settle(struct mw_socket_set *set, const char *text, const bool *on) {
    struct mw_listening listening = listening_on(text);
    mw_socket_set_settle(set, "echo", &listening, on);
}

static int port_of(int fd) {
    struct mw_addr local;
    assert_true(fd >= 0);
    mw_socket_local(fd, &local);
    return ntohs(local.v4.sin_port);
}

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

static void each_worker_has_its_own_on_one_port(void **state) {
    (void)state;
    const char *const texts[] = {"tcp://127.0.0.1:0", "udp://127.0.0.1:0"};
    for (int i = 0; i < 2; i++) {
        char expected[64];
        struct mw_socket_set *set = open_set(texts[i]);
        int port = port_of(mw_socket_set_descriptor(set, 1));
        assert_int_not_equal(port, 0);
        for (int worker = 2; worker <= WORKERS; worker++) {
            assert_int_not_equal(mw_socket_set_descriptor(set, worker), mw_socket_set_descriptor(set, worker - 1));
            assert_int_equal(port_of(mw_socket_set_descriptor(set, worker)), port);
        }
        snprintf(expected, sizeof expected, "%.3s://127.0.0.1:%d", texts[i], port);
        assert_string_equal(mw_socket_set_address(set), expected);
        mw_socket_set_release(set);
    }
}

static void what_is_held_stays_as_it_is(void **state) {
    (void)state;
    char text[64];
    struct mw_socket_set *set = open_set("tcp://127.0.0.1:0");
    int fd = mw_socket_set_descriptor(set, 2);
    assert_ptr_equal(open_set("tcp://127.0.0.1:0"), set);
    mw_socket_set_release(set);
    assert_int_equal(mw_socket_set_descriptor(set, 2), fd);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    snprintf(text, sizeof text, "%s", mw_socket_set_address(set));
    mw_socket_set_release(set);
    set = open_set(text);
    mw_socket_set_release(set);
}

static void port_zero_is_a_service_s_own(void **state) {
    (void)state;
    struct mw_socket_set *one = open_for("one", "tcp://127.0.0.1:0", all);
    struct mw_socket_set *two = open_for("two", "tcp://127.0.0.1:0", all);
    assert_ptr_not_equal(one, two);
    assert_int_not_equal(port_of(mw_socket_set_descriptor(one, 1)), port_of(mw_socket_set_descriptor(two, 1)));
    mw_socket_set_release(one);
    mw_socket_set_release(two);
}

static void only_workers_that_serve_have_one(void **state) {
    (void)state;
    const bool first[WORKERS] = {true}, last[WORKERS] = {false, false, true};
    struct mw_socket_set *set = open_for("echo", "tcp://127.0.0.1:0", first);
    int port = port_of(mw_socket_set_descriptor(set, 1));
    assert_int_equal(mw_socket_set_descriptor(set, 2), -1);
    assert_ptr_equal(open_for("echo", "tcp://127.0.0.1:0", last), set);
    assert_int_equal(port_of(mw_socket_set_descriptor(set, 3)), port);
    settle(set, "tcp://127.0.0.1:0", last);
    assert_int_equal(mw_socket_set_descriptor(set, 1), -1);
    assert_int_equal(port_of(mw_socket_set_descriptor(set, 3)), port);
    mw_socket_set_release(set);
    mw_socket_set_release(set);
}

static void options_of_what_is_open_change(void **state) {
    (void)state;
    struct mw_socket_set *set = open_set("tcp://127.0.0.1:0");
    struct mw_listening listening = listening_on("tcp://127.0.0.1:0");
    int fd = mw_socket_set_descriptor(set, 3);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    listening.no_delay = false;
    listening.keep_alive = true;
    mw_socket_set_settle(set, "echo", &listening, all);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    mw_socket_set_release(set);
}

static void a_port_that_another_shares_is_in_use(void **state) {
    (void)state;
    char text[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(mw_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(text, sizeof text, "tcp://127.0.0.1:%d", port_of(fd));
    assert_null(open_for("echo", text, all));
    assert_string_equal(fault.code, "in_use");
    struct mw_socket_set *other = open_set("tcp://127.0.0.1:0");
    settle(other, "tcp://127.0.0.1:0", all);
    struct mw_socket_set *set = open_set(text);
    mw_socket_set_release(set);
    mw_socket_set_release(other);
    close(fd);
}

static void a_unix_socket_is_everybodys(void **state) {
    (void)state;
    struct stat about;
    struct mw_socket_set *set = open_set(path_text);
    struct mw_listening listening = listening_on(path_text);
    assert_int_equal(mw_socket_set_descriptor(set, 1), mw_socket_set_descriptor(set, 3));
    assert_string_equal(mw_socket_set_address(set), path_text);
    listening.mode = 0640;
    mw_socket_set_settle(set, "echo", &listening, all);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    mw_socket_set_release(set);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_descriptor_of_the_config_stays_open(void **state) {
    (void)state;
    char text[32];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(text, sizeof text, "fd://%d", fd);
    struct mw_socket_set *set = open_set(text);
    assert_int_equal(port_of(mw_socket_set_descriptor(set, 2)), port_of(fd));
    mw_socket_set_release(set);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    close(fd);
    assert_null(open_for("echo", text, all));
}

/* A listening socket that somebody hands over, and its address as a config has it. */
static int handed_over(bool shares, char text[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(mw_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, shares));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(text, 64, "tcp://127.0.0.1:%d", port_of(fd));
    keeper.offered[keeper.offers++] = fd;
    return fd;
}

/* An address that is free. */
static void find_place(char text[64]) {
    close(handed_over(true, text));
    keeper.offers = 0;
}

static void the_keeper_gets_them_and_forgets_those_that_go(void **state) {
    (void)state;
    char text[64];
    const bool two[WORKERS] = {true, true};
    keeper.exists = true;
    find_place(text);
    struct mw_socket_set *set = open_set(text);
    assert_int_equal(keeper.kept, 0);
    settle(set, text, all);
    assert_int_equal(keeper.kept, WORKERS);
    assert_null(strpbrk(keeper.name, ": "));
    keeper.kept = keeper.forgotten = 0;
    settle(set, text, all);
    assert_int_equal(keeper.kept, 0);
    settle(set, text, two);
    assert_int_equal(keeper.forgotten, 1);
    assert_int_equal(keeper.kept, 2);
    mw_socket_set_release(set);
    assert_int_equal(keeper.forgotten, 2);
    assert_string_equal(keeper.last, keeper.name);
}

static void a_port_that_the_kernel_chose_is_not_kept(void **state) {
    (void)state;
    keeper.exists = true;
    struct mw_socket_set *set = open_set("tcp://127.0.0.1:0");
    settle(set, "tcp://127.0.0.1:0", all);
    assert_int_equal(keeper.kept, 0);
    mw_socket_set_release(set);
}

static void at_the_end_of_the_process_they_stay_kept(void **state) {
    (void)state;
    keeper.exists = true;
    struct mw_socket_set *set = open_set(path_text);
    settle(set, path_text, all);
    mw_sockets_leave(sockets);
    keeper.forgotten = 0;
    mw_socket_set_release(set);
    assert_int_equal(keeper.forgotten, 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void what_was_kept_is_taken(void **state) {
    (void)state;
    char text[64], name[64];
    int fd = handed_over(true, text);
    snprintf(name, sizeof name, MW_SOCKET_KEPT "stream_127.0.0.1_%d", port_of(fd));
    keeper.exists = true;
    keeper.offered_name = name;
    struct mw_socket_set *set = open_set(text);
    assert_int_equal(mw_socket_set_descriptor(set, 1), fd);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(mw_socket_set_descriptor(set, 2) >= 0);
    assert_int_not_equal(mw_socket_set_descriptor(set, 2), fd);
    settle(set, text, all);
    assert_string_equal(keeper.last, name); /* there may have been more */
    assert_int_equal(keeper.kept, WORKERS);
    mw_socket_set_release(set);
}

static void a_start_that_fails_leaves_it_kept(void **state) {
    (void)state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[128];
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    snprintf(name, sizeof name, MW_SOCKET_KEPT "stream_%s_0", path);
    keeper.offered[keeper.offers++] = fd;
    keeper.offered_name = name;
    struct mw_socket_set *set = open_set(path_text);
    assert_int_equal(mw_socket_set_descriptor(set, 2), fd);
    mw_socket_set_release(set);
    assert_int_equal(keeper.forgotten, 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void one_whose_path_is_gone_is_opened_anew(void **state) {
    (void)state;
    char name[128];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(name, sizeof name, MW_SOCKET_KEPT "stream_%s_0", path);
    keeper.offered[keeper.offers++] = fd;
    keeper.offered_name = name;
    struct mw_socket_set *set = open_set(path_text);
    assert_string_equal(keeper.last, name);
    assert_int_equal(access(path, F_OK), 0);
    mw_socket_set_release(set);
}

static void what_was_kept_for_another_key_is_forgotten(void **state) {
    (void)state;
    char text[64];
    handed_over(true, text);
    keeper.offered_name = MW_SOCKET_KEPT "stream_v6_127.0.0.1_1";
    struct mw_socket_set *set = open_set(text);
    assert_string_equal(keeper.last, keeper.offered_name);
    mw_socket_set_release(set);
}

static void what_is_lent_is_not_kept(void **state) {
    (void)state;
    char text[64];
    int fd = handed_over(false, text);
    keeper.exists = true;
    keeper.offered_name = "moonwire.socket";
    struct mw_socket_set *set = open_set(text);
    for (int worker = 1; worker <= WORKERS; worker++) {
        assert_int_equal(mw_socket_set_descriptor(set, worker), fd);
    }
    settle(set, text, all);
    assert_int_equal(keeper.kept, 0);
    mw_socket_set_release(set);
}

static void what_cannot_be_opened_is_said(void **state) {
    (void)state;
    assert_null(open_for("echo", "tcp://192.0.2.1:80", all));
    assert_memory_equal(fault.message, "listen 192.0.2.1:80: ", 21);
    struct mw_text text = {.bytes = NULL};
    struct mw_value entry;
    struct mw_listening listening;
    size_t table = mw_message_open(&text);
    mw_message_put_string(&text, "address", "tcp://nowhere");
    mw_message_close(&text, table);
    assert_true(mw_message_read(&entry, text.bytes, text.size));
    assert_false(mw_listening_read(&listening, &entry, &fault));
    assert_memory_equal(fault.message, "listen tcp://nowhere: ", 22);
    mw_text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define test(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
        test(each_worker_has_its_own_on_one_port),
        test(what_is_held_stays_as_it_is),
        test(port_zero_is_a_service_s_own),
        test(only_workers_that_serve_have_one),
        test(options_of_what_is_open_change),
        test(a_port_that_another_shares_is_in_use),
        test(a_unix_socket_is_everybodys),
        test(a_descriptor_of_the_config_stays_open),
        test(the_keeper_gets_them_and_forgets_those_that_go),
        test(a_port_that_the_kernel_chose_is_not_kept),
        test(at_the_end_of_the_process_they_stay_kept),
        test(what_was_kept_is_taken),
        test(a_start_that_fails_leaves_it_kept),
        test(one_whose_path_is_gone_is_opened_anew),
        test(what_was_kept_for_another_key_is_forgotten),
        test(what_is_lent_is_not_kept),
        test(what_cannot_be_opened_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
