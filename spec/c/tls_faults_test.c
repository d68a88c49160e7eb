/* layers: base loop net */
/* Memory that is out anywhere in a connection, within OpenSSL too: the handshake or the stream has a fault, or all goes
 * well, but nothing crashes, hangs, or stays. */
#include "support/alloc_failure.h"
#include "support/tls_ends.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEP = 23, SENT = 40 * 1024 }; /* every so many allocations one fails */

static void *allocate(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return malloc(size);
}

static void *reallocate(void *old, size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return realloc(old, size);
}

static void release(void *old, const char *file, int line) {
    (void)file;
    (void)line;
    free(old);
}

static bool over(const struct end *end, const struct end *from) {
    return end->fault.code || mw_stream_input_fault(end->witness.stream) || mw_stream_at_end(end->witness.stream) ||
           mw_stream_output_fault(from->witness.stream) || end->witness.received == SENT;
}

static bool start(struct end *end) {
    struct mw_fault fault;
    return ends_start(end, "localhost", &fault);
}

/* Whether an allocation failed at that place. Everything there is happens: handshake, data both ways, the end. */
static bool live(int nth) {
    ends_connect_memory();
    alloc_failure_arm(nth);
    if (start(&client) && start(&server)) {
        witness_queue(&client.witness, 0, SENT);
        witness_queue(&server.witness, 0, SENT);
        mw_net_flush(world.net);
        world_run_until(over(&client, &server) || over(&server, &client));
        mw_stream_shutdown(client.witness.stream);
        world_settle();
    }
    bool failed = alloc_failure_disarm();
    assert_true(failed || (client.witness.received == SENT && server.witness.received == SENT));
    ends_disconnect();
    return failed;
}

static void a_connection_survives_want_of_memory(void **state) {
    (void)state;
    int nth = 1;
    while (live(nth)) {
        nth += STEP;
    }
    assert_true(nth > 100);
}

static void a_context_survives_want_of_memory(void **state) {
    (void)state;
    struct mw_tls_pair pair = identity_pair(&site);
    struct mw_tls_rules rules = ends_client_rules();
    rules.server = true;
    rules.pairs = &pair;
    rules.pair_count = 1;
    bool failed = true;
    for (int nth = 1; failed; nth += STEP) {
        struct mw_fault fault = {0};
        alloc_failure_arm(nth);
        struct mw_tls_context *context = mw_tls_context_new(&rules, &fault);
        failed = alloc_failure_disarm();
        assert_true(context || fault.code);
        mw_tls_context_release(context);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, ends_open, ends_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_connection_survives_want_of_memory),
        TEST(a_context_survives_want_of_memory),
    };
    if (!CRYPTO_set_mem_functions(allocate, reallocate, release)) {
        return 1;
    }
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
