#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const void *bytes, size_t size) {
    char *text = malloc(size + 1);
    if (text) {
        memcpy(text, bytes, size);
        text[size] = '\0';
    }
    return text;
}

/* What was written to a memory BIO, which is freed. NULL when memory is, or was, out. */
static char *take_text(BIO *bio, bool written) {
    char *bytes = NULL;
    long size = written ? BIO_get_mem_data(bio, &bytes) : 0;
    char *text = written ? copy_text(size ? bytes : "", (size_t)size) : NULL;
    BIO_free(bio);
    return text;
}

static char *read_name(const X509_NAME *name) {
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned long flags = (XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    return take_text(bio, bio && X509_NAME_print_ex(bio, name, 0, flags) >= 0);
}

static char *read_serial(X509 *x509) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
    char *hexadecimal = number ? BN_bn2hex(number) : NULL;
    char *text = hexadecimal ? copy_text(hexadecimal, strlen(hexadecimal)) : NULL;
    OPENSSL_free(hexadecimal);
    BN_free(number);
    return text;
}

/* NULL in `*text` when there is none. */
static bool read_common_name(X509 *x509, char **text) {
    X509_NAME *subject = X509_get_subject_name(x509);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *bytes = NULL;
    *text = NULL;
    if (index < 0) {
        return true;
    }
    int size = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (size < 0) {
        return false;
    }
    *text = copy_text(bytes, strnlen((char *)bytes, (size_t)size));
    OPENSSL_free(bytes);
    return *text;
}

static bool read_moment(const ASN1_TIME *time, time_t *moment) {
    struct tm parts;
    if (!ASN1_TIME_to_tm(time, &parts)) {
        return false;
    }
    *moment = timegm(&parts);
    return true;
}

/* Texts of names are ASCII; whatever else stands there is shown as '?'. */
static char *read_ia5(const ASN1_STRING *string, const char *before) {
    int size = ASN1_STRING_length(string);
    size_t start = strlen(before);
    char *text = malloc(start + (size_t)size + 1);
    if (!text) {
        return NULL;
    }
    memcpy(text, before, start);
    memcpy(text + start, ASN1_STRING_get0_data(string), (size_t)size);
    for (char *at = text + start; at < text + start + size; at++) {
        if (*at <= ' ' || *at > '~') {
            *at = '?';
        }
    }
    text[start + (size_t)size] = '\0';
    return text;
}

static char *read_address(const ASN1_STRING *string) {
    char text[INET6_ADDRSTRLEN];
    int size = ASN1_STRING_length(string), family = size == 4 ? AF_INET : AF_INET6;
    if ((size != 4 && size != 16) || !inet_ntop(family, ASN1_STRING_get0_data(string), text, sizeof text)) {
        return copy_text("?", 1);
    }
    return copy_text(text, strlen(text));
}

static bool is_told(const GENERAL_NAME *name) {
    return name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI || name->type == GEN_IPADD;
}

static char *read_alternative(const GENERAL_NAME *name) {
    if (name->type == GEN_IPADD) {
        return read_address(name->d.iPAddress);
    }
    return read_ia5(name->d.ia5, name->type == GEN_EMAIL ? "mailto:" : "");
}

static bool read_names(X509 *x509, char ***names) {
    GENERAL_NAMES *found = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = found ? sk_GENERAL_NAME_num(found) : 0;
    size_t read = 0;
    bool good = true;
    *names = calloc((size_t)count + 1, sizeof **names);
    for (int i = 0; *names && good && i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(found, i);
        if (is_told(name)) {
            good = ((*names)[read++] = read_alternative(name)) != NULL;
        }
    }
    GENERAL_NAMES_free(found);
    return *names && good;
}

static char *read_pem(X509 *x509) {
    BIO *bio = BIO_new(BIO_s_mem());
    return take_text(bio, bio && PEM_write_bio_X509(bio, x509));
}

static bool read_der(struct mw_tls_certificate *certificate, X509 *x509) {
    int size = i2d_X509(x509, NULL);
    unsigned char *at = certificate->der = size > 0 ? malloc((size_t)size) : NULL;
    if (!at) {
        return false;
    }
    certificate->der_size = (size_t)i2d_X509(x509, &at);
    return X509_digest(x509, EVP_sha256(), certificate->fingerprint, NULL);
}

bool mw_tls_certificate_read(struct mw_tls_certificate *certificate, void *x509) {
    *certificate = (struct mw_tls_certificate){0};
    bool read = (certificate->subject = read_name(X509_get_subject_name(x509))) != NULL &&
                (certificate->issuer = read_name(X509_get_issuer_name(x509))) != NULL &&
                (certificate->serial = read_serial(x509)) != NULL &&
                (certificate->pem = read_pem(x509)) != NULL && read_common_name(x509, &certificate->common_name) &&
                read_names(x509, &certificate->names) && read_der(certificate, x509) &&
                read_moment(X509_get0_notBefore(x509), &certificate->not_before) &&
                read_moment(X509_get0_notAfter(x509), &certificate->not_after);
    if (!read) {
        mw_tls_certificate_free(certificate);
        ERR_clear_error();
    }
    return read;
}

void mw_tls_certificate_free(struct mw_tls_certificate *certificate) {
    for (size_t i = 0; certificate->names && certificate->names[i]; i++) {
        free(certificate->names[i]);
    }
    free(certificate->names);
    free(certificate->subject);
    free(certificate->issuer);
    free(certificate->common_name);
    free(certificate->serial);
    free(certificate->pem);
    free(certificate->der);
    *certificate = (struct mw_tls_certificate){0};
}
