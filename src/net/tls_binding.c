/* What names one connection of TLS to both ends and to nobody between them (RFC 5929, RFC 9266). */
#include "net/tls_internal.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

static const char LABEL[] = "EXPORTER-Channel-Binding";

/* TLS 1.2 without the extended master secret has no such name (RFC 9266 section 3). */
static bool export_name(SSL *ssl, unsigned char *bytes, size_t *size) {
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) {
        return false;
    }
    *size = 32;
    return SSL_export_keying_material(ssl, bytes, *size, LABEL, sizeof LABEL - 1, NULL, 0, 1) == 1;
}

/* The digest of the server's certificate, by the hash that it is signed with; SHA-256 for the weak ones. A signature
 * that has no hash of its own, as Ed25519, has no name (RFC 5929 section 4.1). */
static bool digest_certificate(const SSL *ssl, bool server, unsigned char *bytes, size_t *size) {
    X509 *certificate = server ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    int hash = NID_undef;
    unsigned length = 0;
    if (!certificate || X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef) {
        return false;
    }
    const EVP_MD *digest = hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
    bool made = digest && X509_digest(certificate, digest, bytes, &length) == 1;
    *size = length;
    return made;
}

bool mw_tls_channel_binding(const struct mw_stream *stream, enum mw_tls_binding kind,
                            unsigned char bytes[MW_TLS_BINDING_MOST], size_t *size) {
    if (stream->ops != &mw_tls_ops) {
        return false;
    }
    const struct mw_tls *tls = stream->transport;
    return kind == MW_TLS_EXPORTER ? export_name(tls->ssl, bytes, size)
                                   : digest_certificate(tls->ssl, tls->context->server, bytes, size);
}
