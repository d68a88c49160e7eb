#include "script/tls_develop.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DAY = 24 * 60 * 60, DAYS = 90, HOST_MOST = 200 };

static bool write_pem(BIO *bio, char *text, size_t size) {
    int length = BIO_read(bio, text, (int)size - 1);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 && BIO_pending(bio) == 0;
}

static bool write_both(X509 *certificate, EVP_PKEY *key, struct mw_tls_development *made) {
    BIO *bio = BIO_new(BIO_s_mem());
    bool done = bio && PEM_write_bio_X509(bio, certificate) && write_pem(bio, made->certificate, sizeof made->certificate) &&
                PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) &&
                write_pem(bio, made->key, sizeof made->key);
    BIO_free(bio);
    return done;
}

static bool add_extension(X509 *certificate, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static bool is_plain_name(const char *name) {
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] == '\0';
}

static bool add_names(X509 *certificate) {
    char host[HOST_MOST + 1] = "", names[HOST_MOST + 128];
    gethostname(host, HOST_MOST);
    bool known = is_plain_name(host) && strcmp(host, "localhost") != 0;
    snprintf(names, sizeof names, "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1%s%s", known ? ",DNS:" : "",
             known ? host : "");
    return add_extension(certificate, NID_subject_alt_name, names);
}

/* A serial number of its own: browsers refuse two certificates of one issuer with the same. */
static bool set_serial(X509 *certificate) {
    unsigned char bytes[16];
    BIGNUM *number = RAND_bytes(bytes, sizeof bytes) == 1 ? BN_bin2bn(bytes, sizeof bytes, NULL) : NULL;
    bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

static bool fill(X509 *certificate, EVP_PKEY *key) {
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, 2) && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -(long)DAY) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), (long)DAYS * DAY) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Moonwire development", -1, -1,
                                      0) &&
           X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") && add_names(certificate) &&
           X509_sign(certificate, key, EVP_sha256());
}

bool mw_tls_develop(struct mw_tls_development *made, struct mw_fault *fault) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    bool done = key && certificate && fill(certificate, key) && write_both(certificate, key, made);
    if (!done) {
        mw_fault_format(fault, "memory", "no development certificate can be made: %s",
                        ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return done;
}
