/* What is wrong with a certificate, told where it is at hand. */
#include "net/tls_internal.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* "2026-01-31" */
static void format_day(const ASN1_TIME *time, char text[16]) {
    struct tm parts;
    if (!ASN1_TIME_to_tm(time, &parts) || strftime(text, 16, "%Y-%m-%d", &parts) == 0) {
        snprintf(text, 16, "some day");
    }
}

/* The names that the certificate is for, as many as fit: "a.example, b.example". */
static void list_names(const X509 *certificate, char *text, size_t size) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && used < size; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        const char *bytes = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
        int length = ASN1_STRING_length(name->d.dNSName);
        for (int at = 0; at < length; at++) {
            if (bytes[at] <= ' ' || bytes[at] > '~') {
                length = at; /* no name of a host, and not to be shown */
            }
        }
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", length, bytes);
    }
    GENERAL_NAMES_free(names);
}

/* The address that was asked for, as people write it; "" when it was a name. */
static void write_address(const struct mw_tls *tls, char text[INET6_ADDRSTRLEN]) {
    char *written = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(tls->ssl));
    unsigned char bytes[16];
    text[0] = '\0';
    if (written && inet_pton(AF_INET6, written, bytes) == 1) {
        inet_ntop(AF_INET6, bytes, text, INET6_ADDRSTRLEN);
    } else if (written) {
        snprintf(text, INET6_ADDRSTRLEN, "%s", written);
    }
    OPENSSL_free(written);
}

/* "the certificate is not for a.example, but for b.example, c.example" */
static void explain_names(const struct mw_tls *tls, const X509 *certificate, char *text, size_t size) {
    char names[80], address[INET6_ADDRSTRLEN];
    const char *asked = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    write_address(tls, address);
    list_names(certificate, names, sizeof names);
    snprintf(text, size, "the certificate is not for %.80s%s%s", asked ? asked : address,
             names[0] ? ", but for " : "", names);
}

static void explain_day(const X509 *certificate, const char *which, bool begins, char *text, size_t size) {
    char day[16];
    format_day(begins ? X509_get0_notBefore(certificate) : X509_get0_notAfter(certificate), day);
    snprintf(text, size, "%s %s on %s", which, begins ? "begins" : "has expired", day);
}

static void explain(const struct mw_tls *tls, X509_STORE_CTX *checking, char *text, size_t size) {
    int error = X509_STORE_CTX_get_error(checking);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(checking);
    const char *which = X509_STORE_CTX_get_error_depth(checking) > 0 ? "a certificate of its authority" : "the certificate";
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_names(tls, certificate, text, size);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        explain_day(certificate, which, error == X509_V_ERR_CERT_NOT_YET_VALID, text, size);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, size, "the certificate is signed by itself, and not among the authorities");
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(text, size, "the certificate is of an unknown authority");
        break;
    default:
        snprintf(text, size, "%s: %s", which, X509_verify_cert_error_string(error));
    }
}

int mw_tls_on_verified(int good, X509_STORE_CTX *checking) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(checking, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct mw_tls *tls = mw_tls_of(ssl);
    if (!good && tls->phase && X509_STORE_CTX_get_current_cert(checking)) {
        char text[240];
        explain(tls, checking, text, sizeof text);
        mw_fault_format(&tls->phase->fault, "certificate", "tls handshake: %s", text);
    }
    return good;
}
