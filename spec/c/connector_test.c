/* layers: net loop base */
/* wrap: connect */
#include "net/connector.h"

#include "support/alloc_failure.h"
#include "support/dns_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 10, CALLS = 16 };

/* --- connect(2) under watch --- */

int watched_connect(int fd, const struct sockaddr *address, socklen_t length) __asm__("__wrap_connect");
int real_connect(int fd, const struct sockaddr *address, socklen_t length) __asm__("__real_connect");

static struct {
    size_t count; /* calls for stream sockets */
    char addresses[CALLS][MW_ADDR_TEXT];
    sa_family_t family;   /* for which `error` is reported, */
    int error, lied;      /* without a real call, or after one */
    int relief, relieved; /* a listener that accepts when a call was told EAGAIN; what it accepted */
} calls;

int watched_connect(int fd, const struct sockaddr *address, socklen_t length) {
    int type = 0;
    socklen_t size = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (type != SOCK_STREAM) {
        return real_connect(fd, address, length);
    }
    struct mw_addr addr = {.length = length};
    memcpy(&addr.storage, address, length);
    mw_addr_format(&addr, calls.addresses[calls.count++ % CALLS]);
    if (calls.error && address->sa_family == calls.family) {
        errno = calls.error;
        return -1;
    }
    int result = real_connect(fd, address, length);
    if (result < 0 && errno == EAGAIN && calls.relief >= 0) {
        calls.relieved = accept4(calls.relief, NULL, NULL, SOCK_CLOEXEC);
        errno = EAGAIN;
    }
    if (calls.lied) {
        errno = calls.lied;
        return -1;
    }
    return result;
}

/* --- the fixture --- */

struct fixture {
    struct mw_loop *loop;
    struct dns_server *server;
    struct mw_resolver *resolver;
    unsigned descriptors; /* before anything was connected */
    /* what the callback was given */
    unsigned calls;
    int fd;
    struct mw_addr peer;
    char code[32], message[MW_FAULT_MESSAGE];
};

static unsigned count_descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct mw_fault fault;
    assert_non_null(f);
    f->loop = mw_loop_new();
    assert_non_null(f->loop);
    f->server = dns_server_new(mw_loop_ev(f->loop), "127.0.0.1");
    assert_non_null(f->server);
    struct mw_resolver_options options = {.servers = dns_server_address(f->server),
                                          .resolv_conf = "/dev/null"};
    f->resolver = mw_resolver_new(f->loop, &options, &fault);
    assert_non_null(f->resolver);
    f->fd = -1;
    f->descriptors = count_descriptors();
    memset(&calls, 0, sizeof calls);
    calls.relief = -1;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    assert_int_equal(mw_timers_count(mw_loop_timers(f->loop)), 0);
    mw_resolver_free(f->resolver);
    dns_server_free(f->server);
    mw_loop_free(f->loop);
    free(f);
    return 0;
}

static void on_connect(void *context, int fd, const struct mw_addr *peer, const struct mw_fault *fault) {
    struct fixture *f = context;
    f->calls++;
    f->fd = fd;
    assert_true((fd < 0) == (fault != NULL));
    assert_true((fd < 0) == (peer == NULL));
    if (peer) {
        f->peer = *peer;
    }
    snprintf(f->code, sizeof f->code, "%s", fault ? fault->code : "");
    snprintf(f->message, sizeof f->message, "%s", fault ? fault->message : "");
    mw_loop_stop(f->loop);
}

/* A bound for the loop: what must happen happens before it. */
struct guard {
    struct mw_timer timer;
    struct mw_loop *loop;
    bool rang;
};

static void on_guard(struct mw_timer *timer) {
    struct guard *guard = (struct guard *)(void *)timer;
    guard->rang = true;
    mw_loop_stop(guard->loop);
}

static void guard_set(struct guard *guard, struct mw_loop *loop, double seconds) {
    *guard = (struct guard){.loop = loop, .rang = false};
    mw_timer_init(&guard->timer, on_guard);
    assert_true(mw_timer_set(mw_loop_timers(loop), &guard->timer, mw_loop_update(loop) + seconds));
}

static void wait_for_callback(struct fixture *f) {
    struct guard guard;
    guard_set(&guard, f->loop, PATIENCE);
    while (f->calls == 0 && !guard.rang) {
        mw_loop_run(f->loop);
    }
    mw_timer_remove(mw_loop_timers(f->loop), &guard.timer);
    assert_int_equal(f->calls, 1);
}

/* Runs the loop until connect was called so many times. */
static void turn_until_connects(struct fixture *f, size_t wanted) {
    struct guard guard;
    guard_set(&guard, f->loop, PATIENCE);
    while (calls.count < wanted && !guard.rang) {
        ev_run(mw_loop_ev(f->loop), EVRUN_ONCE);
    }
    mw_timer_remove(mw_loop_timers(f->loop), &guard.timer);
    assert_int_equal(calls.count, wanted);
}

static struct mw_connector_options to(const char *text) {
    struct mw_connector_options options = mw_connector_default_options;
    const char *why = "";
    if (!mw_address_parse(&options.target, text, strlen(text), &why)) {
        fail_msg("%s: %s", text, why);
    }
    return options;
}

static struct mw_connector_options to_port(const char *format, unsigned port) {
    char text[128];
    snprintf(text, sizeof text, format, port);
    return to(text);
}

static struct mw_addr numeric(const char *host, uint16_t port) {
    struct mw_address address = {.scheme = MW_SCHEME_TCP, .port = port};
    struct mw_addr addr;
    snprintf(address.host, sizeof address.host, "%s", host);
    assert_true(mw_addr_resolve(&addr, &address));
    return addr;
}

static struct mw_connector *start(struct fixture *f, const struct mw_connector_options *options) {
    f->calls = 0;
    mw_loop_update(f->loop);
    return mw_connector_start(f->loop, f->resolver, options, on_connect, f);
}

static void attempt(struct fixture *f, const struct mw_connector_options *options) {
    assert_non_null(start(f, options));
    assert_int_equal(f->calls, 0);
    wait_for_callback(f);
}

static void assert_fault(struct fixture *f, const char *code, const char *message) {
    assert_int_equal(f->fd, -1);
    assert_string_equal(f->message, message);
    assert_string_equal(f->code, code);
    assert_int_equal(count_descriptors(), f->descriptors);
}

static void assert_peer(struct fixture *f, const char *format, unsigned port) {
    char text[MW_ADDR_TEXT], expected[MW_ADDR_TEXT];
    assert_string_equal(f->message, "");
    snprintf(expected, sizeof expected, format, port);
    assert_string_equal(mw_addr_format(&f->peer, text), expected);
}

/* --- peers --- */

static int open_listener(const struct mw_addr *addr, int backlog) {
    int on = 1, fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (addr->any.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    assert_int_equal(bind(fd, &addr->any, addr->length), 0);
    assert_int_equal(backlog < 0 ? 0 : listen(fd, backlog), 0);
    return fd;
}

static unsigned port_of(int fd) {
    struct mw_addr addr = {.length = sizeof addr.storage};
    assert_int_equal(getsockname(fd, &addr.any, &addr.length), 0);
    return ntohs(addr.v4.sin_port);
}

/* A listener on a numeric host; with a negative backlog the port is only
 * taken, so that connecting to it is refused. */
/* Whether nobody has the port at the address, which others on this machine may. */
static bool is_free(const char *host, unsigned port) {
    struct mw_addr addr = numeric(host, (uint16_t)port);
    int fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = bind(fd, &addr.any, addr.length) == 0;
    close(fd);
    return found;
}

/* Port 0: one that is free in both families, since tests listen at the same one in the other, too. */
static int listen_on(const char *host, unsigned port, int backlog) {
    struct mw_addr addr = numeric(host, (uint16_t)port);
    int fd = open_listener(&addr, backlog);
    const char *other = addr.any.sa_family == AF_INET6 ? "127.0.0.1" : "::1";
    while (port == 0 && !is_free(other, port_of(fd))) {
        close(fd);
        fd = open_listener(&addr, backlog);
    }
    return fd;
}

/* Fills a listener of backlog 0, so that the kernel drops what comes next. */
static int fill(int listener) {
    struct mw_addr addr = {.length = sizeof addr.storage};
    assert_int_equal(getsockname(listener, &addr.any, &addr.length), 0);
    int fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(real_connect(fd, &addr.any, addr.length), 0);
    return fd;
}

/* Accepts one connection, says who it comes from, and proves that it leads to `fd`. */
static struct mw_addr accept_from(int listener, int fd) {
    struct mw_addr peer = {.length = sizeof peer.storage};
    int accepted = accept4(listener, &peer.any, &peer.length, SOCK_CLOEXEC);
    char byte = 0;
    assert_true(accepted >= 0);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(accepted);
    return peer;
}

static int read_option(int fd, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

/* --- success --- */

static void connects_over_ipv4(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(listener));
    attempt(f, &options);
    assert_peer(f, "127.0.0.1:%u", port_of(listener));
    accept_from(listener, f->fd);
    assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(f->fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(read_option(f->fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(read_option(f->fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(f->fd);
    close(listener);
    assert_int_equal(count_descriptors(), f->descriptors);
}

static void connects_over_ipv6(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("::1", 0, 5);
    struct mw_connector_options options = to_port("tls://[::1]:%u", port_of(listener));
    options.nodelay = false;
    options.keepalive = true;
    attempt(f, &options);
    assert_peer(f, "[::1]:%u", port_of(listener));
    accept_from(listener, f->fd);
    assert_int_equal(read_option(f->fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(read_option(f->fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    close(f->fd);
    close(listener);
}

static void connect_to_unix(struct fixture *f, const char *text) {
    struct mw_connector_options options = to(text);
    struct mw_addr addr;
    assert_true(mw_addr_resolve(&addr, &options.target));
    int listener = open_listener(&addr, 5);
    options.keepalive = true;
    attempt(f, &options);
    assert_peer(f, text, 0);
    accept_from(listener, f->fd);
    assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(f->fd, F_GETFL) & O_NONBLOCK);
    close(f->fd);
    close(listener);
    assert_int_equal(count_descriptors(), f->descriptors);
}

static void connects_to_unix_paths(void **state) {
    char folder[] = "/tmp/connector_test.XXXXXX", text[64];
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "unix://%s/socket", folder);
    connect_to_unix(*state, text);
    unlink(text + sizeof "unix://" - 1);
    struct mw_connector_options options = to(text);
    attempt(*state, &options);
    char message[128];
    snprintf(message, sizeof message, "connect %s: no such file or directory", text);
    assert_fault(*state, "not_found", message);
    rmdir(folder);
}

static void connects_to_abstract_unix_names(void **state) {
    char text[64];
    snprintf(text, sizeof text, "unix://@connector_test.%d", getpid());
    connect_to_unix(*state, text);
}

static void asks_a_busy_unix_socket_again(void **state) {
    struct fixture *f = *state;
    char text[64];
    snprintf(text, sizeof text, "unix://@connector_test.%d", getpid());
    struct mw_connector_options options = to(text);
    struct mw_addr addr;
    assert_true(mw_addr_resolve(&addr, &options.target));
    int listener = open_listener(&addr, 0), first = fill(listener);
    calls.relief = listener;
    attempt(f, &options);
    assert_peer(f, text, 0);
    assert_int_equal(calls.count, 2);
    accept_from(listener, f->fd);
    close(calls.relieved);
    close(first);
    close(f->fd);
    close(listener);
}

static void goes_on_after_an_interrupt(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(listener));
    calls.lied = EINTR;
    attempt(f, &options);
    assert_peer(f, "127.0.0.1:%u", port_of(listener));
    accept_from(listener, f->fd);
    close(f->fd);
    close(listener);
}

static void comes_from_the_local_address(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    int taken = listen_on("127.0.0.9", 0, -1);
    unsigned port = port_of(taken);
    close(taken);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(listener));
    char text[MW_ADDR_TEXT];
    options.local = numeric("127.0.0.9", 0);
    attempt(f, &options);
    struct mw_addr peer = accept_from(listener, f->fd);
    assert_memory_equal(mw_addr_format(&peer, text), "127.0.0.9:", 10);
    close(f->fd);
    options.local = numeric("127.0.0.9", (uint16_t)port);
    attempt(f, &options);
    peer = accept_from(listener, f->fd);
    assert_int_equal(ntohs(peer.v4.sin_port), port);
    close(f->fd);
    close(listener);
}

/* --- names --- */

static void connects_to_names(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    dns_server_add_text(f->server, "host.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("host.test:%u", port_of(listener));
    attempt(f, &options);
    assert_peer(f, "127.0.0.1:%u", port_of(listener));
    accept_from(listener, f->fd);
    close(f->fd);
    close(listener);
}

static void goes_to_the_next_address_when_one_refuses(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    int refusing = listen_on("::1", port_of(listener), -1);
    dns_server_add_text(f->server, "two.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "two.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("two.test:%u", port_of(listener));
    options.attempt_delay = PATIENCE;
    attempt(f, &options);
    assert_peer(f, "127.0.0.1:%u", port_of(listener));
    assert_int_equal(calls.count, 2);
    assert_memory_equal(calls.addresses[0], "[::1]:", 6);
    accept_from(listener, f->fd);
    close(f->fd);
    close(listener);
    close(refusing);
    assert_int_equal(count_descriptors(), f->descriptors);
}

static void does_not_wait_for_an_address_that_is_silent(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 5);
    int silent = listen_on("::1", port_of(listener), 0), first = fill(silent);
    dns_server_add_text(f->server, "two.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "two.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("two.test:%u", port_of(listener));
    options.attempt_delay = 0.05;
    double began = mw_loop_update(f->loop);
    attempt(f, &options);
    assert_true(mw_loop_update(f->loop) - began >= options.attempt_delay);
    assert_peer(f, "127.0.0.1:%u", port_of(listener));
    accept_from(listener, f->fd);
    close(f->fd);
    close(listener);
    close(silent);
    close(first);
    assert_int_equal(count_descriptors(), f->descriptors);
}

/* The slow first address answers while the second one is being tried. */
static void an_early_attempt_may_still_win(void **state) {
    struct fixture *f = *state;
    int slow = listen_on("::1", 0, 0), first = fill(slow);
    int silent = listen_on("127.0.0.1", port_of(slow), 0), second = fill(silent);
    dns_server_add_text(f->server, "two.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "two.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("two.test:%u", port_of(slow));
    options.attempt_delay = 0.01;
    assert_non_null(start(f, &options));
    turn_until_connects(f, 2);
    /* The kernel sends the dropped SYN again after a second. */
    close(accept4(slow, NULL, NULL, SOCK_CLOEXEC));
    wait_for_callback(f);
    assert_peer(f, "[::1]:%u", port_of(slow));
    close(f->fd);
    close(slow);
    close(first);
    close(silent);
    close(second);
    assert_int_equal(count_descriptors(), f->descriptors);
}

static void tries_families_by_turns(void **state) {
    struct fixture *f = *state;
    int v4 = listen_on("127.0.0.1", 0, -1), v6 = listen_on("::1", port_of(v4), -1);
    dns_server_add_text(f->server, "turns.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "turns.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "turns.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "turns.test", DNS_A, 60, "127.0.0.1");
    dns_server_add_text(f->server, "turns.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("turns.test:%u", port_of(v4));
    attempt(f, &options);
    static const char *const order[] = {"[::1]", "127.0", "[::1]", "127.0", "[::1]"};
    assert_int_equal(calls.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_memory_equal(calls.addresses[i], order[i], 5);
    }
    assert_string_equal(f->code, "refused");
    assert_memory_equal(f->message, "connect [::1]:", 14);
    close(v4);
    close(v6);
}

static void reports_the_failure_that_tells_most(void **state) {
    struct fixture *f = *state;
    int refusing = listen_on("127.0.0.1", 0, -1);
    dns_server_add_text(f->server, "two.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "two.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("two.test:%u", port_of(refusing));
    char message[128];
    snprintf(message, sizeof message, "connect 127.0.0.1:%u: connection refused", port_of(refusing));
    calls.family = AF_INET6;
    calls.error = ENETUNREACH;
    attempt(f, &options);
    close(refusing);
    assert_fault(f, "refused", message);
}

static void asks_only_for_the_family_of_the_local_address(void **state) {
    struct fixture *f = *state;
    int refusing = listen_on("127.0.0.1", 0, -1);
    dns_server_add_text(f->server, "two.test", DNS_AAAA, 60, "::1");
    dns_server_add_text(f->server, "two.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("two.test:%u", port_of(refusing));
    options.local = numeric("127.0.0.1", 0);
    attempt(f, &options);
    assert_int_equal(calls.count, 1);
    assert_int_equal(dns_server_asked(f->server), 1);
    close(refusing);
    options = to("[::1]:80");
    options.local = numeric("127.0.0.1", 0);
    attempt(f, &options);
    assert_fault(f, "invalid", "connect [::1]:80: the local address is of another family");
}

/* --- failures --- */

static void is_refused(void **state) {
    struct fixture *f = *state;
    int refusing = listen_on("127.0.0.1", 0, -1);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(refusing));
    char message[128];
    snprintf(message, sizeof message, "connect 127.0.0.1:%u: connection refused", port_of(refusing));
    attempt(f, &options);
    close(refusing);
    assert_fault(f, "refused", message);
}

static void is_not_connected_to_itself(void **state) {
    struct fixture *f = *state;
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    static const char *const formats[] = {"127.0.0.1:%u", "[::1]:%u"};
    for (int i = 0; i < 2; i++) {
        int taken = listen_on(hosts[i], 0, -1);
        unsigned port = port_of(taken);
        close(taken);
        struct mw_connector_options options = to_port(formats[i], port);
        options.local = numeric(hosts[i], (uint16_t)port);
        attempt(f, &options);
        assert_int_equal(f->fd, -1);
        assert_string_equal(f->code, "refused");
    }
}

static void times_out(void **state) {
    struct fixture *f = *state;
    int silent = listen_on("127.0.0.1", 0, 0), first = fill(silent);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(silent));
    options.timeout = 0.05;
    double began = mw_loop_update(f->loop);
    attempt(f, &options);
    assert_true(mw_loop_update(f->loop) - began >= options.timeout);
    close(silent);
    close(first);
    assert_fault(f, "timeout", "timeout");
}

static void times_out_while_the_name_is_looked_up(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("slow.test:80");
    dns_server_set_mood(f->server, DNS_SILENT);
    options.timeout = 0.05;
    attempt(f, &options);
    assert_fault(f, "timeout", "timeout");
    assert_int_equal(calls.count, 0);
}

static void passes_on_what_the_resolver_says(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("gone.test:80");
    attempt(f, &options);
    assert_fault(f, "not_found", "resolve gone.test: no such name");
}

static void refuses_what_it_cannot_connect_to(void **state) {
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {"udp://127.0.0.1:5", "connect 127.0.0.1:5: only tcp, tls and unix can be connected to"},
        {"fd://3", "connect :0: only tcp, tls and unix can be connected to"},
        {"*:80", "connect *:80: name the host to connect to, as in 127.0.0.1:80"},
        {":80", "connect :80: name the host to connect to, as in 127.0.0.1:80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mw_connector_options options = to(cases[i][0]);
        attempt(f, &options);
        assert_fault(f, "invalid", cases[i][1]);
    }
    struct mw_connector_options options = to("host.test:80");
    f->calls = 0;
    assert_non_null(mw_connector_start(f->loop, NULL, &options, on_connect, f));
    wait_for_callback(f);
    assert_fault(f, "invalid", "connect host.test:80: a name needs a resolver");
}

static void tells_that_the_local_address_is_not_ours(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("127.0.0.1:9");
    options.local = numeric("203.0.113.7", 0);
    attempt(f, &options);
    assert_fault(f, "unavailable", "bind 203.0.113.7:0: cannot assign requested address");
}

static void tells_that_descriptors_have_run_out(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("127.0.0.1:9");
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_non_null(start(f, &options));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    wait_for_callback(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_string_equal(f->code, "descriptors");
    assert_non_null(strstr(f->message, "connect 127.0.0.1:9: "));
    assert_non_null(strstr(f->message, "raise the limit"));
}

/* --- cancelling --- */

/* Nothing is heard, and no descriptor and no timer is left: the loop ends by itself. */
static void assert_nothing_left(struct fixture *f) {
    assert_int_equal(count_descriptors(), f->descriptors);
    assert_int_equal(mw_timers_count(mw_loop_timers(f->loop)), 0);
    mw_loop_run(f->loop);
    assert_int_equal(f->calls, 0);
}

static void cancels_before_it_began(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("127.0.0.1:9");
    mw_connector_cancel(start(f, &options));
    assert_nothing_left(f);
    assert_int_equal(calls.count, 0);
}

static void cancels_a_lookup(void **state) {
    struct fixture *f = *state;
    struct mw_connector_options options = to("slow.test:80");
    dns_server_set_mood(f->server, DNS_SILENT);
    struct mw_connector *connector = start(f, &options);
    struct guard guard;
    guard_set(&guard, f->loop, PATIENCE);
    while (dns_server_asked(f->server) < 2 && !guard.rang) {
        ev_run(mw_loop_ev(f->loop), EVRUN_ONCE);
    }
    mw_timer_remove(mw_loop_timers(f->loop), &guard.timer);
    assert_int_equal(dns_server_asked(f->server), 2);
    mw_connector_cancel(connector);
    assert_nothing_left(f);
}

static void cancels_attempts(void **state) {
    struct fixture *f = *state;
    int silent = listen_on("127.0.0.1", 0, 0), first = fill(silent);
    f->descriptors = count_descriptors();
    dns_server_add_text(f->server, "silent.test", DNS_A, 60, "127.0.0.1");
    dns_server_add_text(f->server, "silent.test", DNS_A, 60, "127.0.0.1");
    struct mw_connector_options options = to_port("silent.test:%u", port_of(silent));
    options.attempt_delay = 0.01;
    struct mw_connector *connector = start(f, &options);
    turn_until_connects(f, 2);
    assert_int_equal(count_descriptors(), f->descriptors + 2);
    mw_connector_cancel(connector);
    assert_nothing_left(f);
    close(silent);
    close(first);
}

/* --- many, and want of memory --- */

enum { CROWD = 300 };

static void on_crowd(void *context, int fd, const struct mw_addr *peer, const struct mw_fault *fault) {
    struct fixture *f = context;
    assert_null(fault);
    assert_non_null(peer);
    close(fd);
    if (++f->calls == CROWD) {
        mw_loop_stop(f->loop);
    }
}

static void connects_a_crowd(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, CROWD);
    dns_server_add_text(f->server, "crowd.test", DNS_A, 0, "127.0.0.1");
    for (int i = 0; i < CROWD; i++) {
        struct mw_connector_options options =
            to_port(i % 2 ? "crowd.test:%u" : "127.0.0.1:%u", port_of(listener));
        assert_non_null(mw_connector_start(f->loop, f->resolver, &options, on_crowd, f));
    }
    struct guard guard;
    guard_set(&guard, f->loop, PATIENCE);
    while (f->calls < CROWD && !guard.rang) {
        mw_loop_run(f->loop);
    }
    mw_timer_remove(mw_loop_timers(f->loop), &guard.timer);
    assert_int_equal(f->calls, CROWD);
    close(listener);
    assert_int_equal(count_descriptors(), f->descriptors);
}

/* With the nth allocation failing, for all n, a connector is refused at once,
 * or ends with a connection or a fault, and nothing is left behind. */
static void survives_want_of_memory(void **state) {
    struct fixture *f = *state;
    int listener = listen_on("127.0.0.1", 0, 100);
    struct mw_connector_options options = to_port("127.0.0.1:%u", port_of(listener));
    /* libev's tables must not have to grow: it gives up when they cannot. */
    attempt(f, &options);
    close(f->fd);
    unsigned refused = 0, failed = 0;
    bool reached = true;
    for (int n = 1; reached; n++) {
        unsigned descriptors = count_descriptors();
        /* A name of its own: without memory c-ares may find that it has no address, which is kept. */
        snprintf(options.target.host, sizeof options.target.host, "host%d.test", n);
        dns_server_add_text(f->server, options.target.host, DNS_A, 0, "127.0.0.1");
        alloc_failure_arm(n);
        struct mw_connector *connector = start(f, &options);
        if (connector) {
            wait_for_callback(f);
        }
        reached = alloc_failure_disarm();
        refused += !connector;
        failed += connector && strcmp(f->code, "memory") == 0;
        if (connector && f->fd >= 0) {
            close(f->fd);
        }
        f->fd = -1;
        assert_int_equal(count_descriptors(), descriptors);
    }
    assert_true(refused >= 1);
    assert_true(failed >= 2);
    close(listener);
}

static void on_filler(struct mw_timer *timer) {
    (void)timer;
    fail_msg("a timer that is far away rang");
}

/* The heap of timers is full, and cannot grow for the deadline, or for the first step. */
static void survives_want_of_memory_for_timers(void **state) {
    struct fixture *f = *state;
    static struct mw_timer fillers[1000];
    struct mw_timers *timers = mw_loop_timers(f->loop);
    struct mw_connector_options options = to("127.0.0.1:9");
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        mw_timer_init(&fillers[i], on_filler);
        assert_true(mw_timer_set(timers, &fillers[i], mw_loop_now(f->loop) + 1e6));
        alloc_failure_arm(2); /* the first one is for the connector */
        struct mw_connector *connector = start(f, &options);
        assert_true(alloc_failure_disarm() == !connector);
        assert_int_equal(mw_timers_count(timers), i + 1 + (connector ? 2 : 0));
        refused += !connector;
        if (connector) {
            mw_connector_cancel(connector);
        }
    }
    assert_true(refused >= 2);
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        mw_timer_remove(timers, &fillers[i]);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(connects_over_ipv4),
        test(connects_over_ipv6),
        test(connects_to_unix_paths),
        test(connects_to_abstract_unix_names),
        test(asks_a_busy_unix_socket_again),
        test(goes_on_after_an_interrupt),
        test(comes_from_the_local_address),
        test(connects_to_names),
        test(goes_to_the_next_address_when_one_refuses),
        test(does_not_wait_for_an_address_that_is_silent),
        test(an_early_attempt_may_still_win),
        test(tries_families_by_turns),
        test(reports_the_failure_that_tells_most),
        test(asks_only_for_the_family_of_the_local_address),
        test(is_refused),
        test(is_not_connected_to_itself),
        test(times_out),
        test(times_out_while_the_name_is_looked_up),
        test(passes_on_what_the_resolver_says),
        test(refuses_what_it_cannot_connect_to),
        test(tells_that_the_local_address_is_not_ours),
        test(tells_that_descriptors_have_run_out),
        test(cancels_before_it_began),
        test(cancels_a_lookup),
        test(cancels_attempts),
        test(connects_a_crowd),
        test(survives_want_of_memory),
        test(survives_want_of_memory_for_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
