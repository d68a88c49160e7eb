/* layers: base loop proto net */
/* What a connection goes through before anybody serves it. */
#include "net/entrance.h"
#include "net/proxied.h"
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

/* --- behind a proxy --- */

static struct mw_network proxies[1];

static void trust(const char *network) {
    const char *why;
    assert_true(mw_network_parse(proxies, network, strlen(network), &why));
    entrance.proxies = proxies;
    entrance.proxy_count = 1;
}

static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n";

static void expect_client(void) {
    char text[MW_ADDR_TEXT];
    assert_int_equal(arrival.entered, 1);
    assert_string_equal(mw_addr_format(&arrival.peer, text), "192.0.2.1:4000");
}

static void a_proxy_says_who_comes(void **state) {
    (void)state;
    trust("127.0.0.0/8");
    entrance.tls = NULL;
    arrive();
    say(header, sizeof header - 1);
    world_run_until(arrival.entered);
    expect_client();
    assert_int_equal(entrance.inside, 0);
}

static void a_header_may_come_in_pieces_and_with_data_behind(void **state) {
    (void)state;
    size_t size;
    trust("127.0.0.0/8");
    entrance.tls = NULL;
    arrive();
    for (size_t i = 0; i < sizeof header - 2; i++) {
        say(header + i, 1);
        world_settle();
        assert_int_equal(arrival.entered, 0);
    }
    say("\nGET /", 6);
    world_run_until(arrival.entered);
    expect_client();
    assert_true(mw_stream_proxied(arrival.stream)->has_client);
    const char *bytes = mw_stream_unread(arrival.stream, &size);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "GET /", 5);
}

static void a_handshake_comes_behind_the_header(void **state) {
    (void)state;
    trust("127.0.0.0/8");
    arrive();
    say(header, sizeof header - 1);
    speak_tls();
    world_run_until(arrival.entered && client.done);
    expect_client();
    assert_true(mw_tls_is_on(arrival.stream));
}

/* One read brings both. */
static void a_handshake_may_come_with_the_header(void **state) {
    (void)state;
    int middle[2];
    char hello[4096];
    trust("127.0.0.0/8");
    world_tcp_pair(middle);
    witness_open(&client.witness, middle[0], &mw_plain_ops, NULL);
    ends_begin(&client, "localhost");
    world_settle();
    memcpy(hello, header, sizeof header - 1);
    ssize_t size = read(middle[1], hello + sizeof header - 1, sizeof hello - sizeof header);
    assert_true(size > 0);
    arrive();
    say(hello, sizeof header - 1 + (size_t)size);
    while (!arrival.entered || !client.done) {
        ssize_t got = read(raw, hello, sizeof hello);
        if (got > 0) {
            assert_int_equal(write(middle[1], hello, (size_t)got), got);
        }
        got = read(middle[1], hello, sizeof hello);
        if (got > 0) {
            say(hello, (size_t)got);
        }
        ev_run(mw_loop_ev(world.loop), EVRUN_NOWAIT);
    }
    expect_client();
    close(middle[1]);
}

/* Certificates may be renewed while a header is awaited. */
static void the_handshake_is_that_of_the_arrival(void **state) {
    (void)state;
    trust("127.0.0.0/8");
    arrive();
    world_settle();
    entrance.tls = NULL;
    say(header, sizeof header - 1);
    speak_tls();
    world_run_until(arrival.entered && client.done);
    assert_true(mw_tls_is_on(arrival.stream));
}

static void only_those_in_the_list_are_proxies(void **state) {
    (void)state;
    trust("10.0.0.0/8");
    arrive();
    say(header, sizeof header - 1);
    world_run_until(arrival.refused);
    expect_refusal("protocol", "the peer speaks no TLS");
    assert_int_equal(arrival.peer.v4.sin_port, htons(4711));
}

static void who_comes_by_a_unix_socket_may_be_a_proxy(void **state) {
    (void)state;
    peer = (struct mw_addr){.length = sizeof(sa_family_t), .any.sa_family = AF_UNIX};
    entrance.tls = NULL;
    trust("0.0.0.0/0");
    arrive();
    assert_int_equal(arrival.entered, 1);
    mw_stream_close(arrival.stream, 0);
    close(raw);
    arrival = (struct arrival){0};
    entrance.proxies_local = true;
    arrive();
    assert_int_equal(arrival.entered, 0);
    say(header, sizeof header - 1);
    world_run_until(arrival.entered);
    expect_client();
}

static void a_proxy_that_speaks_for_itself_is_the_peer(void **state) {
    (void)state;
    trust("127.0.0.1");
    entrance.tls = NULL;
    arrive();
    say("PROXY UNKNOWN\r\n", 15);
    world_run_until(arrival.entered);
    assert_int_equal(arrival.peer.v4.sin_port, htons(4711));
    const struct mw_proxied *proxied = mw_stream_proxied(arrival.stream);
    assert_int_equal(proxied->version, 1);
    assert_int_equal(proxied->proxy.port, 4711);
    assert_int_equal(proxied->destination.family, 0);
    assert_false(proxied->has_client || proxied->is_local);
}

static void a_proxy_without_a_header_is_refused(void **state) {
    (void)state;
    trust("127.0.0.1");
    arrive();
    say("GET / HTTP/1.1\r\n\r\n", 18);
    world_run_until(arrival.refused);
    expect_refusal("protocol", "PROXY header: ");
    close(raw);
    arrival = (struct arrival){0};
    arrive();
    say(header, 10);
    assert_int_equal(shutdown(raw, SHUT_WR), 0);
    world_run_until(arrival.refused);
    expect_refusal("protocol", "PROXY header: the peer has ended the connection");
    arrival = (struct arrival){0};
    struct peer gone = {.fd = raw};
    arrive();
    close(gone.fd);
    gone.fd = raw;
    raw = -1;
    peer_reset(&gone);
    world_run_until(arrival.refused);
    expect_refusal("reset", "reset");
}

static void the_header_and_the_handshake_share_their_time(void **state) {
    (void)state;
    trust("127.0.0.1");
    entrance.timeout = 0.01;
    arrive();
    world_run_until(arrival.refused);
    expect_refusal("timeout", "timeout");
    close(raw);
    arrival = (struct arrival){0};
    entrance.timeout = 0.02;
    arrive();
    say(header, sizeof header - 1);
    world_run_until(arrival.refused);
    expect_refusal("timeout", "timeout");
}

static void a_cancelled_one_tells_nobody(void **state) {
    (void)state;
    arrive();
    mw_entering_cancel(arrival.entering);
    close(raw);
    trust("127.0.0.1");
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

static void memory_may_fail_at_the_header(void **state) {
    (void)state;
    trust("127.0.0.1");
    entrance.tls = NULL;
    arrive();
    say(header, sizeof header - 2);
    world_settle();
    say("\n", 1);
    alloc_failure_arm(1);
    world_run_until(arrival.refused);
    alloc_failure_disarm();
    expect_refusal("memory", "memory");
    close(raw);
    raw = -1;
    world_run_until(world.net->streams == 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_rules_a_connection_is_through_at_once),
        TEST(a_handshake_lets_it_in),
        TEST(a_handshake_that_fails_does_not),
        TEST(a_silent_peer_has_its_time),
        TEST(one_more_than_the_most_is_refused),
        TEST(a_proxy_says_who_comes),
        TEST(a_header_may_come_in_pieces_and_with_data_behind),
        TEST(a_handshake_comes_behind_the_header),
        TEST(a_handshake_may_come_with_the_header),
        TEST(the_handshake_is_that_of_the_arrival),
        TEST(only_those_in_the_list_are_proxies),
        TEST(who_comes_by_a_unix_socket_may_be_a_proxy),
        TEST(a_proxy_that_speaks_for_itself_is_the_peer),
        TEST(a_proxy_without_a_header_is_refused),
        TEST(the_header_and_the_handshake_share_their_time),
        TEST(a_cancelled_one_tells_nobody),
        TEST(memory_may_fail_at_each_step),
        TEST(memory_may_fail_at_the_header),
    };
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
