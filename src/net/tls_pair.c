#include "net/tls_pair.h"

#include "net/tls_internal.h"
#include "net/tls_staple.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static const char *name_of(const char *file, const char *what) {
    return file ? file : what;
}

/* What OpenSSL says of a text that it cannot read. */
static void refuse(struct mw_fault *fault, const char *file, const char *what) {
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
        mw_fault_format(fault, "memory", "%.200s: out of memory", file);
    } else if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) {
        mw_fault_format(fault, "invalid", "%.200s: there is no %s in it (PEM is wanted)", file, what);
    } else {
        const char *reason = ERR_reason_error_string(error);
        mw_fault_format(fault, "invalid", "%.200s: this is no %s: %.60s", file, what, reason ? reason : "unreadable");
    }
    ERR_clear_error();
}

static BIO *open_text(const char *text, size_t size, const char *file, struct mw_fault *fault) {
    BIO *bio = size <= INT_MAX ? BIO_new_mem_buf(text, (int)size) : NULL;
    if (!bio) {
        ERR_clear_error();
        mw_fault_format(fault, size <= INT_MAX ? "memory" : "invalid", "%.200s: %s", file,
                        size <= INT_MAX ? "out of memory" : "too large");
    }
    return bio;
}

/* Whether the last read found nothing more, which is no fault. */
static bool is_at_end(void) {
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static bool read_chain(struct mw_tls_loaded *loaded, BIO *bio) {
    X509 *next;
    loaded->chain = sk_X509_new_null();
    while (loaded->chain && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (!sk_X509_push(loaded->chain, next)) {
            X509_free(next);
            return false;
        }
    }
    return loaded->chain && is_at_end();
}

static bool read_certificates(struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair, struct mw_fault *fault) {
    const char *file = name_of(pair->certificate_name, "certificate");
    BIO *bio = open_text(pair->certificate, pair->certificate_size, file, fault);
    if (!bio) {
        return false;
    }
    loaded->certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool read = loaded->certificate && read_chain(loaded, bio);
    if (!read) {
        refuse(fault, file, "certificate");
    }
    BIO_free(bio);
    ERR_clear_error();
    return read;
}

/* Nobody is there to type a pass phrase. */
static int refuse_passphrase(char *text, int size, int writing, void *asked) {
    (void)text;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool read_key(struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair, struct mw_fault *fault) {
    const char *file = name_of(pair->key_name, "key");
    bool asked = false;
    BIO *bio = open_text(pair->key, pair->key_size, file, fault);
    if (!bio) {
        return false;
    }
    loaded->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
    BIO_free(bio);
    if (asked) {
        mw_fault_format(fault, "invalid",
                        "%.200s: the key is encrypted; store it without a pass phrase, readable by the daemon only", file);
    } else if (!loaded->key && !memmem(pair->key, pair->key_size, "PRIVATE KEY-----", 16)) {
        mw_fault_format(fault, "invalid", "%.200s: there is no private key in it (PEM is wanted)", file);
    } else if (!loaded->key) {
        refuse(fault, file, "private key");
    }
    ERR_clear_error();
    return loaded->key;
}

static bool check_match(const struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair, struct mw_fault *fault) {
    if (X509_check_private_key(loaded->certificate, loaded->key)) {
        return true;
    }
    ERR_clear_error();
    mw_fault_format(fault, "invalid", "%.120s: this is not the key of the certificate in %.120s",
                    name_of(pair->key_name, "key"), name_of(pair->certificate_name, "certificate"));
    return false;
}

bool mw_tls_pair_load(struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair, struct mw_fault *fault) {
    *loaded = (struct mw_tls_loaded){0};
    ERR_clear_error();
    if (read_certificates(loaded, pair, fault) && read_key(loaded, pair, fault) && check_match(loaded, pair, fault) &&
        mw_tls_staple_check(pair, loaded->certificate, fault)) {
        return true;
    }
    mw_tls_pair_unload(loaded);
    return false;
}

void mw_tls_pair_unload(struct mw_tls_loaded *loaded) {
    X509_free(loaded->certificate);
    sk_X509_pop_free(loaded->chain, X509_free);
    EVP_PKEY_free(loaded->key);
    *loaded = (struct mw_tls_loaded){0};
}

static bool add_name(STACK_OF(X509_NAME) *names, X509 *certificate) {
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
    if (name && sk_X509_NAME_push(names, name)) {
        return true;
    }
    X509_NAME_free(name);
    return false;
}

bool mw_tls_authorities_load(X509_STORE *store, STACK_OF(X509_NAME) *names, const char *text, size_t size,
                             const char *file, struct mw_fault *fault) {
    X509 *certificate;
    size_t count = 0;
    bool kept = true;
    ERR_clear_error();
    file = name_of(file, "authorities");
    BIO *bio = open_text(text, size, file, fault);
    if (!bio) {
        return false;
    }
    while (kept && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        kept = X509_STORE_add_cert(store, certificate) && (!names || add_name(names, certificate));
        X509_free(certificate);
        count++;
    }
    BIO_free(bio);
    if (!kept || count == 0 || !is_at_end()) {
        refuse(fault, file, "certificate");
        return false;
    }
    ERR_clear_error();
    return true;
}
