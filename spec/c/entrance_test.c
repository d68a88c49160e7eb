/* layers: base loop net */
/* What a connection goes through before anybody serves it. */
#include "net/entrance.h"
#include "support/alloc_failure.h"
#include "support/tls_ends.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What came of a connection. */
struct arrival {
    struct mw_entering *entering;
    struct mw_stream *stream; /* once it is through */
    struct mw_addr peer;
    struct mw_fault fault;
    int entered, refused;
};

static struct mw_entrance entrance;
static struct arrival arrival;
static struct mw_addr peer;
static int raw = -1; /* the other end */

static void on_entered(void *owner, struct mw_stream *stream, const struct mw_addr *from) {
    struct arrival *its = owner;
    its->entered++;
    its->stream = stream;
    its->peer = *from;
}

static void on_refused(void *owner, const struct mw_addr *from, const struct mw_fault *fault) {
    struct arrival *its = owner;
    its->refused++;
    its->fault = *fault;
    its->peer = *from;
}

static int open_all(void **state) {
    ends_open(state);
    arrival = (struct arrival){0};
    entrance = (struct mw_entrance){
        .tls = server.context, .timeout = 5, .on_entered = on_entered, .on_refused = on_refused};
    peer = (struct mw_addr){.length = sizeof peer.v4};
    peer.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(4711)};
    peer.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return 0;
}

static int close_all(void **state) {
    if (arrival.stream) {
        mw_stream_close(arrival.stream, 0);
    }
    if (raw >= 0) {
        close(raw);
        raw = -1;
    }
    assert_int_equal(entrance.inside, 0);
    return ends_close(state);
}

/* A connection comes; `raw` or the client is its other end. */
static void arrive(void) {
    int ends[2];
    world_tcp_pair(ends);
    struct mw_stream *stream = mw_stream_new(world.net, ends[0], &mw_plain_ops, NULL);
    assert_non_null(stream);
    raw = ends[1];
    arrival.entering = mw_entrance_take(&entrance, stream, &peer, &arrival);
}

/* The client speaks TLS at the other end. */
static void speak_tls(void) {
    witness_open(&client.witness, raw, &mw_plain_ops, NULL);
    raw = -1;
    ends_begin(&client, "localhost");
}

static void say(const char *bytes, size_t size) {
    assert_int_equal(write(raw, bytes, size), (ssize_t)size);
}

static void expect_refusal(const char *code, const char *part) {
    assert_int_equal(arrival.refused, 1);
    assert_int_equal(arrival.entered, 0);
    if (strcmp(arrival.fault.code, code) != 0 || !strstr(arrival.fault.message, part)) {
        fail_msg("%s: %s, and not %s: %s", arrival.fault.code, arrival.fault.message, code, part);
    }
}

static void without_rules_a_connection_is_through_at_once(void **state) {
    (void)state;
    entrance.tls = NULL;
    arrive();
    assert_null(arrival.entering);
    assert_int_equal(arrival.entered, 1);
    assert_int_equal(arrival.peer.v4.sin_port, htons(4711));
}

static void a_handshake_lets_it_in(void **state) {
    (void)state;
    arrive();
    assert_non_null(arrival.entering);
    assert_int_equal(entrance.inside, 1);
    speak_tls();
    world_run_until(arrival.entered && client.done);
    assert_int_equal(entrance.inside, 0);
    assert_true(mw_tls_is_on(arrival.stream));
    assert_int_equal(arrival.peer.v4.sin_port, htons(4711));
    assert_int_equal(arrival.refused, 0);
}

static void a_handshake_that_fails_does_not(void **state) {
    (void)state;
    arrive();
    say("SSH-2.0-x\r\n", 11);
    world_run_until(arrival.refused);
    expect_refusal("protocol", "the peer speaks no TLS");
    world_run_until(world.net->streams == 0);
}

static void a_silent_peer_has_its_time(void **state) {
    (void)state;
    entrance.timeout = 0.01;
    arrive();
    world_run_until(arrival.refused);
    expect_refusal("timeout", "timeout");
}

static void one_more_than_the_most_is_refused(void **state) {
    (void)state;
    entrance.most = 1;
    arrive();
    struct mw_entering *first = arrival.entering;
    close(raw);
    arrive();
    assert_null(arrival.entering);
    expect_refusal("busy", "too many handshakes at a time (1)");
    mw_entering_cancel(first);
    assert_int_equal(entrance.inside, 0);
    close(raw);
    arrival = (struct arrival){0};
    arrive();
    speak_tls();
    world_run_until(arrival.entered);
}

static void a_cancelled_one_tells_nobody(void **state) {
    (void)state;
    arrive();
    mw_entering_cancel(arrival.entering);
    world_settle();
    assert_int_equal(arrival.entered + arrival.refused, 0);
    assert_int_equal(world.net->streams, 0);
}

static void memory_may_fail_at_each_step(void **state) {
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        int ends[2];
        arrival = (struct arrival){0};
        world_tcp_pair(ends);
        struct mw_stream *stream = mw_stream_new(world.net, ends[0], &mw_plain_ops, NULL);
        alloc_failure_arm(nth);
        assert_null(mw_entrance_take(&entrance, stream, &peer, &arrival));
        assert_true(alloc_failure_disarm());
        expect_refusal("memory", "memory");
        close(ends[1]);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_rules_a_connection_is_through_at_once),
        TEST(a_handshake_lets_it_in),
        TEST(a_handshake_that_fails_does_not),
        TEST(a_silent_peer_has_its_time),
        TEST(one_more_than_the_most_is_refused),
        TEST(a_cancelled_one_tells_nobody),
        TEST(memory_may_fail_at_each_step),
    };
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
