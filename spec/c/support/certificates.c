#include "support/certificates.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *unfailing_memory(void *old, size_t size) __asm__("__real_realloc");

/* The contents of a memory BIO, which is freed. */
static char *take_text(BIO *bio) {
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = unfailing_memory(NULL, (size_t)size + 1);
    assert_non_null(text);
    memcpy(text, bytes, (size_t)size);
    text[size] = '\0';
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate) {
    static long serial = 1000;
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial));
}

void identity_make(struct identity *identity, const struct identity_wish *wish) {
    EVP_PKEY *key = wish->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509 *issuer = wish->issuer ? wish->issuer->certificate : certificate;
    assert_true(key && certificate);
    assert_true(X509_set_version(certificate, X509_VERSION_3));
    set_serial(certificate);
    bool any = !wish->from && !wish->until;
    X509_gmtime_adj(X509_getm_notBefore(certificate), any ? -3600 : wish->from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), any ? 86400 : wish->until);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wish->common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_set_pubkey(certificate, key);
    add_extension(certificate, issuer, NID_basic_constraints, wish->authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (wish->names) {
        add_extension(certificate, issuer, NID_subject_alt_name, wish->names);
    }
    assert_true(X509_sign(certificate, wish->issuer ? wish->issuer->key : key, EVP_sha256()) > 0);
    BIO *text = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_X509(text, certificate));
    identity->certificate_text = take_text(text);
    text = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL));
    identity->key_text = take_text(text);
    identity->certificate = certificate;
    identity->key = key;
}

void identity_free(struct identity *identity) {
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    free(identity->certificate_text);
    free(identity->key_text);
    *identity = (struct identity){0};
}

struct mw_tls_pair identity_pair(const struct identity *identity) {
    return (struct mw_tls_pair){
        .certificate = identity->certificate_text,
        .certificate_size = strlen(identity->certificate_text),
        .certificate_name = "site.crt",
        .key = identity->key_text,
        .key_size = strlen(identity->key_text),
        .key_name = "site.key",
    };
}

char *identity_encrypted_key(const struct identity *identity) {
    BIO *text = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(text, identity->key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)"secret"));
    return take_text(text);
}

unsigned char *identity_staple(const struct identity *identity, const struct identity *issuer, long seconds,
                               size_t *size) {
    unsigned char *bytes = NULL;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, identity->certificate, issuer->certificate);
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3600), *later = X509_gmtime_adj(NULL, seconds);
    assert_non_null(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, later));
    assert_true(OCSP_basic_sign(basic, issuer->certificate, issuer->key, EVP_sha256(), NULL, 0));
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int length = i2d_OCSP_RESPONSE(response, &bytes);
    assert_true(length > 0);
    *size = (size_t)length;
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    return bytes;
}
