/* The inside of TLS, for the files tls*.c of this layer. */
#ifndef MW_NET_TLS_INTERNAL_H
#define MW_NET_TLS_INTERNAL_H

#include "net/stream_internal.h"
#include "net/tls.h"
#include "net/tls_names.h"
#include "net/tls_sessions.h"

#include <openssl/ssl.h>

/* Certificates under the same names, one for each kind of key, in the form that OpenSSL wants. */
struct mw_tls_group {
    SSL_CTX *ctx;
    struct mw_tls_staple *staples;
};

struct mw_tls_context {
    unsigned references;
    BIO *bio; /* of all its connections: one for each would be two more allocations */
    bool server, name_required, protocol_required;
    enum mw_tls_verify verify;
    struct mw_tls_group *groups; /* a client has one */
    size_t group_count;
    struct mw_tls_names *names;  /* which group has the certificates of a name; NULL: none has any */
    unsigned char *protocols;    /* ALPN, as on the wire; NULL: none */
    unsigned protocols_size;
    time_t not_after; /* when the first certificate ends; 0: there is none */
    struct mw_tls_tickets *tickets;
    struct mw_tls_sessions *sessions; /* of a client; NULL: none are kept */
};

enum mw_tls_state { MW_TLS_CLEARING, MW_TLS_SHAKING, MW_TLS_DONE, MW_TLS_FAILED };

/* What only a handshake needs. */
struct mw_tls_phase {
    ev_prepare bell; /* fed, never started: calls on_done, which must not come from within a read */
    struct mw_timer timer;
    struct mw_tls *tls;
    enum mw_tls_state state;
    int wants;            /* MW_WANT_*: what it waits for */
    size_t clear;         /* bytes of the queue that are to leave in clear before */
    struct mw_buf *ahead; /* what was read before it began, and is part of it */
    bool heard;           /* something came from the peer */
    void (*on_done)(void *owner, const struct mw_fault *fault);
    void *owner;
    struct mw_fault fault;
};

/* The transport of a stream. */
struct mw_tls {
    SSL *ssl;
    struct mw_stream *stream;
    const struct mw_stream_ops *lower; /* the transport below */
    void *lower_transport;
    struct mw_tls_context *context;
    struct mw_tls_phase *phase; /* NULL once the handshake is over */
    char *session_key;          /* under which a client keeps its sessions; NULL: it does not */
    const char *reason;         /* why it ended, in words of OpenSSL (static); NULL: it did not, or nobody knows */
    int fault;                  /* errno that ended it; 0: none */
    int lower_fault;            /* errno of the transport below; 0: none */
    size_t owed;                /* bytes of a record that was begun, and has not left wholly */
    bool drained : 1;           /* the transport below has no more at the moment */
    bool leftover : 1;          /* the last read stopped for want of room: there is more that no descriptor shows */
    bool lower_end : 1;         /* the transport below is at its end */
    bool silent : 1;            /* our direction has ended: what TLS still says is for nobody */
};

extern const struct mw_stream_ops mw_tls_ops;           /* of an open connection */
extern const struct mw_stream_ops mw_tls_handshake_ops; /* while the handshake goes on */

static inline bool mw_tls_is(const struct mw_stream_ops *ops) {
    return ops == &mw_tls_ops || ops == &mw_tls_handshake_ops;
}

/* To be called around each call of OpenSSL that may read or write: the turn is this connection's now. Returns whose it
 * was, which mw_tls_leave gives it back to: below this one there may be TLS of the same context. */
static inline struct mw_tls *mw_tls_enter(struct mw_tls *tls) {
    struct mw_tls *before = BIO_get_data(tls->context->bio);
    BIO_set_data(tls->context->bio, tls);
    return before;
}

static inline void mw_tls_leave(const struct mw_tls *tls, struct mw_tls *before) {
    BIO_set_data(tls->context->bio, before);
}

/* Whose connection it is, for what OpenSSL calls while it reads or writes. */
static inline struct mw_tls *mw_tls_of(const SSL *ssl) {
    return BIO_get_data(SSL_get_rbio(ssl));
}

/* A BIO that reads and writes with the transport below the connection whose turn it is. NULL when memory is out. */
BIO *mw_tls_bio_new(void);

/* What the result of an SSL_ function means: MW_WANT_*, 0 at the end, or -errno, which is kept in `tls`. */
int mw_tls_verdict(struct mw_tls *tls, int result);

/* Ends the handshake without a word, and frees what it had. */
void mw_tls_phase_free(struct mw_tls *tls);

/* Why the handshake failed: reads OpenSSL's queue of errors. */
void mw_tls_fault_handshake(struct mw_tls *tls, struct mw_fault *fault);

/* What OpenSSL calls for each certificate that it has checked. */
int mw_tls_on_verified(int good, X509_STORE_CTX *checking);

/* Our name for the last error in OpenSSL's queue, a static text; "unknown error". Empties the queue. */
const char *mw_tls_last_reason(void);

#endif
