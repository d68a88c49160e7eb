/* layers: base loop net */
/* wrap: sendto recvfrom socket */
#include "net/dgram.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGEST = 65507 };

/* What a system call does: fails `times` times. */
struct plan {
    int error, times, calls;
};

static struct plan on_sendto, on_recvfrom;
static bool without_v6;

/* What was received, and what is done about it. */
struct listener {
    struct mw_dgram *dgram;
    int datagrams, writable, faults;
    int last_fault;
    size_t last_size;
    char last[LARGEST + 1];
    struct mw_addr peer;
    bool closes, rests; /* in the next event */
};

static struct listener a, b;

ssize_t wrapped_sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to,
                       socklen_t length) __asm__("__wrap_sendto");
ssize_t libc_sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to,
                    socklen_t length) __asm__("__real_sendto");
ssize_t wrapped_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                         socklen_t *length) __asm__("__wrap_recvfrom");
ssize_t libc_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                      socklen_t *length) __asm__("__real_recvfrom");
int wrapped_socket(int family, int type, int protocol) __asm__("__wrap_socket");
int libc_socket(int family, int type, int protocol) __asm__("__real_socket");

static bool fails(struct plan *plan) {
    plan->calls++;
    if (plan->times == 0) {
        return false;
    }
    plan->times--;
    errno = plan->error;
    return true;
}

ssize_t wrapped_sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to,
                       socklen_t length) {
    return fails(&on_sendto) ? -1 : libc_sendto(fd, bytes, size, flags, to, length);
}

ssize_t wrapped_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                         socklen_t *length) {
    return fails(&on_recvfrom) ? -1 : libc_recvfrom(fd, bytes, size, flags, from, length);
}

int wrapped_socket(int family, int type, int protocol) {
    if (without_v6 && family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return libc_socket(family, type, protocol);
}

static void close_listener(struct listener *listener) {
    if (listener->dgram) {
        mw_dgram_close(listener->dgram);
        listener->dgram = NULL;
    }
}

static void obey(struct listener *listener) {
    if (listener->rests) {
        mw_dgram_receive(listener->dgram, false);
    }
    if (listener->closes) {
        close_listener(listener);
    }
}

static void on_datagram(void *owner, const char *bytes, size_t size, const struct mw_addr *peer) {
    struct listener *listener = owner;
    listener->datagrams++;
    listener->last_size = size;
    memcpy(listener->last, bytes, size);
    listener->peer = *peer;
    obey(listener);
}

static void on_writable(void *owner) {
    struct listener *listener = owner;
    listener->writable++;
    obey(listener);
}

static void on_fault(void *owner, int error) {
    struct listener *listener = owner;
    listener->faults++;
    listener->last_fault = error;
    obey(listener);
}

static const struct mw_dgram_events events = {
    .on_datagram = on_datagram,
    .on_writable = on_writable,
    .on_fault = on_fault,
};

static int open_all(void **state) {
    on_sendto = on_recvfrom = (struct plan){0};
    without_v6 = false;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    return world_open(state);
}

static int close_all(void **state) {
    close_listener(&a);
    close_listener(&b);
    return world_close(state);
}

static struct mw_address parse(const char *text) {
    struct mw_address address;
    const char *why;
    assert_true(mw_address_parse(&address, text, strlen(text), &why));
    return address;
}

static int open_with(const char *text, struct mw_dgram_options options, struct mw_fault *fault) {
    struct mw_address address = parse(text);
    *fault = (struct mw_fault){0};
    return mw_dgram_open(&address, &options, fault);
}

static void own(struct listener *listener, int fd) {
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    listener->dgram = mw_dgram_new(world.net, fd, &events, listener);
    assert_non_null(listener->dgram);
    assert_int_equal(mw_dgram_fd(listener->dgram), fd);
}

static void bind_to(struct listener *listener, const char *text) {
    struct mw_fault fault;
    own(listener, open_with(text, mw_dgram_defaults, &fault));
    mw_dgram_receive(listener->dgram, true);
}

static struct mw_addr local_of(const struct listener *listener) {
    struct mw_addr local;
    mw_dgram_local(listener->dgram, &local);
    assert_true(local.length > 0);
    return local;
}

static void connect_to(struct listener *listener, const struct mw_addr *peer) {
    struct mw_fault fault;
    own(listener, mw_dgram_connect(peer, NULL, &mw_dgram_defaults, &fault));
    mw_dgram_receive(listener->dgram, true);
}

static uint16_t port_of(const struct mw_addr *addr) {
    return ntohs(addr->any.sa_family == AF_INET ? addr->v4.sin_port : addr->v6.sin6_port);
}

static int send_text(struct listener *from, const char *text, const struct mw_addr *peer) {
    return mw_dgram_send(from->dgram, text, strlen(text), peer);
}

static void assert_heard(const struct listener *listener, const char *text) {
    assert_int_equal(listener->last_size, strlen(text));
    assert_memory_equal(listener->last, text, strlen(text));
}

/* One there and one back, to the address that the first came from. */
static void exchange(void) {
    struct mw_addr to = local_of(&b);
    assert_int_equal(send_text(&a, "ping", &to), 0);
    world_run_until(b.datagrams == 1);
    assert_heard(&b, "ping");
    assert_int_equal(send_text(&b, "pong!", &b.peer), 0);
    world_run_until(a.datagrams == 1);
    assert_heard(&a, "pong!");
}

/* --- opening --- */

static void v4_and_v6_talk(void **state) {
    (void)state;
    const char *const addresses[] = {"udp://127.0.0.1:0", "udp://[::1]:0"};
    for (size_t i = 0; i < 2; i++) {
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        bind_to(&a, addresses[i]);
        bind_to(&b, addresses[i]);
        exchange();
        struct mw_addr local = local_of(&a);
        assert_int_equal(port_of(&b.peer), port_of(&local));
        close_listener(&a);
        close_listener(&b);
    }
}

static void a_dual_stack_socket_talks_to_both(void **state) {
    (void)state;
    bind_to(&a, "udp://*:0");
    bind_to(&b, "udp://127.0.0.1:0");
    exchange();
    struct mw_addr local = local_of(&a), v4;
    struct mw_address address = {.scheme = MW_SCHEME_UDP, .host = "127.0.0.1", .port = port_of(&local)};
    assert_true(mw_addr_resolve(&v4, &address));
    assert_int_equal(send_text(&b, "to v4", &v4), 0);
    world_run_until(a.datagrams == 2);
    char text[MW_ADDR_TEXT];
    assert_memory_equal(mw_addr_format(&a.peer, text), "127.0.0.1:", 10);
}

static void without_v6_any_is_v4(void **state) {
    (void)state;
    struct mw_fault fault;
    without_v6 = true;
    bind_to(&a, "udp://:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr local = local_of(&a);
    assert_int_equal(local.any.sa_family, AF_INET);
    exchange();
    assert_int_equal(open_with("udp://[::1]:0", mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "invalid");
    assert_int_equal(open_with("udp://:0", (struct mw_dgram_options){.v6_only = true}, &fault), -1);
}

static void v6_alone_leaves_the_port_to_v4(void **state) {
    (void)state;
    struct mw_fault fault;
    char text[64];
    own(&a, open_with("udp://[::]:0", (struct mw_dgram_options){.v6_only = true}, &fault));
    struct mw_addr local = local_of(&a);
    snprintf(text, sizeof text, "udp://0.0.0.0:%d", port_of(&local));
    bind_to(&b, text);
}

static void a_port_is_shared_only_when_asked(void **state) {
    (void)state;
    struct mw_fault fault;
    const struct mw_dgram_options shared = {.reuse_port = true};
    char text[64];
    own(&a, open_with("udp://127.0.0.1:0", shared, &fault));
    struct mw_addr local = local_of(&a);
    snprintf(text, sizeof text, "udp://127.0.0.1:%d", port_of(&local));
    assert_int_equal(open_with(text, mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "in_use");
    assert_non_null(strstr(fault.message, "bind 127.0.0.1:"));
    own(&b, open_with(text, shared, &fault));
}

static void broadcast_is_sent_only_when_asked(void **state) {
    (void)state;
    struct mw_fault fault;
    struct mw_addr all;
    struct mw_address address = parse("udp://127.255.255.255:9");
    assert_true(mw_addr_resolve(&all, &address));
    bind_to(&a, "udp://127.0.0.1:0");
    assert_int_equal(send_text(&a, "hello", &all), EACCES);
    own(&b, open_with("udp://127.0.0.1:0", (struct mw_dgram_options){.broadcast = true}, &fault));
    assert_int_equal(send_text(&b, "hello", &all), 0);
}

static void a_descriptor_is_adopted(void **state) {
    (void)state;
    struct mw_fault fault;
    char text[32];
    int fd = libc_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    snprintf(text, sizeof text, "fd://%d", fd);
    bind_to(&a, text);
    assert_int_equal(mw_dgram_fd(a.dgram), fd);
    bind_to(&b, "udp://127.0.0.1:0");
    exchange();
    int stream = libc_socket(AF_INET, SOCK_STREAM, 0);
    snprintf(text, sizeof text, "fd://%d", stream);
    assert_int_equal(open_with(text, mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "invalid");
    assert_true(fcntl(stream, F_GETFD) >= 0);
    close(stream);
    assert_int_equal(open_with(text, mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "closed");
}

static void what_cannot_be_opened_is_said(void **state) {
    (void)state;
    const struct {
        const char *text, *code;
    } cases[] = {
        {"udp://example.com:53", "invalid"},
        {"unix:///tmp/socket", "invalid"},
        {"udp://192.0.2.1:0", "unavailable"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct mw_fault fault;
        assert_int_equal(open_with(cases[i].text, mw_dgram_defaults, &fault), -1);
        assert_string_equal(fault.code, cases[i].code);
        assert_memory_equal(fault.message, "bind ", 5);
    }
}

static void a_socket_that_gets_no_memory_leaves_the_descriptor(void **state) {
    (void)state;
    struct mw_fault fault;
    int fd = open_with("udp://127.0.0.1:0", mw_dgram_defaults, &fault);
    alloc_failure_arm(1);
    assert_null(mw_dgram_new(world.net, fd, &events, &a));
    assert_true(alloc_failure_disarm());
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

/* --- connected --- */

static void a_connected_socket_needs_no_peer_and_hears_nobody_else(void **state) {
    (void)state;
    struct listener stranger = {0};
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    connect_to(&a, &to);
    bind_to(&stranger, "udp://127.0.0.1:0");
    assert_int_equal(send_text(&a, "ping", NULL), 0);
    world_run_until(b.datagrams == 1);
    assert_int_equal(send_text(&stranger, "intrusion", &b.peer), 0);
    assert_int_equal(send_text(&b, "pong", &b.peer), 0);
    world_run_until(a.datagrams == 1);
    assert_heard(&a, "pong");
    assert_int_equal(port_of(&a.peer), port_of(&to));
    close_listener(&stranger);
}

static void a_client_may_choose_its_address(void **state) {
    (void)state;
    struct mw_fault fault;
    struct mw_addr from;
    struct mw_address address = parse("udp://127.0.0.9:0");
    assert_true(mw_addr_resolve(&from, &address));
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    own(&a, mw_dgram_connect(&to, &from, &mw_dgram_defaults, &fault));
    struct mw_addr local = local_of(&a);
    char text[MW_ADDR_TEXT];
    assert_memory_equal(mw_addr_format(&local, text), "127.0.0.9:", 10);
    address = parse("udp://192.0.2.1:0");
    assert_true(mw_addr_resolve(&from, &address));
    assert_int_equal(mw_dgram_connect(&to, &from, &mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "unavailable");
    assert_memory_equal(fault.message, "bind 192.0.2.1:", 15);
    address = parse("udp://255.255.255.255:9");
    assert_true(mw_addr_resolve(&to, &address));
    assert_int_equal(mw_dgram_connect(&to, NULL, &mw_dgram_defaults, &fault), -1);
    assert_string_equal(fault.code, "denied");
    assert_memory_equal(fault.message, "connect 255.255.255.255:9", 25);
}

static void without_any_peer_nothing_is_sent(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    assert_int_equal(send_text(&a, "ping", NULL), EDESTADDRREQ);
}

/* Connects `a` to a port that nobody listens on any more. */
static void connect_to_nobody(void) {
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    close_listener(&b);
    connect_to(&a, &to);
}

static void a_refusal_is_told_and_the_socket_goes_on(void **state) {
    (void)state;
    connect_to_nobody();
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(send_text(&a, "ping", NULL), 0);
        world_run_until(a.faults == i);
        assert_int_equal(a.last_fault, ECONNREFUSED);
    }
    world_settle();
    assert_int_equal(a.faults, 3);
}

/* The second send meets the answer to the first. */
static void a_refusal_is_no_failure_of_the_next_send(void **state) {
    (void)state;
    struct mw_dgram_counters counters;
    connect_to_nobody();
    mw_dgram_receive(a.dgram, false);
    assert_int_equal(send_text(&a, "one", NULL), 0);
    world_settle();
    assert_int_equal(send_text(&a, "two", NULL), 0);
    assert_int_equal(on_sendto.calls, 3);
    mw_dgram_count(a.dgram, &counters);
    assert_int_equal(counters.sent, 2);
    assert_int_equal(a.faults, 0);
    mw_dgram_receive(a.dgram, true);
    assert_int_equal(a.faults, 0);
    world_run_until(a.faults == 2);
    assert_int_equal(a.last_fault, ECONNREFUSED);
}

static void a_kept_fault_is_told_while_receiving(void **state) {
    (void)state;
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    connect_to(&a, &to);
    on_sendto = (struct plan){.error = EHOSTUNREACH, .times = 1};
    assert_int_equal(send_text(&a, "ping", NULL), 0);
    assert_int_equal(a.faults, 0);
    world_run_until(a.faults == 1 && b.datagrams == 1);
    assert_int_equal(a.last_fault, EHOSTUNREACH);
    on_sendto = (struct plan){.error = EHOSTUNREACH, .times = 2};
    assert_int_equal(send_text(&a, "ping", NULL), EHOSTUNREACH);
    world_settle();
    assert_int_equal(a.faults, 1);
}

/* --- receiving --- */

static void sizes_from_nothing_to_the_largest_arrive_whole(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 1500, LARGEST};
    char *bytes = world_bytes(0, LARGEST + 1);
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mw_dgram_send(a.dgram, bytes, sizes[i], &to), 0);
        world_run_until(b.datagrams == i + 1);
        assert_int_equal(b.last_size, sizes[i]);
        assert_memory_equal(b.last, bytes, sizes[i]);
    }
    assert_int_equal(mw_dgram_send(a.dgram, bytes, LARGEST + 1, &to), EMSGSIZE);
    free(bytes);
}

static void no_more_than_a_batch_is_taken_in_one_event(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    for (int i = 0; i < 70; i++) {
        assert_int_equal(send_text(&a, "x", &to), 0);
    }
    world_run_until(b.datagrams > 0);
    assert_int_equal(b.datagrams, 32);
    world_run_until(b.datagrams == 70);
}

static void nothing_is_received_unless_asked(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    mw_dgram_receive(b.dgram, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_text(&a, "x", &to), 0);
    }
    world_settle();
    assert_int_equal(b.datagrams, 0);
    b.rests = true;
    mw_dgram_receive(b.dgram, true);
    world_run_until(b.datagrams == 1);
    world_settle();
    assert_int_equal(b.datagrams, 1);
    b.rests = false;
    mw_dgram_receive(b.dgram, true);
    world_run_until(b.datagrams == 3);
}

static void the_owner_may_close_in_any_event(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    b.closes = true;
    assert_int_equal(send_text(&a, "x", &to), 0);
    assert_int_equal(send_text(&a, "x", &to), 0);
    world_run_until(b.dgram == NULL);
    assert_int_equal(b.datagrams, 1);
    a.closes = true;
    mw_dgram_await_output(a.dgram);
    world_run_until(a.dgram == NULL);
    a.closes = false;
    connect_to_nobody();
    a.closes = true;
    assert_int_equal(send_text(&a, "x", NULL), 0);
    world_run_until(a.dgram == NULL);
    assert_int_equal(a.faults, 1);
}

static void interrupted_calls_are_tried_again(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    on_sendto = (struct plan){.error = EINTR, .times = 3};
    on_recvfrom = (struct plan){.error = EINTR, .times = 1};
    exchange();
    assert_int_equal(a.faults + b.faults, 0);
}

static void a_failed_receive_is_told(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    on_recvfrom = (struct plan){.error = ENOMEM, .times = 1};
    assert_int_equal(send_text(&a, "x", &to), 0);
    world_run_until(b.datagrams == 1);
    assert_int_equal(b.faults, 1);
    assert_int_equal(b.last_fault, ENOMEM);
}

/* --- sending --- */

static void a_full_kernel_says_so_and_tells_when_there_is_room(void **state) {
    (void)state;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    struct mw_addr to = local_of(&b);
    on_sendto = (struct plan){.error = EAGAIN, .times = 1};
    assert_int_equal(send_text(&a, "x", &to), EAGAIN);
    mw_dgram_await_output(a.dgram);
    world_run_until(a.writable == 1);
    assert_int_equal(send_text(&a, "x", &to), 0);
    world_run_until(b.datagrams == 1);
    assert_int_equal(a.writable, 1);
    mw_dgram_await_output(a.dgram);
    mw_dgram_forget_output(a.dgram);
    world_settle();
    assert_int_equal(a.writable, 1);
}

static void datagrams_are_counted(void **state) {
    (void)state;
    struct mw_dgram_counters counters;
    bind_to(&a, "udp://127.0.0.1:0");
    bind_to(&b, "udp://127.0.0.1:0");
    exchange();
    mw_dgram_count(a.dgram, &counters);
    assert_int_equal(counters.sent, 1);
    assert_int_equal(counters.sent_bytes, 4);
    assert_int_equal(counters.received, 1);
    assert_int_equal(counters.received_bytes, 5);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(v4_and_v6_talk),
        TEST(a_dual_stack_socket_talks_to_both),
        TEST(without_v6_any_is_v4),
        TEST(v6_alone_leaves_the_port_to_v4),
        TEST(a_port_is_shared_only_when_asked),
        TEST(broadcast_is_sent_only_when_asked),
        TEST(a_descriptor_is_adopted),
        TEST(what_cannot_be_opened_is_said),
        TEST(a_socket_that_gets_no_memory_leaves_the_descriptor),
        TEST(a_connected_socket_needs_no_peer_and_hears_nobody_else),
        TEST(a_client_may_choose_its_address),
        TEST(without_any_peer_nothing_is_sent),
        TEST(a_refusal_is_told_and_the_socket_goes_on),
        TEST(a_refusal_is_no_failure_of_the_next_send),
        TEST(a_kept_fault_is_told_while_receiving),
        TEST(sizes_from_nothing_to_the_largest_arrive_whole),
        TEST(no_more_than_a_batch_is_taken_in_one_event),
        TEST(nothing_is_received_unless_asked),
        TEST(the_owner_may_close_in_any_event),
        TEST(interrupted_calls_are_tried_again),
        TEST(a_failed_receive_is_told),
        TEST(a_full_kernel_says_so_and_tells_when_there_is_room),
        TEST(datagrams_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
