/* The handshake: a phase of a stream in which its owner hears nothing. */
#include "net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For a client that takes the port for one of plain HTTP. */
static const char http_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 41\r\n"
                                  "Connection: close\r\n\r\n"
                                  "This port speaks TLS; use https instead.\n";

/* --- the end of it --- */

void mw_tls_phase_free(struct mw_tls *tls) {
    struct mw_tls_phase *phase = tls->phase;
    struct mw_loop *loop = tls->stream->net->loop;
    mw_timer_remove(mw_loop_timers(loop), &phase->timer);
    ev_clear_pending(mw_loop_ev(loop), &phase->bell);
    mw_buf_release(&tls->stream->net->pool, &phase->ahead);
    free(phase);
    tls->phase = NULL;
}

static void settle(struct mw_tls_phase *phase, enum mw_tls_state state) {
    phase->state = state;
    ev_feed_event(mw_loop_ev(phase->tls->stream->net->loop), &phase->bell, EV_PREPARE);
}

/* Nothing goes in or out any more. */
static void kill_stream(struct mw_tls *tls) {
    struct mw_stream *stream = tls->stream;
    stream->ops = &mw_tls_ops;
    stream->read_writes = stream->write_reads = false;
    stream->input_fault = tls->fault;
    mw_stream_fail_output(stream, tls->fault);
    mw_stream_watch_input(stream);
}

/* What was asked for meanwhile goes on, and so does what came with the end of the handshake. */
static void open_stream(struct mw_tls *tls) {
    struct mw_stream *stream = tls->stream;
    stream->ops = &mw_tls_ops;
    if (mw_stream_awaits_room(stream)) {
        mw_stream_rouse(stream);
    }
    tls->leftover = SSL_has_pending(tls->ssl);
    if (stream->read_writes || tls->leftover) {
        ev_feed_event(mw_loop_ev(stream->net->loop), &stream->input, EV_READ);
    }
}

static void conclude(struct mw_tls_phase *phase) {
    struct mw_tls *tls = phase->tls;
    struct mw_stream *stream = tls->stream;
    void (*on_done)(void *owner, const struct mw_fault *fault) = phase->on_done;
    void *owner = phase->owner;
    bool failed = phase->state == MW_TLS_FAILED;
    struct mw_fault fault = phase->fault;
    mw_tls_phase_free(tls);
    if (failed) {
        kill_stream(tls);
    } else {
        open_stream(tls);
    }
    if (!stream->farewell) {
        on_done(owner, failed ? &fault : NULL);
    } else if (failed) {
        mw_stream_go_on_closing(stream);
    }
}

static void on_bell(struct ev_loop *ev, ev_prepare *bell, int events) {
    (void)ev;
    (void)events;
    conclude((struct mw_tls_phase *)(void *)bell);
}

static void on_due(struct mw_timer *timer) {
    struct mw_tls_phase *phase = mw_list_owner(timer, struct mw_tls_phase, timer);
    if (phase->state == MW_TLS_CLEARING || phase->state == MW_TLS_SHAKING) {
        phase->state = MW_TLS_FAILED;
        phase->tls->fault = ETIMEDOUT;
        mw_fault_set(&phase->fault, ETIMEDOUT, "tls handshake", NULL);
    }
    conclude(phase);
}

void mw_tls_cancel(struct mw_stream *stream) {
    struct mw_tls *tls = stream->transport;
    if (!mw_tls_is(stream->ops) || !tls->phase) {
        return;
    }
    mw_tls_phase_free(tls);
    tls->fault = ECANCELED;
    kill_stream(tls);
}

/* --- while it goes on --- */

static void answer_http(struct mw_tls *tls) {
    struct mw_stream *stream = tls->stream;
    struct iovec piece = {.iov_base = (char *)(uintptr_t)http_answer, .iov_len = sizeof http_answer - 1};
    stream->transport = tls->lower_transport;
    tls->lower->write(stream, &piece, 1);
    stream->transport = tls;
}

static void fail(struct mw_tls *tls, int verdict) {
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST) {
        answer_http(tls);
    }
    tls->fault = verdict < 0 ? -verdict : ECONNRESET;
    mw_tls_fault_handshake(tls, &tls->phase->fault);
    settle(tls->phase, MW_TLS_FAILED);
}

static ssize_t handshake_read(struct mw_stream *stream, char *bytes, size_t size) {
    struct mw_tls *tls = stream->transport;
    struct mw_tls_phase *phase = tls->phase;
    (void)bytes;
    (void)size;
    if (phase->state != MW_TLS_SHAKING) {
        return phase->state == MW_TLS_CLEARING ? MW_WANT_WRITE : MW_WANT_READ;
    }
    ERR_clear_error();
    tls->drained = false;
    struct mw_tls *before = mw_tls_enter(tls);
    int result = SSL_do_handshake(tls->ssl);
    mw_tls_leave(tls, before);
    if (result == 1) {
        settle(phase, MW_TLS_DONE);
        return MW_WANT_READ;
    }
    int verdict = mw_tls_verdict(tls, result);
    if (verdict != MW_WANT_READ && verdict != MW_WANT_WRITE) {
        fail(tls, verdict);
        return MW_WANT_READ;
    }
    phase->wants = verdict;
    return verdict;
}

/* The part of the queue that is to leave in clear. */
static ssize_t write_clear(struct mw_tls *tls, const struct iovec *queue) {
    struct mw_tls_phase *phase = tls->phase;
    struct mw_stream *stream = tls->stream;
    struct iovec piece = {.iov_base = queue->iov_base, .iov_len = phase->clear};
    stream->transport = tls->lower_transport;
    ssize_t sent = tls->lower->write(stream, &piece, 1);
    stream->transport = tls;
    if (sent > 0) {
        phase->clear -= (size_t)sent;
        phase->state = phase->clear ? MW_TLS_CLEARING : MW_TLS_SHAKING;
    } else if (sent != MW_WANT_READ && sent != MW_WANT_WRITE) {
        tls->fault = (int)-sent;
        mw_fault_set(&phase->fault, tls->fault, "tls handshake", NULL);
        settle(phase, MW_TLS_FAILED);
    }
    return sent;
}

/* What the stream waits for with output of its own: the end of the handshake. */
static int answer(const struct mw_tls *tls) {
    switch (tls->phase->state) {
    case MW_TLS_CLEARING:
        return MW_WANT_WRITE;
    case MW_TLS_SHAKING:
        return tls->phase->wants;
    case MW_TLS_FAILED:
        return -tls->fault;
    default:
        return MW_WANT_READ;
    }
}

static ssize_t handshake_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    struct mw_tls *tls = stream->transport;
    (void)count;
    return tls->phase->state == MW_TLS_CLEARING ? write_clear(tls, pieces) : answer(tls);
}

static int handshake_shutdown(struct mw_stream *stream) {
    return answer(stream->transport);
}

static void handshake_close(struct mw_stream *stream) {
    mw_tls_ops.close(stream);
}

static void handshake_arm(struct mw_stream *stream, int events) {
    const struct mw_tls *tls = stream->transport;
    if ((events & EV_READ) && tls->phase->ahead) {
        ev_feed_event(mw_loop_ev(stream->net->loop), &stream->input, EV_READ);
    }
    mw_tls_ops.arm(stream, events);
}

const struct mw_stream_ops mw_tls_handshake_ops = {
    .name = "tls",
    .read = handshake_read,
    .write = handshake_write,
    .shutdown_write = handshake_shutdown,
    .close = handshake_close,
    .arm = handshake_arm,
};

/* --- the beginning of it --- */

/* Whether the stream may become TLS now. */
static bool check(const struct mw_stream *stream, const struct mw_tls_handshake *handshake, struct mw_fault *fault) {
    int error = stream->input_fault ? stream->input_fault : stream->output_fault;
    if (!error && (stream->ending || stream->at_end)) {
        error = ESHUTDOWN;
    }
    if (!error && (mw_stream_source(stream) || stream->ops == &mw_tls_handshake_ops)) {
        error = EBUSY;
    }
    if (error) {
        mw_fault_set(fault, error, "tls handshake", NULL);
        return false;
    }
    if (stream->in && !handshake->takes_unread) {
        mw_fault_format(fault, "protocol", "tls handshake: the peer sent data in clear behind the agreement on TLS");
        return false;
    }
    return true;
}

/* Without the dot that ends a full name, and without the zone of an address. */
static bool trim_name(const char *name, char trimmed[256]) {
    size_t length = strcspn(name, "%");
    if (length > 0 && name[length - 1] == '.') {
        length--;
    }
    if (length == 0 || length > 253) {
        return false;
    }
    memcpy(trimmed, name, length);
    trimmed[length] = '\0';
    return true;
}

/* Whom the client wants to reach. */
static bool set_name(struct mw_tls *tls, const char *name) {
    unsigned char address[16];
    char trimmed[256];
    X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);
    if (!trim_name(name, trimmed)) {
        return false;
    }
    if (inet_pton(AF_INET, trimmed, address) == 1 || inet_pton(AF_INET6, trimmed, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(rules, trimmed);
    }
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(rules, trimmed, 0) && SSL_set_tlsext_host_name(tls->ssl, trimmed);
}

static bool resume(struct mw_tls *tls, const struct mw_tls_handshake *handshake) {
    if (!tls->context->sessions || !handshake->port) {
        return true;
    }
    if (asprintf(&tls->session_key, "%s:%u", handshake->server_name, handshake->port) < 0) {
        tls->session_key = NULL;
        return false;
    }
    SSL_SESSION *session = mw_tls_sessions_find(tls->context->sessions, tls->session_key);
    return !session || SSL_set_session(tls->ssl, session);
}

static bool prepare_client(struct mw_tls *tls, const struct mw_tls_handshake *handshake, struct mw_fault *fault) {
    SSL_set_connect_state(tls->ssl);
    if (!handshake->server_name) {
        if (tls->context->verify == MW_TLS_VERIFY_NONE) {
            return true;
        }
        mw_fault_format(fault, "invalid", "tls handshake: without a server name its certificate cannot be checked");
        return false;
    }
    if (!set_name(tls, handshake->server_name)) {
        mw_fault_format(fault, "invalid", "tls handshake: '%.200s' is no name of a server", handshake->server_name);
        return false;
    }
    if (!resume(tls, handshake)) {
        mw_fault_set(fault, ENOMEM, "tls handshake", NULL);
        return false;
    }
    return true;
}

static bool make_ssl(struct mw_tls *tls, bool no_tickets) {
    BIO *bio = tls->context->bio;
    tls->ssl = SSL_new(tls->context->groups[0].ctx);
    if (!tls->ssl) {
        return false;
    }
    BIO_up_ref(bio);
    SSL_set_bio(tls->ssl, bio, bio);
    return !no_tickets || SSL_set_num_tickets(tls->ssl, 0) == 1;
}

static bool make_phase(struct mw_tls *tls, const struct mw_tls_handshake *handshake) {
    struct mw_loop *loop = tls->stream->net->loop;
    struct mw_tls_phase *phase = calloc(1, sizeof *phase);
    if (!phase) {
        return false;
    }
    tls->phase = phase;
    phase->tls = tls;
    phase->wants = MW_WANT_READ;
    phase->state = MW_TLS_SHAKING;
    phase->on_done = handshake->on_done;
    phase->owner = handshake->owner;
    ev_prepare_init(&phase->bell, on_bell);
    mw_timer_init(&phase->timer, on_due);
    double due = mw_loop_now(loop) + handshake->timeout;
    return due == MW_TIMER_NEVER || mw_timer_set(mw_loop_timers(loop), &phase->timer, due);
}

static void drop(struct mw_tls *tls) {
    if (tls->phase) {
        mw_tls_phase_free(tls);
    }
    SSL_free(tls->ssl);
    ERR_clear_error();
    mw_tls_context_release(tls->context);
    free(tls->session_key);
    free(tls);
}

static struct mw_tls *make(struct mw_stream *stream, struct mw_tls_context *context,
                           const struct mw_tls_handshake *handshake, struct mw_fault *fault) {
    struct mw_tls *tls = calloc(1, sizeof *tls);
    mw_fault_set(fault, ENOMEM, "tls handshake", NULL);
    if (!tls) {
        return NULL;
    }
    tls->stream = stream;
    tls->lower = stream->ops;
    tls->lower_transport = stream->transport;
    tls->context = mw_tls_context_hold(context);
    bool made = make_ssl(tls, handshake->no_tickets) && make_phase(tls, handshake);
    if (made && context->server) {
        SSL_set_accept_state(tls->ssl);
    }
    if (!made || (!context->server && !prepare_client(tls, handshake, fault))) {
        drop(tls);
        return NULL;
    }
    return tls;
}

/* The queue is sent as far as it goes; what the transport takes later leaves in clear, too. */
static bool send_clear(struct mw_tls *tls, struct mw_fault *fault) {
    struct mw_stream *stream = tls->stream;
    if (!stream->out) {
        return true;
    }
    mw_stream_clean(stream);
    if (!mw_stream_awaits_room(stream)) {
        int error = mw_stream_flush(stream);
        if (error) {
            mw_fault_set(fault, error, "tls handshake", NULL);
            return false;
        }
    }
    tls->phase->clear = mw_buf_size(stream->out);
    tls->phase->state = tls->phase->clear ? MW_TLS_CLEARING : MW_TLS_SHAKING;
    return true;
}

static bool take_unread(struct mw_tls *tls) {
    struct mw_stream *stream = tls->stream;
    struct mw_buf_pool *pool = &stream->net->pool;
    if (stream->in != stream->net->scratch) {
        tls->phase->ahead = stream->in;
        stream->in = NULL;
        return true;
    }
    const char *bytes = mw_buf_bytes(stream->in);
    if (!mw_buf_append(pool, &tls->phase->ahead, bytes, mw_buf_size(stream->in))) {
        return false;
    }
    stream->in = NULL;
    return true;
}

bool mw_tls_start(struct mw_stream *stream, struct mw_tls_context *context, const struct mw_tls_handshake *handshake,
                  struct mw_fault *fault) {
    if (!check(stream, handshake, fault)) {
        return false;
    }
    struct mw_tls *tls = make(stream, context, handshake, fault);
    if (!tls) {
        return false;
    }
    if (!send_clear(tls, fault)) {
        drop(tls);
        return false;
    }
    if (stream->in && !take_unread(tls)) {
        mw_fault_set(fault, ENOMEM, "tls handshake", NULL);
        drop(tls);
        return false;
    }
    stream->transport = tls;
    stream->ops = &mw_tls_handshake_ops;
    mw_stream_watch_input(stream);
    ev_feed_event(mw_loop_ev(stream->net->loop), &stream->input, EV_READ);
    return true;
}
