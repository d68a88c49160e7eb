/* layers: base loop net */
/* TLS over streams in memory and sockets: what goes through, and what ends it. */
#include "net/stream_internal.h"
#include "net/tls.h"
#include "support/alloc_failure.h"
#include "support/certificates.h"
#include "support/world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

/* An end of a connection, and what its handshake came to. */
struct end {
    struct witness witness;
    struct mw_tls_context *context;
    int done;
    struct mw_fault fault;
};

static struct identity authority, site;
static struct end client, server;

static void on_done(void *owner, const struct mw_fault *fault) {
    struct end *end = owner;
    end->done++;
    if (fault) {
        end->fault = *fault;
    }
}

static struct mw_tls_context *make_context(const struct mw_tls_rules *rules) {
    struct mw_fault fault = {0};
    struct mw_tls_context *context = mw_tls_context_new(rules, &fault);
    if (!context) {
        fail_msg("%s", fault.message);
    }
    return context;
}

static int make_identities(void **state) {
    (void)state;
    identity_make(&authority, &(struct identity_wish){.common_name = "authority", .authority = true});
    identity_make(&site, &(struct identity_wish){.common_name = "site",
                                                 .names = "DNS:localhost,DNS:*.site.test,IP:127.0.0.1",
                                                 .issuer = &authority});
    return 0;
}

static int free_identities(void **state) {
    (void)state;
    identity_free(&authority);
    identity_free(&site);
    return 0;
}

static void make_contexts(void) {
    struct mw_tls_pair pair = identity_pair(&site);
    server.context = make_context(&(struct mw_tls_rules){.server = true, .pairs = &pair, .pair_count = 1});
    client.context = make_context(&(struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED,
                                                         .authorities = authority.certificate_text,
                                                         .authorities_size = strlen(authority.certificate_text)});
}

static void connect_memory(void) {
    struct mw_stream *ends[2];
    assert_true(mw_stream_new_memory(world.net, ends));
    witness_own(&client.witness, ends[0]);
    witness_own(&server.witness, ends[1]);
}

static void connect_sockets(void) {
    int ends[2];
    world_tcp_pair(ends);
    witness_open(&client.witness, ends[0], &mw_plain_ops, NULL);
    witness_open(&server.witness, ends[1], &mw_plain_ops, NULL);
}

static int open_all(void **state) {
    world_open(state);
    client = server = (struct end){0};
    make_contexts();
    return 0;
}

static int close_all(void **state) {
    witness_close(&client.witness, 0);
    witness_close(&server.witness, 0);
    mw_tls_context_release(client.context);
    mw_tls_context_release(server.context);
    return world_close(state);
}

static bool start(struct end *end, const char *name, struct mw_fault *fault) {
    struct mw_tls_handshake handshake = {.server_name = name, .timeout = 5, .on_done = on_done, .owner = end};
    return mw_tls_start(end->witness.stream, end->context, &handshake, fault);
}

static void begin(struct end *end, const char *name) {
    struct mw_fault fault = {0};
    if (!start(end, name, &fault)) {
        fail_msg("%s", fault.message);
    }
}

static void shake_hands(void) {
    begin(&client, "localhost");
    begin(&server, NULL);
    world_run_until(client.done && server.done);
    assert_string_equal(client.fault.message, "");
    assert_string_equal(server.fault.message, "");
}

static void open_memory(void) {
    connect_memory();
    shake_hands();
}

static void a_handshake_opens_the_connection(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    open_memory();
    assert_true(mw_tls_is_on(client.witness.stream));
    assert_true(mw_tls_describe(client.witness.stream, &facts));
    assert_string_equal(facts.version, "TLSv1.3");
    assert_true(facts.verified && facts.certificate && !facts.resumed && !facts.protocol);
    assert_true(mw_tls_describe(server.witness.stream, &facts));
    assert_string_equal(facts.server_name, "localhost");
    assert_false(facts.verified || facts.certificate);
}

static void bytes_arrive_both_ways(void **state) {
    (void)state;
    open_memory();
    assert_int_equal(witness_queue(&client.witness, 0, 1000), 0);
    assert_int_equal(witness_queue(&server.witness, 0, 3 * MIB), 0);
    mw_net_flush(world.net);
    world_run_until(server.witness.received == 1000 && client.witness.received == 3 * MIB);
}

static void bytes_arrive_over_sockets(void **state) {
    (void)state;
    connect_sockets();
    shake_hands();
    assert_int_equal(witness_queue(&client.witness, 0, 3 * MIB), 0);
    assert_int_equal(witness_queue(&server.witness, 0, 3 * MIB), 0);
    world_run_until(server.witness.received == 3 * MIB && client.witness.received == 3 * MIB);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_opens_the_connection),
        TEST(bytes_arrive_both_ways),
        TEST(bytes_arrive_over_sockets),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
