/* Why a handshake failed, in words that tell what to do about it. */
#include "net/tls_internal.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

const char *mw_tls_last_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "unknown error";
}

struct words {
    int number;
    const char *code, *text;
};

/* Reasons of OpenSSL for which there are better words. */
static const struct words reasons[] = {
    {SSL_R_HTTP_REQUEST, "protocol", "the peer speaks no TLS (HTTP in clear)"},
    {SSL_R_HTTPS_PROXY_REQUEST, "protocol", "the peer speaks no TLS (a CONNECT request of HTTP in clear)"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "protocol", "the peer speaks only versions of TLS that are refused here"},
    {SSL_R_VERSION_TOO_LOW, "protocol", "the peer speaks only versions of TLS that are refused here"},
    {SSL_R_NO_SHARED_CIPHER, "protocol", "no cipher suite in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "protocol", "no signature algorithm in common"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "protocol", "no key exchange group in common"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "protocol", "no application protocol (ALPN) in common"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "certificate", "the client has shown no certificate"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "tls", "the peer has ended the connection"},
};

/* What the peer says in an alert (RFC 8446 section 6.2). */
static const struct words alerts[] = {
    {SSL_AD_HANDSHAKE_FAILURE, "protocol", "the peer finds nothing in common (handshake failure)"},
    {SSL_AD_BAD_CERTIFICATE, "certificate", "the peer refuses our certificate (bad certificate)"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "certificate", "the peer refuses our certificate (unsupported)"},
    {SSL_AD_CERTIFICATE_REVOKED, "certificate", "the peer refuses our certificate (revoked)"},
    {SSL_AD_CERTIFICATE_EXPIRED, "certificate", "the peer refuses our certificate (expired)"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "certificate", "the peer refuses our certificate (unknown)"},
    {SSL_AD_UNKNOWN_CA, "certificate", "the peer refuses our certificate (unknown authority)"},
    {SSL_AD_PROTOCOL_VERSION, "protocol", "the peer refuses our versions of TLS"},
    {SSL_AD_UNRECOGNIZED_NAME, "protocol", "the server does not know that name"},
    {TLS13_AD_CERTIFICATE_REQUIRED, "certificate", "the server wants a certificate of ours"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "protocol", "the server speaks none of our application protocols (ALPN)"},
};

static const struct words *find(const struct words *words, size_t count, int number) {
    for (size_t i = 0; i < count; i++) {
        if (words[i].number == number) {
            return &words[i];
        }
    }
    return NULL;
}

static const struct words *explain(int reason) {
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
        return find(alerts, sizeof alerts / sizeof *alerts, reason - SSL_AD_REASON_OFFSET);
    }
    return find(reasons, sizeof reasons / sizeof *reasons, reason);
}

/* "2026-01-31" */
static void format_day(const ASN1_TIME *time, char text[16]) {
    struct tm parts;
    if (!ASN1_TIME_to_tm(time, &parts) || strftime(text, 16, "%Y-%m-%d", &parts) == 0) {
        strcpy(text, "some day");
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

static void explain_names(const X509 *certificate, char *text, size_t size) {
    char names[96];
    list_names(certificate, names, sizeof names);
    snprintf(text, size, "the certificate is for other names%s%s", names[0] ? ": " : "", names);
}

static void explain_day(const X509 *certificate, bool begins, char *text, size_t size) {
    char day[16];
    format_day(begins ? X509_get0_notBefore(certificate) : X509_get0_notAfter(certificate), day);
    snprintf(text, size, "the certificate %s on %s", begins ? "begins" : "has expired", day);
}

/* What is wrong with the certificate of the peer. */
static void explain_certificate(const struct mw_tls *tls, char *text, size_t size) {
    long result = SSL_get_verify_result(tls->ssl);
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (certificate) {
            explain_names(certificate, text, size);
            return;
        }
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (certificate) {
            explain_day(certificate, result == X509_V_ERR_CERT_NOT_YET_VALID, text, size);
            return;
        }
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, size, "the certificate is signed by itself, and not among the authorities");
        return;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(text, size, "the certificate is of an unknown authority");
        return;
    default:
        break;
    }
    snprintf(text, size, "the certificate: %s", X509_verify_cert_error_string(result));
}

/* "tls handshake with example.org" */
static void name_operation(const struct mw_tls *tls, char text[128]) {
    const char *name = SSL_is_server(tls->ssl) ? NULL : SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(text, 128, "tls handshake%s%.100s", name ? " with " : "", name ? name : "");
}

/* The peer is at its end, or bytes that are no TLS came first. */
static const struct words *explain_transport(const struct mw_tls *tls, int reason) {
    static const struct words gone = {0, "tls", "the peer has ended the connection"};
    static const struct words clear = {0, "protocol", "the peer speaks no TLS"};
    if (tls->lower_end && !reason) {
        return &gone;
    }
    bool odd = reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_RECORD_LENGTH_MISMATCH ||
               reason == SSL_R_UNEXPECTED_MESSAGE || reason == SSL_R_BAD_RECORD_TYPE;
    return odd && !SSL_get_current_cipher(tls->ssl) ? &clear : NULL;
}

void mw_tls_fault_handshake(struct mw_tls *tls, struct mw_fault *fault) {
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    char operation[128], text[160];
    name_operation(tls, operation);
    const struct words *words = explain(reason);
    if (!words) {
        words = explain_transport(tls, reason);
    }
    if (tls->lower_fault || reason == ERR_R_MALLOC_FAILURE) {
        mw_fault_set(fault, tls->lower_fault ? tls->lower_fault : ENOMEM, operation, NULL);
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        explain_certificate(tls, text, sizeof text);
        mw_fault_format(fault, "certificate", "%s: %s", operation, text);
    } else if (words) {
        mw_fault_format(fault, words->code, "%s: %s", operation, words->text);
    } else {
        const char *its = ERR_reason_error_string(error);
        mw_fault_format(fault, "tls", "%s: %s", operation, its ? its : "failed");
    }
    ERR_clear_error();
}
