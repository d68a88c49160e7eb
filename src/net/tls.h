/* TLS on a stream (RFC 8446, RFC 5246): the transport of an open stream becomes TLS over what it was before, which
 * may be a socket, memory, or TLS. */
#ifndef MW_NET_TLS_H
#define MW_NET_TLS_H

#include "base/fault.h"
#include "net/stream.h"

#include <time.h>

/* --- what many connections share: certificates, keys, rules --- */

struct mw_tls_context; /* counted references */
struct mw_tls_tickets; /* keys of session tickets; see tls_tickets.h */

/* A certificate with its key, both PEM. The chain follows the certificate. Texts need not outlive the call. */
struct mw_tls_pair {
    const char *certificate, *key;        /* PEM text */
    size_t certificate_size, key_size;
    const char *certificate_name, *key_name; /* of the files, for messages */
    const char *staple;                   /* an OCSP response (DER), sent to clients that ask; NULL: none */
    size_t staple_size;
};

enum mw_tls_verify { MW_TLS_VERIFY_NONE, MW_TLS_VERIFY_OPTIONAL, MW_TLS_VERIFY_REQUIRED };

struct mw_tls_rules {
    bool server;
    const struct mw_tls_pair *pairs;  /* a server has at least one; which is shown is chosen by SNI, else the first */
    size_t pair_count;
    const char *authorities;          /* PEM: who is trusted; NULL: the system's, for a client */
    size_t authorities_size;
    const char *authorities_name;     /* of the file, for messages */
    enum mw_tls_verify verify;        /* of the peer's certificate. A server that verifies names its authorities; a client
                                       * knows REQUIRED (chain and name) and NONE */
    const char *const *protocols;     /* ALPN names (RFC 7301), best first; NULL-terminated; NULL: no ALPN */
    bool protocol_required;           /* a server refuses a client that offers no protocols at all, too */
    int least_version;                /* 12 or 13; 0: 12 */
    const char *ciphers;              /* of TLS 1.2, OpenSSL's notation, AEAD only; NULL: all with forward secrecy */
    struct mw_tls_tickets *tickets;   /* of a server; NULL: none are given. Must outlive the context */
    bool name_required;               /* a server refuses names that it has no certificate for */
    unsigned sessions;                /* of a client: so many servers whose last session is kept; 0: none */
};

/* NULL with the fault, which names the file: "invalid", "not_found", "memory". */
struct mw_tls_context *mw_tls_context_new(const struct mw_tls_rules *rules, struct mw_fault *fault);
struct mw_tls_context *mw_tls_context_hold(struct mw_tls_context *context);
void mw_tls_context_release(struct mw_tls_context *context); /* NULL is allowed */

/* When the first of the certificates ends, seconds since 1970; 0: there is none. */
time_t mw_tls_context_not_after(const struct mw_tls_context *context);

/* --- one connection --- */

struct mw_tls_handshake {
    const char *server_name; /* a client's: for SNI and the check of the certificate; a name or an address */
    uint16_t port;           /* of the server, beside its name what a session is kept under; 0: none is kept */
    double timeout;          /* seconds; MW_TIMER_NEVER: none */
    bool no_tickets;         /* a server's: the peer gets no session to resume */
    bool takes_unread;       /* unread input belongs to the handshake: what came before it was no more than a PROXY header */
    /* It is over: NULL, or what went wrong. Never from within mw_tls_start. The stream may be closed within. */
    void (*on_done)(void *owner, const struct mw_fault *fault);
    void *owner;
};

/* Begins; the stream's events and owner are untouched and hear nothing until it is done. The stream must hold no
 * unread input: bytes that came in clear are refused with "protocol" (RFC 3207 section 5). Queued output leaves in
 * clear first; what is queued meanwhile leaves behind the handshake. False with the fault; the stream is as it was.
 *
 * When the handshake fails the stream is dead (both directions have a fault), and is still the caller's to close. Codes:
 *   "certificate"  the peer's does not convince us, ours does not convince the peer, or there is none
 *   "protocol"     the peer speaks no TLS, or no version, suite or ALPN protocol that we do
 *   "timeout", "reset", "memory", and "tls" for what else may go wrong
 * A client that speaks HTTP in clear gets an answer 400 that says so.
 *
 * On an open connection a peer that ends without close_notify is a fault of input, ECONNRESET: its data may have been cut
 * short. What breaks TLS is EPROTO, with `reason` in the facts. */
bool mw_tls_start(struct mw_stream *stream, struct mw_tls_context *context, const struct mw_tls_handshake *handshake,
                  struct mw_fault *fault);

/* on_done will not be called; the stream is to be closed now. */
void mw_tls_cancel(struct mw_stream *stream);

bool mw_tls_is_on(const struct mw_stream *stream);

struct mw_tls_facts {
    const char *version;     /* "TLSv1.3" */
    const char *cipher;      /* "TLS_AES_256_GCM_SHA384" */
    const char *protocol;    /* ALPN; NULL: none */
    size_t protocol_size;
    const char *server_name; /* what the client asked for; NULL: none */
    bool resumed, verified;
    const unsigned char *lineage; /* of a server: the same for connections whose sessions went on from each other; NULL */
    size_t lineage_size;
    void *certificate;       /* of the peer, X509, borrowed; NULL: none. See tls_certificate.h */
    const char *reason;      /* of EPROTO: what was wrong, or what the peer said was; NULL */
};

/* Kinds of channel binding: what an exporter gives, and the digest of the server's certificate. */
enum mw_tls_binding { MW_TLS_EXPORTER, MW_TLS_END_POINT };
enum { MW_TLS_BINDING_MOST = 64 }; /* bytes */

/* What names this connection to both ends. False: it is not TLS, or this kind is not possible with it. */
bool mw_tls_channel_binding(const struct mw_stream *stream, enum mw_tls_binding kind,
                            unsigned char bytes[MW_TLS_BINDING_MOST], size_t *size);

/* False when the stream is not TLS. */
bool mw_tls_describe(const struct mw_stream *stream, struct mw_tls_facts *facts);

#endif
