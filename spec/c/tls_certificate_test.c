/* layers: base loop net */
/* What stands in certificates, and the one that is made for development. */
#include "net/tls_certificate.h"
#include "net/tls_development.h"
#include "support/alloc_failure.h"
#include "support/tls_ends.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_certificate_is_told(void **state) {
    (void)state;
    struct mw_tls_certificate read;
    assert_true(mw_tls_certificate_read(&read, site.certificate));
    assert_string_equal(read.subject, "CN=site");
    assert_string_equal(read.issuer, "CN=authority");
    assert_string_equal(read.common_name, "site");
    assert_string_equal(read.names[0], "localhost");
    assert_string_equal(read.names[1], "*.site.test");
    assert_string_equal(read.names[2], "127.0.0.1");
    assert_null(read.names[3]);
    assert_true(strlen(read.serial) >= 2 && strspn(read.serial, "0123456789ABCDEF") == strlen(read.serial));
    assert_true(read.not_before < time(NULL) && read.not_after - read.not_before == 86400 + 3600);
    assert_string_equal(read.pem, site.certificate_text);
    unsigned char digest[32];
    X509_digest(site.certificate, EVP_sha256(), digest, NULL);
    assert_memory_equal(read.fingerprint, digest, sizeof digest);
    const unsigned char *at = read.der;
    X509 *again = d2i_X509(NULL, &at, (long)read.der_size);
    assert_int_equal(X509_cmp(again, site.certificate), 0);
    X509_free(again);
    mw_tls_certificate_free(&read);
}

static void all_kinds_of_names_are_told(void **state) {
    (void)state;
    struct identity odd = {0};
    struct mw_tls_certificate read;
    identity_make(&odd, &(struct identity_wish){
                            .common_name = "Ünder, ground\n",
                            .names = "IP:::1,email:me@example.org,URI:https://example.org/,RID:1.2.3.4,DNS:x y"});
    assert_true(mw_tls_certificate_read(&read, odd.certificate));
    assert_string_equal(read.subject, "CN=Ünder\\, ground\\0A");
    assert_string_equal(read.common_name, "Ünder, ground\n");
    assert_string_equal(read.names[0], "::1");
    assert_string_equal(read.names[1], "mailto:me@example.org");
    assert_string_equal(read.names[2], "https://example.org/");
    assert_string_equal(read.names[3], "x?y");
    assert_null(read.names[4]);
    mw_tls_certificate_free(&read);
    identity_free(&odd);
}

static void a_certificate_may_have_few_names(void **state) {
    (void)state;
    struct mw_tls_certificate read;
    assert_true(mw_tls_certificate_read(&read, authority.certificate));
    assert_null(read.names[0]);
    mw_tls_certificate_free(&read);
}

static void memory_may_fail_when_it_is_read(void **state) {
    (void)state;
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        struct mw_tls_certificate read;
        alloc_failure_arm(nth);
        bool good = mw_tls_certificate_read(&read, site.certificate);
        failed = alloc_failure_disarm();
        assert_int_equal(good, !failed);
        mw_tls_certificate_free(&read);
    }
}

static void one_for_development_works_for_this_host(void **state) {
    ends_open(state);
    struct mw_tls_development development;
    struct mw_fault fault;
    assert_true(mw_tls_development_make(&development, &fault));
    struct mw_tls_pair pair = {.certificate = development.certificate,
                               .certificate_size = development.certificate_size,
                               .key = development.key,
                               .key_size = development.key_size};
    ends_replace(&server, &(struct mw_tls_rules){.server = true, .pairs = &pair, .pair_count = 1});
    ends_replace(&client, &(struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED,
                                                 .authorities = development.certificate,
                                                 .authorities_size = development.certificate_size});
    const char *const names[] = {"localhost", "127.0.0.1", "::1"};
    for (int i = 0; i < 3; i++) {
        ends_connect_memory();
        ends_shake_hands(names[i]);
    }
    double days = (double)(mw_tls_context_not_after(server.context) - time(NULL)) / 86400;
    assert_true(days > 29.9 && days < 30.1);
    mw_tls_development_free(&development);
    assert_null(development.key);
    mw_tls_development_free(&development);
    ends_close(state);
}

static void memory_may_fail_when_it_is_made(void **state) {
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        struct mw_tls_development development;
        struct mw_fault fault;
        alloc_failure_arm(nth);
        assert_false(mw_tls_development_make(&development, &fault));
        assert_true(alloc_failure_disarm());
        assert_string_equal(fault.code, "memory");
        assert_null(development.certificate);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_told),
        cmocka_unit_test(all_kinds_of_names_are_told),
        cmocka_unit_test(a_certificate_may_have_few_names),
        cmocka_unit_test(memory_may_fail_when_it_is_read),
        cmocka_unit_test(one_for_development_works_for_this_host),
        cmocka_unit_test(memory_may_fail_when_it_is_made),
    };
    return cmocka_run_group_tests(tests, ends_make_identities, ends_free_identities);
}
