#include "support/tls_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct identity authority, site;
struct end client, server;

static void on_done(void *owner, const struct mw_fault *fault) {
    struct end *end = owner;
    end->done++;
    if (fault) {
        end->fault = *fault;
    }
    if (end->closes) {
        witness_close(&end->witness, 0);
    }
}

struct mw_tls_context *ends_context(const struct mw_tls_rules *rules) {
    struct mw_fault fault = {0};
    struct mw_tls_context *context = mw_tls_context_new(rules, &fault);
    if (!context) {
        fail_msg("%s", fault.message);
    }
    return context;
}

int ends_make_identities(void **state) {
    (void)state;
    identity_make(&authority, &(struct identity_wish){.common_name = "authority", .authority = true});
    identity_make(&site, &(struct identity_wish){.common_name = "site",
                                                 .names = "DNS:localhost,DNS:*.site.test,IP:127.0.0.1",
                                                 .issuer = &authority});
    return 0;
}

int ends_free_identities(void **state) {
    (void)state;
    identity_free(&authority);
    identity_free(&site);
    return 0;
}

struct mw_tls_rules ends_client_rules(void) {
    return (struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED,
                                 .authorities = authority.certificate_text,
                                 .authorities_size = strlen(authority.certificate_text)};
}

int ends_open(void **state) {
    world_open(state);
    client = server = (struct end){0};
    struct mw_tls_pair pair = identity_pair(&site);
    struct mw_tls_rules rules = ends_client_rules();
    server.context = ends_context(&(struct mw_tls_rules){.server = true, .pairs = &pair, .pair_count = 1});
    client.context = ends_context(&rules);
    return 0;
}

int ends_close(void **state) {
    ends_disconnect();
    mw_tls_context_release(client.context);
    mw_tls_context_release(server.context);
    return world_close(state);
}

void ends_replace(struct end *end, const struct mw_tls_rules *rules) {
    mw_tls_context_release(end->context);
    end->context = ends_context(rules);
}

static void forget(struct end *end) {
    witness_close(&end->witness, 0);
    end->witness = (struct witness){0};
    end->fault = (struct mw_fault){0};
    end->done = 0;
}

void ends_disconnect(void) {
    forget(&client);
    forget(&server);
}

void ends_connect_memory(void) {
    struct mw_stream *ends[2];
    ends_disconnect();
    assert_true(mw_stream_new_memory(world.net, ends));
    witness_own(&client.witness, ends[0]);
    witness_own(&server.witness, ends[1]);
}

void ends_connect_sockets(void) {
    int ends[2];
    ends_disconnect();
    world_tcp_pair(ends);
    witness_open(&client.witness, ends[0], &mw_plain_ops, NULL);
    witness_open(&server.witness, ends[1], &mw_plain_ops, NULL);
}

bool ends_start(struct end *end, const char *name, struct mw_fault *fault) {
    struct mw_tls_handshake handshake = {
        .server_name = name, .port = end->port, .timeout = 5, .on_done = on_done, .owner = end};
    return mw_tls_start(end->witness.stream, end->context, &handshake, fault);
}

void ends_begin(struct end *end, const char *name) {
    struct mw_fault fault = {0};
    end->done = 0;
    if (!ends_start(end, name, &fault)) {
        fail_msg("%s", fault.message);
    }
}

void ends_meet(const char *name) {
    ends_begin(&client, name);
    ends_begin(&server, NULL);
    world_run_until(client.done && server.done);
}

void ends_shake_hands(const char *name) {
    ends_meet(name);
    ends_expect(&client, NULL, NULL);
    ends_expect(&server, NULL, NULL);
}

void ends_expect(const struct end *end, const char *code, const char *part) {
    if (!code) {
        assert_string_equal(end->fault.message, "");
        return;
    }
    if (!end->fault.code || strcmp(end->fault.code, code) != 0 || !strstr(end->fault.message, part)) {
        fail_msg("%s: %s, and not %s: %s", end->fault.code, end->fault.message, code, part);
    }
}
