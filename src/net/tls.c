/* TLS as a transport: an open connection. */
#include "net/tls.h"

#include "net/tls_internal.h"
#include "net/tls_tickets.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD = SSL3_RT_MAX_PLAIN_LENGTH }; /* bytes in one record */

int mw_tls_verdict(struct mw_tls *tls, int result) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MW_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return MW_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        break;
    }
    if (tls->lower_end && !tls->lower_fault) {
        return -ECONNRESET; /* no close_notify: the data may have been cut short. What we have to say may yet arrive */
    }
    if (tls->lower_fault) {
        tls->fault = tls->lower_fault;
    } else {
        unsigned long error = ERR_peek_last_error();
        tls->fault = ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? ENOMEM : EPROTO;
        tls->reason = ERR_reason_error_string(error);
    }
    return -tls->fault;
}

/* --- reading --- */

/* No descriptor shows what OpenSSL holds. */
static void come_back(struct mw_tls *tls) {
    tls->leftover = true;
    ev_feed_event(mw_loop_ev(tls->stream->net->loop), &tls->stream->input, EV_READ);
}

/* What is said beside `got` bytes: only that there is more, which the next read tells. */
static ssize_t pause_reading(struct mw_tls *tls, size_t got, int verdict) {
    if (got == 0) {
        return verdict;
    }
    if (verdict != MW_WANT_READ) {
        come_back(tls);
    }
    return (ssize_t)got;
}

static void arm_lower(struct mw_tls *tls, int events) {
    struct mw_stream *stream = tls->stream;
    if (tls->lower->arm) {
        stream->transport = tls->lower_transport;
        tls->lower->arm(stream, events);
        stream->transport = tls;
    }
}

static ssize_t read_records(struct mw_tls *tls, char *bytes, size_t size) {
    size_t got = 0;
    ERR_clear_error();
    while (got < size) {
        size_t more;
        int result = SSL_read_ex(tls->ssl, bytes + got, size - got, &more);
        if (result <= 0) {
            return pause_reading(tls, got, mw_tls_verdict(tls, result));
        }
        got += more;
    }
    if (SSL_has_pending(tls->ssl)) {
        come_back(tls);
    }
    return (ssize_t)got;
}

/* After a read that left something, only that is read: a peer that sends all the time must not keep the loop from
 * the others. What the transport below has, it may have to show again. */
static ssize_t tls_read(struct mw_stream *stream, char *bytes, size_t size) {
    struct mw_tls *tls = stream->transport;
    if (tls->fault) {
        return -tls->fault;
    }
    bool rest = tls->leftover && !tls->lower_end && SSL_has_pending(tls->ssl);
    tls->drained = rest;
    tls->leftover = false;
    struct mw_tls *before = mw_tls_enter(tls);
    ssize_t got = read_records(tls, bytes, size);
    mw_tls_leave(tls, before);
    if (rest) {
        arm_lower(tls, EV_READ);
    }
    return got;
}

static void tls_arm(struct mw_stream *stream, int events) {
    struct mw_tls *tls = stream->transport;
    if ((events & EV_READ) && (tls->leftover || SSL_has_pending(tls->ssl))) {
        come_back(tls);
    }
    arm_lower(tls, events);
}

/* --- writing --- */

/* What is left of the pieces. */
struct cursor {
    const struct iovec *piece, *end;
    size_t offset; /* in the first one */
};

static void skip(struct cursor *cursor, size_t size) {
    cursor->offset += size;
    while (cursor->piece < cursor->end && cursor->offset >= cursor->piece->iov_len) {
        cursor->offset -= cursor->piece->iov_len;
        cursor->piece++;
    }
}

/* Copies up to `size` bytes of the pieces; returns how many. */
static size_t gather(struct cursor cursor, char *bytes, size_t size) {
    size_t copied = 0;
    while (copied < size && cursor.piece < cursor.end) {
        size_t part = cursor.piece->iov_len - cursor.offset;
        if (part > size - copied) {
            part = size - copied;
        }
        memcpy(bytes + copied, (const char *)cursor.piece->iov_base + cursor.offset, part);
        copied += part;
        skip(&cursor, part);
    }
    return copied;
}

/* The bytes of the next record: where they are, or copied to `room` when they lie in several pieces. The one that was
 * begun is as long as it was. */
static const char *next_record(const struct mw_tls *tls, const struct cursor *cursor, char room[RECORD], size_t *size) {
    size_t most = tls->owed ? tls->owed : RECORD;
    size_t there = cursor->piece->iov_len - cursor->offset;
    if (there >= most || cursor->piece + 1 == cursor->end) {
        *size = there < most ? there : most;
        return (const char *)cursor->piece->iov_base + cursor->offset;
    }
    *size = gather(*cursor, room, most);
    return room;
}

/* Whether something follows the next `size` bytes. */
static bool has_more(const struct cursor *cursor, size_t size) {
    struct cursor behind = *cursor;
    skip(&behind, size);
    return behind.piece < behind.end;
}

static int write_record(struct mw_tls *tls, const char *bytes, size_t size, bool more, size_t *written) {
    struct mw_tls *before = mw_tls_enter(tls);
    tls->stream->more = more;
    int result = SSL_write_ex(tls->ssl, bytes, size, written);
    tls->stream->more = false;
    mw_tls_leave(tls, before);
    return result;
}

static ssize_t tls_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    struct mw_tls *tls = stream->transport;
    struct cursor cursor = {.piece = pieces, .end = pieces + count};
    size_t sent = 0;
    char room[RECORD];
    if (tls->fault) {
        return -tls->fault;
    }
    ERR_clear_error();
    for (skip(&cursor, 0); cursor.piece < cursor.end;) {
        size_t size, written;
        const char *bytes = next_record(tls, &cursor, room, &size);
        tls->owed = size;
        int result = write_record(tls, bytes, size, has_more(&cursor, size), &written);
        if (result <= 0) {
            int verdict = mw_tls_verdict(tls, result);
            return sent ? (ssize_t)sent : verdict ? verdict : -EPIPE;
        }
        tls->owed = 0;
        sent += written;
        skip(&cursor, written);
    }
    return (ssize_t)sent;
}

static int say_end(struct mw_tls *tls) {
    struct mw_tls *before = mw_tls_enter(tls);
    ERR_clear_error();
    int result = SSL_shutdown(tls->ssl);
    mw_tls_leave(tls, before);
    return result;
}

/* close_notify, and the end of the direction below: 0, MW_WANT_*, or -errno. */
static int tls_shutdown(struct mw_stream *stream) {
    struct mw_tls *tls = stream->transport;
    if (!tls->silent) {
        int result = tls->fault ? -1 : say_end(tls);
        int verdict = result >= 0 ? 0 : tls->fault ? -tls->fault : mw_tls_verdict(tls, result);
        if (verdict < 0) {
            return verdict;
        }
        tls->silent = true;
    }
    stream->transport = tls->lower_transport;
    int answer = tls->lower->shutdown_write(stream);
    stream->transport = tls;
    return answer;
}

/* close_notify tells the peer that nothing is missing: not said when something is. */
static void say_goodbye(struct mw_tls *tls) {
    if (!tls->phase && !tls->fault && !tls->owed && !tls->silent && !tls->stream->output_fault) {
        say_end(tls);
    }
    /* Else OpenSSL would take the session for a bad one. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

static void tls_close(struct mw_stream *stream) {
    struct mw_tls *tls = stream->transport;
    say_goodbye(tls);
    if (tls->phase) {
        mw_tls_phase_free(tls);
    }
    SSL_free(tls->ssl);
    ERR_clear_error();
    mw_tls_context_release(tls->context);
    stream->ops = tls->lower;
    stream->transport = tls->lower_transport;
    free(tls->session_key);
    free(tls);
    stream->ops->close(stream);
}

const struct mw_stream_ops mw_tls_ops = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .shutdown_write = tls_shutdown,
    .close = tls_close,
    .arm = tls_arm,
};

/* --- about it --- */

bool mw_tls_is_on(const struct mw_stream *stream) {
    return mw_tls_is(stream->ops);
}

bool mw_tls_describe(const struct mw_stream *stream, struct mw_tls_facts *facts) {
    if (!mw_tls_is(stream->ops)) {
        return false;
    }
    const struct mw_tls *tls = stream->transport;
    const unsigned char *protocol = NULL;
    unsigned protocol_size = 0;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &protocol_size);
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    *facts = (struct mw_tls_facts){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .protocol = (const char *)protocol,
        .protocol_size = protocol_size,
        .server_name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name),
        .resumed = SSL_session_reused(tls->ssl),
        .verified = certificate && SSL_get_verify_result(tls->ssl) == X509_V_OK,
        .certificate = certificate,
        .reason = tls->reason,
    };
    if (!tls->context->server || !mw_tls_tickets_lineage(tls->ssl, &facts->lineage, &facts->lineage_size)) {
        facts->lineage = NULL;
    }
    return true;
}
