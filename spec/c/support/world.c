#include "support/world.h"

#include "support/alloc_failure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

void *unfailing_realloc(void *old, size_t size) __asm__("__real_realloc");

struct world world;

static int descriptors_before;

static void *allocate(void *old, long size) {
    if (size > 0) {
        return unfailing_realloc(old, (size_t)size);
    }
    free(old);
    return NULL;
}

int world_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

int world_open(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ev_set_allocator(allocate);
    descriptors_before = world_descriptors();
    world.loop = mw_loop_new();
    assert_non_null(world.loop);
    world.net = mw_net_new(world.loop);
    assert_non_null(world.net);
    return 0;
}

int world_close(void **state) {
    (void)state;
    alloc_failure_disarm();
    assert_int_equal(world.net->streams, 0);
    mw_net_free(world.net);
    mw_loop_free(world.loop);
    assert_int_equal(world_descriptors(), descriptors_before);
    return 0;
}

double world_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void on_look(struct ev_loop *ev, ev_timer *timer, int events) {
    (void)ev;
    (void)timer;
    (void)events;
}

/* One tick, of 5 ms at most: the condition may depend on what no watcher sees. */
void world_turn(double limit, const char *condition, const char *file, int line) {
    ev_timer look;
    if (world_clock() > limit) {
        print_error("%s:%d: this did not happen: %s\n", file, line, condition);
        _fail(file, line);
    }
    ev_timer_init(&look, on_look, 0.005, 0.);
    ev_now_update(mw_loop_ev(world.loop));
    ev_timer_start(mw_loop_ev(world.loop), &look);
    ev_run(mw_loop_ev(world.loop), EVRUN_ONCE);
    ev_timer_stop(mw_loop_ev(world.loop), &look);
}

void world_settle(void) {
    for (int i = 0; i < 50; i++) {
        ev_run(mw_loop_ev(world.loop), EVRUN_NOWAIT);
    }
}

char world_pattern(size_t position) {
    return (char)(position * 7 + position / 251);
}

char *world_bytes(size_t from, size_t size) {
    char *bytes = unfailing_realloc(NULL, size ? size : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = world_pattern(from + i);
    }
    return bytes;
}

static void check(const char *bytes, size_t from, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != world_pattern(from + i)) {
            fail_msg("byte %zu is not what was sent", from + i);
        }
    }
}

void world_unix_pair(int ends[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}

void world_tcp_pair(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int on = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&address, length), 0);
    ends[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(ends[1] >= 0);
    close(listening);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    }
}

/* read and write, because tests replace recv and send. */
void peer_send(struct peer *peer, size_t size) {
    while (size > 0) {
        size_t part = size < 65536 ? size : 65536;
        char *bytes = world_bytes(peer->sent, part);
        ssize_t sent = write(peer->fd, bytes, part);
        free(bytes);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            return;
        }
        peer->sent += (size_t)sent;
        size -= (size_t)sent;
    }
}

void peer_send_until_stuck(struct peer *peer) {
    size_t before;
    do {
        before = peer->sent;
        peer_send(peer, 64 * 1024 * 1024);
        world_settle();
    } while (peer->sent > before);
}

void peer_receive(struct peer *peer, size_t size) {
    char bytes[16384];
    while (size > 0 && !peer->at_end && !peer->fault) {
        ssize_t got = read(peer->fd, bytes, size < sizeof bytes ? size : sizeof bytes);
        if (got < 0) {
            peer->fault = errno == EAGAIN ? 0 : errno;
            return;
        }
        check(bytes, peer->received, (size_t)got);
        peer->at_end = got == 0;
        peer->received += (size_t)got;
        size -= (size_t)got;
    }
}

bool peer_has(struct peer *peer, size_t size) {
    peer_receive(peer, size - peer->received);
    return peer->received == size;
}

bool peer_at_end(struct peer *peer) {
    peer_receive(peer, SIZE_MAX);
    return peer->at_end || peer->fault;
}

void peer_reset(struct peer *peer) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(peer->fd);
}

static void close_if_told(struct witness *witness) {
    if (witness->closes) {
        witness_close(witness, 0);
    }
}

static void on_readable(void *owner) {
    struct witness *witness = owner;
    witness->readable++;
    if (!witness->leaves_input) {
        witness_take(witness);
    }
    close_if_told(witness);
}

static void on_writable(void *owner) {
    struct witness *witness = owner;
    witness->writable++;
    close_if_told(witness);
}

const struct mw_stream_events witness_events = {.on_readable = on_readable, .on_writable = on_writable};

void witness_own(struct witness *witness, struct mw_stream *stream) {
    assert_non_null(stream);
    witness->stream = stream;
    mw_stream_set_owner(stream, &witness_events, witness);
}

void witness_open(struct witness *witness, int fd, const struct mw_stream_ops *ops, void *transport) {
    witness_own(witness, mw_stream_new(world.net, fd, ops, transport));
}

void witness_take(struct witness *witness) {
    size_t size;
    const char *bytes = mw_stream_unread(witness->stream, &size);
    check(bytes, witness->received, size);
    witness->received += size;
    mw_stream_take(witness->stream, size);
}

int witness_queue(struct witness *witness, size_t from, size_t size) {
    char *bytes = world_bytes(from, size);
    int error = mw_stream_queue(witness->stream, bytes, size);
    free(bytes);
    return error;
}

void witness_close(struct witness *witness, double linger) {
    if (witness->stream) {
        mw_stream_close(witness->stream, linger);
        witness->stream = NULL;
    }
}
