/* Why a handshake failed, in words that tell what to do about it. */
#include "net/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>

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

/* The peer is at its end, or bytes that are no TLS came first. */
static const struct words *explain_transport(const struct mw_tls *tls, int reason) {
    static const struct words gone = {0, "tls", "the peer has ended the connection"};
    static const struct words clear = {0, "protocol", "the peer speaks no TLS"};
    if (tls->lower_end && !reason) {
        return &gone;
    }
    return reason == SSL_R_WRONG_VERSION_NUMBER && !SSL_get_current_cipher(tls->ssl) ? &clear : NULL;
}

void mw_tls_fault_handshake(struct mw_tls *tls, struct mw_fault *fault) {
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    const struct words *words = explain(reason);
    if (!words) {
        words = explain_transport(tls, reason);
    }
    if (tls->lower_fault || reason == ERR_R_MALLOC_FAILURE) {
        mw_fault_set(fault, tls->lower_fault ? tls->lower_fault : ENOMEM, "tls handshake", NULL);
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && fault->code) {
        /* told already, where the certificate was at hand */
    } else if (words) {
        mw_fault_format(fault, words->code, "tls handshake: %s", words->text);
    } else {
        const char *its = ERR_reason_error_string(error);
        mw_fault_format(fault, "tls", "tls handshake: %s", its ? its : "failed");
    }
    ERR_clear_error();
}
