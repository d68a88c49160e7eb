/* layers: base loop net */
/* Session tickets: keys that turn, and processes that share them. */
#include "net/tls_tickets.h"
#include "net/tls_internal.h"
#include "support/tls_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/mapping_failure.h"

#include <cmocka.h>

/* wrap: mmap getrandom */

static struct mw_tls_tickets *tickets;

static int open_tickets(void **state) {
    ends_open(state);
    tickets = mw_tls_tickets_new(100);
    assert_non_null(tickets);
    return 0;
}

static int close_tickets(void **state) {
    int result = ends_close(state);
    mw_tls_tickets_free(tickets);
    return result;
}

static struct mw_tls_ticket_key seal(double now) {
    struct mw_tls_ticket_key key;
    mw_tls_tickets_seal(tickets, now, &key);
    return key;
}

/* 2: with the newest key, 1: with an older one, 0: not at all. */
static int opens(double now, const struct mw_tls_ticket_key *sealed) {
    struct mw_tls_ticket_key key;
    bool newest = false;
    if (!mw_tls_tickets_open(tickets, now, sealed->name, &key, &newest)) {
        return 0;
    }
    assert_memory_equal(&key, sealed, sizeof key);
    return newest ? 2 : 1;
}

static void a_key_seals_for_one_interval_and_opens_for_two(void **state) {
    (void)state;
    double start = mw_tls_tickets_clock();
    struct mw_tls_ticket_key first = seal(start), same = seal(start + 99);
    assert_memory_equal(&first, &same, sizeof first);
    assert_int_equal(opens(start + 99, &first), 2);
    struct mw_tls_ticket_key second = seal(start + 150);
    assert_memory_not_equal(&first, &second, sizeof first);
    assert_memory_not_equal(first.cipher, second.cipher, sizeof first.cipher);
    assert_int_equal(opens(start + 150, &first), 1);
    assert_int_equal(opens(start + 150, &second), 2);
    assert_int_equal(opens(start + 210, &first), 0);
    assert_int_equal(opens(start + 240, &second), 2);
    assert_int_equal(opens(start + 260, &second), 1);
}

static void a_server_that_slept_starts_anew(void **state) {
    (void)state;
    double start = mw_tls_tickets_clock();
    struct mw_tls_ticket_key first = seal(start);
    assert_int_equal(opens(start + 10000, &first), 0);
    struct mw_tls_ticket_key next = seal(start + 10000);
    assert_int_equal(opens(start + 10000, &next), 2);
}

static void a_name_of_nobody_opens_nothing(void **state) {
    (void)state;
    struct mw_tls_ticket_key none = {.name = "nobody's"};
    assert_int_equal(opens(mw_tls_tickets_clock(), &none), 0);
}

static void without_randomness_the_old_key_goes_on(void **state) {
    (void)state;
    double start = mw_tls_tickets_clock();
    struct mw_tls_ticket_key first = seal(start);
    random_error = EIO;
    struct mw_tls_ticket_key still = seal(start + 150);
    assert_null(mw_tls_tickets_new(100));
    random_error = 0;
    assert_memory_equal(&first, &still, sizeof first);
    struct mw_tls_ticket_key next = seal(start + 151);
    assert_memory_not_equal(&first, &next, sizeof first);
    mmap_error = ENOMEM;
    assert_null(mw_tls_tickets_new(100));
    mmap_error = 0;
    mw_tls_tickets_free(NULL);
}

/* Many turn the ring at the same moments: all have the same keys after, and one key was made for each. */
static void processes_share_the_keys(void **state) {
    (void)state;
    enum { PROCESSES = 4, TURNS = 200 };
    double start = mw_tls_tickets_clock() + 1;
    int pipes[PROCESSES][2];
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        children[i] = fork();
        if (children[i] == 0) {
            for (int turn = 1; turn <= TURNS; turn++) {
                seal(start + turn * 100.0);
            }
            struct mw_tls_ticket_key last = seal(start + TURNS * 100.0);
            _exit(write(pipes[i][1], &last, sizeof last) != sizeof last);
        }
    }
    struct mw_tls_ticket_key last, theirs;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    last = seal(start + TURNS * 100.0);
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(pipes[i][0], &theirs, sizeof theirs), sizeof theirs);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    assert_int_equal(opens(start + TURNS * 100.0, &last), 2);
    assert_memory_equal(&theirs, &last, sizeof last);
}

/* --- with connections --- */

static void serve(int version, const struct identity *identity) {
    struct mw_tls_pair pair = identity_pair(identity);
    struct mw_tls_rules rules = ends_client_rules();
    rules.sessions = 2;
    if (!client.context->sessions) {
        ends_replace(&client, &rules);
    }
    ends_replace(&server, &(struct mw_tls_rules){.server = true, .pairs = &pair, .pair_count = 1, .tickets = tickets});
    assert_int_equal(SSL_CTX_set_max_proto_version(client.context->groups[0].ctx, version), 1);
}

static bool resumes(const char *name, uint16_t port) {
    struct mw_tls_facts facts;
    client.port = port;
    ends_connect_memory();
    ends_shake_hands(name);
    assert_int_equal(witness_queue(&server.witness, 0, 10), 0);
    mw_net_flush(world.net);
    world_run_until(client.witness.received == 10);
    mw_tls_describe(client.witness.stream, &facts);
    assert_true(facts.verified);
    return facts.resumed;
}

static void sessions_go_on(int version) {
    serve(version, &site);
    assert_false(resumes("localhost", 443));
    assert_true(resumes("localhost", 443));
    assert_true(resumes("localhost", 443));
    assert_false(resumes("127.0.0.1", 443));
    assert_false(resumes("localhost", 444));
    assert_false(resumes("localhost", 0));
    assert_true(resumes("localhost", 444));
}

static void version_13_resumes(void **state) {
    (void)state;
    sessions_go_on(TLS1_3_VERSION);
}

static void version_12_resumes(void **state) {
    (void)state;
    sessions_go_on(TLS1_2_VERSION);
}

/* Only the servers that were used last are remembered. */
static void a_client_remembers_few_servers(void **state) {
    (void)state;
    serve(TLS1_3_VERSION, &site);
    resumes("localhost", 1);
    resumes("localhost", 2);
    resumes("localhost", 1);
    resumes("localhost", 3);
    assert_true(resumes("localhost", 1));
    assert_false(resumes("localhost", 2));
}

/* Another generation or worker: its own context, the same keys. */
static void another_context_takes_the_session(void **state) {
    (void)state;
    serve(TLS1_3_VERSION, &site);
    assert_false(resumes("localhost", 443));
    serve(TLS1_3_VERSION, &site);
    assert_true(resumes("localhost", 443));
}

static void a_server_of_other_names_does_not(void **state) {
    (void)state;
    struct identity other = {0};
    identity_make(&other, &(struct identity_wish){
                              .common_name = "x", .names = "DNS:localhost,DNS:other.test", .issuer = &authority});
    serve(TLS1_3_VERSION, &site);
    assert_false(resumes("localhost", 443));
    serve(TLS1_3_VERSION, &other);
    assert_false(resumes("localhost", 443));
    identity_free(&other);
}

static void a_server_without_tickets_begins_anew(void **state) {
    (void)state;
    struct mw_tls_tickets *none = tickets;
    tickets = NULL;
    serve(TLS1_3_VERSION, &site);
    assert_false(resumes("localhost", 443));
    assert_false(resumes("localhost", 443));
    tickets = none;
}

static void keys_that_are_gone_mean_a_full_handshake(void **state) {
    (void)state;
    serve(TLS1_3_VERSION, &site);
    assert_false(resumes("localhost", 443));
    struct mw_tls_tickets *old = tickets;
    tickets = mw_tls_tickets_new(100);
    serve(TLS1_3_VERSION, &site);
    assert_false(resumes("localhost", 443));
    mw_tls_tickets_free(old);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_tickets, close_tickets)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_key_seals_for_one_interval_and_opens_for_two),
        TEST(a_server_that_slept_starts_anew),
        TEST(a_name_of_nobody_opens_nothing),
        TEST(without_randomness_the_old_key_goes_on),
        TEST(processes_share_the_keys),
        TEST(version_13_resumes),
        TEST(version_12_resumes),
        TEST(a_client_remembers_few_servers),
        TEST(another_context_takes_the_session),
        TEST(a_server_of_other_names_does_not),
        TEST(a_server_without_tickets_begins_anew),
        TEST(keys_that_are_gone_mean_a_full_handshake),
    };
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
