#include "net/tls_development.h"

#include "net/tls_internal.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERIAL_BITS = 127, HOST_NAME = 64, HOUR = 3600, DAY = 24 * HOUR };

static bool add(X509 *certificate, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

/* Whether the text may stand in a list of names as it is. */
static bool is_plain(const char *name) {
    for (const char *at = name; *at; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.') {
            return false;
        }
    }
    return name[0] != '\0';
}

static bool add_names(X509 *certificate) {
    char host[HOST_NAME + 1] = "", names[128 + HOST_NAME];
    bool named = gethostname(host, sizeof host - 1) == 0 && is_plain(host) && strcmp(host, "localhost") != 0;
    snprintf(names, sizeof names, "DNS:localhost,IP:127.0.0.1,IP:::1%s%s", named ? ",DNS:" : "", named ? host : "");
    return add(certificate, NID_subject_alt_name, names);
}

static bool set_serial(X509 *certificate) {
    BIGNUM *number = BN_new();
    bool set = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

static bool set_subject(X509 *certificate) {
    const unsigned char text[] = "localhost (development)";
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (unsigned char *)(uintptr_t)text, -1, -1, 0) &&
           X509_set_issuer_name(certificate, name);
}

/* An hour is for clocks that are behind. */
static bool fill(X509 *certificate, EVP_PKEY *key) {
    return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) && set_subject(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -HOUR) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), MW_TLS_DEVELOPMENT_DAYS * (long)DAY) &&
           X509_set_pubkey(certificate, key) && add(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add(certificate, NID_key_usage, "critical,digitalSignature") &&
           add(certificate, NID_ext_key_usage, "serverAuth,clientAuth") && add_names(certificate) &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* The contents of a memory BIO, which is wiped and freed. */
static char *take_text(BIO *bio, bool written, size_t *size) {
    char *bytes = NULL, *text = NULL;
    if (written) {
        *size = (size_t)BIO_get_mem_data(bio, &bytes);
        text = malloc(*size + 1);
    }
    if (text) {
        memcpy(text, bytes, *size);
        text[*size] = '\0';
    }
    if (bytes) {
        OPENSSL_cleanse(bytes, *size);
    }
    BIO_free(bio);
    return text;
}

static bool write_texts(struct mw_tls_development *development, X509 *certificate, const EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_mem());
    development->certificate = take_text(bio, bio && PEM_write_bio_X509(bio, certificate), &development->certificate_size);
    bio = BIO_new(BIO_s_secmem());
    development->key = take_text(bio, bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
                                 &development->key_size);
    return development->certificate && development->key;
}

bool mw_tls_development_make(struct mw_tls_development *development, struct mw_fault *fault) {
    *development = (struct mw_tls_development){0};
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? X509_new() : NULL;
    bool made = certificate && fill(certificate, key) && write_texts(development, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!made) {
        mw_tls_development_free(development);
        mw_fault_format(fault, "memory", "no certificate for development: %.100s", mw_tls_last_reason());
    }
    return made;
}

void mw_tls_development_free(struct mw_tls_development *development) {
    if (development->key) {
        OPENSSL_cleanse(development->key, development->key_size);
    }
    free(development->key);
    free(development->certificate);
    *development = (struct mw_tls_development){0};
}
