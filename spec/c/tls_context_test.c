/* layers: base loop net */
/* Certificates and rules: what is taken, what is refused, and what ends see of each other. */
#include "net/tls_internal.h"
#include "support/alloc_failure.h"
#include "support/tls_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct identity other, other_rsa, user, stranger;

static int make_identities(void **state) {
    ends_make_identities(state);
    const char *names = "DNS:other.test,DNS:*.other.test";
    identity_make(&other, &(struct identity_wish){.common_name = "other", .names = names, .issuer = &authority});
    identity_make(&other_rsa,
                  &(struct identity_wish){.common_name = "other", .names = names, .issuer = &authority, .rsa = true});
    identity_make(&user, &(struct identity_wish){.common_name = "user", .issuer = &authority});
    identity_make(&stranger, &(struct identity_wish){.common_name = "stranger", .names = "DNS:localhost"});
    return 0;
}

static int free_identities(void **state) {
    identity_free(&other);
    identity_free(&other_rsa);
    identity_free(&user);
    identity_free(&stranger);
    return ends_free_identities(state);
}

static void serve(const struct identity *identity) {
    struct mw_tls_pair pair = identity_pair(identity);
    ends_replace(&server, &(struct mw_tls_rules){.server = true, .pairs = &pair, .pair_count = 1});
}

static void refused(const struct mw_tls_rules *rules, const char *code, const char *part) {
    struct mw_fault fault = {0};
    assert_null(mw_tls_context_new(rules, &fault));
    if (strcmp(fault.code, code) != 0 || !strstr(fault.message, part)) {
        fail_msg("%s: %s, and not %s: %s", fault.code, fault.message, code, part);
    }
}

/* --- what a server refuses to begin with --- */

static void refused_pair(const struct mw_tls_pair *pair, const char *part) {
    refused(&(struct mw_tls_rules){.server = true, .pairs = pair, .pair_count = 1}, "invalid", part);
}

static void a_pair_that_is_no_good_is_told_by_its_file(void **state) {
    (void)state;
    struct mw_tls_pair pair = identity_pair(&site);
    pair.certificate = "nothing";
    pair.certificate_size = 7;
    refused_pair(&pair, "site.crt: there is no certificate in it");
    pair = identity_pair(&site);
    pair.certificate_size = 100;
    refused_pair(&pair, "site.crt: ");
    pair = identity_pair(&site);
    pair.key_size = 60;
    refused_pair(&pair, "site.key: ");
    pair = identity_pair(&site);
    pair.key = pair.certificate;
    pair.key_size = pair.certificate_size;
    refused_pair(&pair, "site.key: there is no private key in it");
    pair = identity_pair(&site);
    pair.key = other.key_text;
    pair.key_size = strlen(other.key_text);
    refused_pair(&pair, "site.key: this is not the key of the certificate in site.crt");
}

static void a_chain_that_breaks_off_is_refused(void **state) {
    (void)state;
    struct mw_tls_pair pair = identity_pair(&site);
    char *text;
    assert_true(asprintf(&text, "%s%.200s", site.certificate_text, authority.certificate_text) > 0);
    pair.certificate = text;
    pair.certificate_size = strlen(text);
    refused_pair(&pair, "site.crt: this is no certificate: ");
    free(text);
}

static void an_encrypted_key_is_refused(void **state) {
    (void)state;
    struct mw_tls_pair pair = identity_pair(&site);
    char *text = identity_encrypted_key(&site);
    pair.key = text;
    pair.key_size = strlen(text);
    refused_pair(&pair, "site.key: the key is encrypted");
    free(text);
}

static void rules_that_make_no_sense_are_refused(void **state) {
    (void)state;
    const char *const empty_name[] = {"", NULL};
    struct mw_tls_pair pair = identity_pair(&site);
    struct mw_tls_rules rules = {.server = true};
    refused(&rules, "invalid", "a server needs a certificate");
    rules.pairs = &pair;
    rules.pair_count = 1;
    rules.verify = MW_TLS_VERIFY_OPTIONAL;
    refused(&rules, "invalid", "needs the authorities");
    rules.verify = MW_TLS_VERIFY_NONE;
    rules.least_version = 11;
    refused(&rules, "invalid", "12 or 13");
    rules.least_version = 0;
    rules.ciphers = "no-such-suite";
    refused(&rules, "invalid", "no cipher match");
    rules.ciphers = "ECDHE-ECDSA-AES128-SHA";
    refused(&rules, "invalid", "ECDHE-ECDSA-AES128-SHA is no AEAD suite");
    rules.ciphers = NULL;
    rules.protocols = empty_name;
    refused(&rules, "invalid", "ALPN");
    refused(&(struct mw_tls_rules){.authorities = "none", .authorities_size = 4, .authorities_name = "ca.pem"}, "invalid",
            "ca.pem: there is no certificate in it");
}

static void memory_may_fail_at_each_step(void **state) {
    (void)state;
    const char *const protocols[] = {"h2", NULL};
    struct mw_tls_pair pairs[] = {identity_pair(&site), identity_pair(&other)};
    struct mw_tls_rules rules = {.server = true, .pairs = pairs, .pair_count = 2, .protocols = protocols};
    for (int nth = 1, failed = 1; failed; nth++) {
        struct mw_fault fault = {0};
        alloc_failure_arm(nth);
        struct mw_tls_context *context = mw_tls_context_new(&rules, &fault);
        failed = alloc_failure_disarm();
        assert_true(failed ? context == NULL : context != NULL);
        if (failed) {
            assert_string_equal(fault.code, "memory");
        }
        mw_tls_context_release(context);
        assert_true(failed || nth > 5);
    }
}

/* --- which certificate is shown --- */

static void serve_several(bool name_required) {
    struct mw_tls_pair pairs[] = {identity_pair(&site), identity_pair(&other), identity_pair(&other_rsa)};
    ends_replace(&server, &(struct mw_tls_rules){
                              .server = true, .pairs = pairs, .pair_count = 3, .name_required = name_required});
}

static X509 *shown_for(const char *name) {
    struct mw_tls_facts facts = {0};
    ends_connect_memory();
    ends_shake_hands(name);
    mw_tls_describe(client.witness.stream, &facts);
    return facts.certificate;
}

static void a_server_shows_the_certificate_of_the_name(void **state) {
    (void)state;
    serve_several(false);
    assert_int_equal(server.context->group_count, 2);
    assert_int_equal(X509_cmp(shown_for("localhost"), site.certificate), 0);
    assert_int_equal(X509_cmp(shown_for("127.0.0.1"), site.certificate), 0);
    assert_int_equal(X509_cmp(shown_for("www.site.test"), site.certificate), 0);
    assert_int_equal(X509_cmp(shown_for("other.test"), other.certificate), 0);
    assert_int_equal(X509_cmp(shown_for("OTHER.test"), other.certificate), 0);
    assert_int_equal(X509_cmp(shown_for("www.other.test"), other.certificate), 0);
}

static void a_client_gets_the_kind_of_key_that_it_can_check(void **state) {
    (void)state;
    serve_several(false);
    assert_int_equal(SSL_CTX_set1_sigalgs_list(client.context->groups[0].ctx, "RSA-PSS+SHA256:ECDSA+SHA256"), 1);
    SSL_CTX_clear_options(server.context->groups[1].ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    assert_int_equal(SSL_CTX_set1_sigalgs_list(client.context->groups[0].ctx, "RSA-PSS+SHA256:RSA+SHA256"), 1);
    ends_connect_memory();
    ends_meet("other.test");
    struct mw_tls_facts facts;
    mw_tls_describe(client.witness.stream, &facts);
    assert_non_null(facts.certificate);
    assert_int_equal(X509_cmp(facts.certificate, other_rsa.certificate), 0);
}

static void an_unknown_name_gets_the_first_or_nothing(void **state) {
    (void)state;
    serve_several(false);
    ends_connect_memory();
    ends_meet("unknown.test");
    ends_expect(&client, "certificate", "tls handshake: the certificate is not for unknown.test, but for localhost, ");
    ends_expect(&server, "certificate", "the peer refuses our certificate");
    serve_several(true);
    ends_connect_memory();
    ends_meet("unknown.test");
    ends_expect(&client, "protocol", "the server does not know that name");
    ends_connect_memory();
    ends_shake_hands("127.0.0.1");
}

/* --- what a client believes --- */

static void a_name_must_be_in_the_certificate(void **state) {
    (void)state;
    const char *const names[] = {"example.org", "site.test", "a.b.site.test", "127.0.0.2", "::1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char words[100];
        snprintf(words, sizeof words, "is not for %s, but for localhost, *.site.test", names[i]);
        ends_connect_memory();
        ends_meet(names[i]);
        ends_expect(&client, "certificate", words);
    }
}

static void a_certificate_has_its_time(void **state) {
    (void)state;
    struct identity odd = {0};
    identity_make(&odd, &(struct identity_wish){
                            .common_name = "odd", .names = "DNS:localhost", .issuer = &authority, .from = -7200, .until = -60});
    serve(&odd);
    ends_connect_memory();
    ends_meet("localhost");
    ends_expect(&client, "certificate", "the certificate has expired on 20");
    ends_expect(&server, "certificate", "refuses our certificate (expired)");
    assert_true(mw_tls_context_not_after(server.context) < time(NULL));
    identity_free(&odd);
    identity_make(&odd, &(struct identity_wish){
                            .common_name = "odd", .names = "DNS:localhost", .issuer = &authority, .from = 3600, .until = 7200});
    serve(&odd);
    ends_connect_memory();
    ends_meet("localhost");
    ends_expect(&client, "certificate", "the certificate begins on 20");
    identity_free(&odd);
}

static void an_authority_must_be_known(void **state) {
    (void)state;
    serve(&stranger);
    ends_connect_memory();
    ends_meet("localhost");
    ends_expect(&client, "certificate", "signed by itself");
    serve(&site);
    ends_replace(&client, &(struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED,
                                                 .authorities = stranger.certificate_text,
                                                 .authorities_size = strlen(stranger.certificate_text)});
    ends_connect_memory();
    ends_meet("localhost");
    ends_expect(&client, "certificate", "unknown authority");
    ends_expect(&server, "certificate", "unknown authority");
    serve(&stranger);
    ends_connect_memory();
    ends_shake_hands("localhost");
}

static void without_a_word_the_authorities_of_the_system_count(void **state) {
    (void)state;
    ends_replace(&client, &(struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED});
    ends_connect_memory();
    ends_meet("localhost");
    ends_expect(&client, "certificate", "unknown authority");
}

static void a_client_that_does_not_verify_says_so(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    serve(&stranger);
    ends_replace(&client, &(struct mw_tls_rules){.verify = MW_TLS_VERIFY_NONE});
    ends_connect_memory();
    ends_shake_hands(NULL);
    mw_tls_describe(client.witness.stream, &facts);
    assert_true(facts.certificate && !facts.verified);
}

/* --- certificates of clients --- */

static void serve_clients(enum mw_tls_verify verify, int version) {
    struct mw_tls_pair pair = identity_pair(&site);
    ends_replace(&server, &(struct mw_tls_rules){.server = true,
                                                 .pairs = &pair,
                                                 .pair_count = 1,
                                                 .verify = verify,
                                                 .least_version = version,
                                                 .authorities = authority.certificate_text,
                                                 .authorities_size = strlen(authority.certificate_text)});
}

static void come_as(const struct identity *identity) {
    struct mw_tls_rules rules = ends_client_rules();
    struct mw_tls_pair pair;
    if (identity) {
        pair = identity_pair(identity);
        rules.pairs = &pair;
        rules.pair_count = 1;
    }
    ends_replace(&client, &rules);
    ends_connect_memory();
    ends_meet("localhost");
}

static void a_client_may_have_to_show_a_certificate(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    serve_clients(MW_TLS_VERIFY_REQUIRED, 13);
    come_as(&user);
    ends_expect(&server, NULL, NULL);
    mw_tls_describe(server.witness.stream, &facts);
    assert_true(facts.verified);
    assert_int_equal(X509_cmp(facts.certificate, user.certificate), 0);
    come_as(NULL);
    ends_expect(&server, "certificate", "the client has shown no certificate");
    come_as(&stranger);
    ends_expect(&server, "certificate", "signed by itself");
}

/* In TLS 1.3 the client is done before the server has looked: it hears of it later. */
static void a_client_that_was_refused_hears_why(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    serve_clients(MW_TLS_VERIFY_REQUIRED, 13);
    come_as(NULL);
    ends_expect(&client, NULL, NULL);
    world_run_until(mw_stream_input_fault(client.witness.stream));
    mw_tls_describe(client.witness.stream, &facts);
    assert_non_null(strstr(facts.reason, "certificate required"));
}

static void a_client_may_do_without_a_certificate(void **state) {
    (void)state;
    struct mw_tls_facts facts;
    serve_clients(MW_TLS_VERIFY_OPTIONAL, 12);
    come_as(NULL);
    ends_expect(&server, NULL, NULL);
    mw_tls_describe(server.witness.stream, &facts);
    assert_true(!facts.verified && !facts.certificate);
    come_as(&user);
    mw_tls_describe(server.witness.stream, &facts);
    assert_true(facts.verified);
    come_as(&stranger);
    ends_expect(&server, "certificate", "signed by itself");
}

/* --- protocols --- */

static void speak(const char *const *ours, const char *const *theirs, bool required) {
    struct mw_tls_pair pair = identity_pair(&site);
    struct mw_tls_rules rules = ends_client_rules();
    rules.protocols = theirs;
    ends_replace(&client, &rules);
    ends_replace(&server, &(struct mw_tls_rules){.server = true,
                                                 .pairs = &pair,
                                                 .pair_count = 1,
                                                 .protocols = ours,
                                                 .protocol_required = required});
    ends_connect_memory();
    ends_meet("localhost");
}

static void the_server_chooses_the_protocol(void **state) {
    (void)state;
    const char *const ours[] = {"h2", "http/1.1", NULL}, *const theirs[] = {"http/1.1", "h2", "x", NULL};
    struct mw_tls_facts facts;
    speak(ours, theirs, false);
    mw_tls_describe(client.witness.stream, &facts);
    assert_int_equal(facts.protocol_size, 2);
    assert_memory_equal(facts.protocol, "h2", 2);
    mw_tls_describe(server.witness.stream, &facts);
    assert_memory_equal(facts.protocol, "h2", 2);
}

static void without_a_common_protocol_there_is_none_or_no_connection(void **state) {
    (void)state;
    const char *const ours[] = {"h2", NULL}, *const theirs[] = {"http/1.1", NULL};
    struct mw_tls_facts facts;
    speak(ours, theirs, false);
    ends_expect(&server, "protocol", "ALPN");
    ends_expect(&client, "protocol", "ALPN");
    speak(ours, NULL, false);
    mw_tls_describe(server.witness.stream, &facts);
    assert_null(facts.protocol);
    speak(ours, NULL, true);
    ends_expect(&client, "protocol", "ALPN");
    speak(NULL, theirs, false);
    ends_expect(&server, NULL, NULL);
}

/* --- staples --- */

/* The size of what a client has got that asked for it; -1: nothing. */
static long receive_staple(const struct mw_tls_pair *pair, const unsigned char **got) {
    ends_replace(&server, &(struct mw_tls_rules){.server = true, .pairs = pair, .pair_count = 1});
    SSL_CTX_set_tlsext_status_type(client.context->groups[0].ctx, TLSEXT_STATUSTYPE_ocsp);
    ends_connect_memory();
    ends_shake_hands("localhost");
    return SSL_get_tlsext_status_ocsp_resp(((struct mw_tls *)client.witness.stream->transport)->ssl, got);
}

static void a_staple_comes_with_its_certificate(void **state) {
    (void)state;
    size_t size;
    const unsigned char *got;
    unsigned char *staple = identity_staple(&site, &authority, 3600, &size);
    struct mw_tls_pair pair = identity_pair(&site);
    pair.staple = (const char *)staple;
    pair.staple_size = size;
    assert_int_equal(receive_staple(&pair, &got), size);
    assert_memory_equal(got, staple, size);
    pair.staple_size--;
    refused_pair(&pair, "the OCSP response for site.crt is none");
    OPENSSL_free(staple);
}

static void a_staple_that_is_too_old_stays(void **state) {
    (void)state;
    size_t size;
    const unsigned char *got;
    unsigned char *staple = identity_staple(&site, &authority, -60, &size);
    struct mw_tls_pair pair = identity_pair(&site);
    pair.staple = (const char *)staple;
    pair.staple_size = size;
    assert_int_equal(receive_staple(&pair, &got), -1);
    OPENSSL_free(staple);
}

static void a_staple_of_another_certificate_is_refused(void **state) {
    (void)state;
    size_t size;
    unsigned char *staple = identity_staple(&other, &authority, 3600, &size);
    struct mw_tls_pair pair = identity_pair(&site);
    pair.staple = (const char *)staple;
    pair.staple_size = size;
    refused_pair(&pair, "the OCSP response for site.crt is one of another certificate");
    OPENSSL_free(staple);
}

static void holding_a_context_keeps_it(void **state) {
    (void)state;
    struct mw_tls_context *context = mw_tls_context_hold(server.context);
    ends_connect_memory();
    ends_begin(&server, NULL);
    mw_tls_context_release(context);
    mw_tls_context_release(server.context);
    server.context = NULL;
    ends_begin(&client, "localhost");
    world_run_until(client.done && server.done);
    ends_expect(&client, NULL, NULL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, ends_open, ends_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_pair_that_is_no_good_is_told_by_its_file),
        TEST(a_chain_that_breaks_off_is_refused),
        TEST(an_encrypted_key_is_refused),
        TEST(rules_that_make_no_sense_are_refused),
        TEST(memory_may_fail_at_each_step),
        TEST(a_server_shows_the_certificate_of_the_name),
        TEST(a_client_gets_the_kind_of_key_that_it_can_check),
        TEST(an_unknown_name_gets_the_first_or_nothing),
        TEST(a_name_must_be_in_the_certificate),
        TEST(a_certificate_has_its_time),
        TEST(an_authority_must_be_known),
        TEST(without_a_word_the_authorities_of_the_system_count),
        TEST(a_client_that_does_not_verify_says_so),
        TEST(a_client_may_have_to_show_a_certificate),
        TEST(a_client_that_was_refused_hears_why),
        TEST(a_client_may_do_without_a_certificate),
        TEST(the_server_chooses_the_protocol),
        TEST(without_a_common_protocol_there_is_none_or_no_connection),
        TEST(a_staple_comes_with_its_certificate),
        TEST(a_staple_that_is_too_old_stays),
        TEST(a_staple_of_another_certificate_is_refused),
        TEST(holding_a_context_keeps_it),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
