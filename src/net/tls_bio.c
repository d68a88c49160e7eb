/* How OpenSSL reads and writes: with the transport below, without a buffer of its own. One BIO serves all connections
 * of a context; whose turn it is, mw_tls_enter says. */
#include "net/tls_internal.h"

#include <limits.h>
#include <string.h>

/* What was read before the handshake began. */
static ssize_t read_ahead(struct mw_tls *tls, char *bytes, size_t size) {
    struct mw_tls_phase *phase = tls->phase;
    size_t there = mw_buf_size(phase->ahead);
    size_t taken = there < size ? there : size;
    memcpy(bytes, mw_buf_bytes(phase->ahead), taken);
    mw_buf_consume(&tls->stream->net->pool, &phase->ahead, taken);
    return (ssize_t)taken;
}

static ssize_t read_lower(struct mw_tls *tls, char *bytes, size_t size) {
    struct mw_stream *stream = tls->stream;
    if (tls->phase && tls->phase->ahead) {
        return read_ahead(tls, bytes, size);
    }
    stream->transport = tls->lower_transport;
    ssize_t got = tls->lower->read(stream, bytes, size);
    stream->transport = tls;
    tls->drained = got < (ssize_t)size;
    return got;
}

static ssize_t write_lower(struct mw_tls *tls, const char *bytes, size_t size) {
    struct mw_stream *stream = tls->stream;
    struct iovec piece = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size};
    if (tls->silent) {
        return (ssize_t)size;
    }
    stream->transport = tls->lower_transport;
    ssize_t sent = tls->lower->write(stream, &piece, 1);
    stream->transport = tls;
    return sent;
}

/* Tells OpenSSL of what is no count. */
static int decline(BIO *bio, struct mw_tls *tls, ssize_t answer) {
    if (answer == MW_WANT_READ) {
        BIO_set_retry_read(bio);
    } else if (answer == MW_WANT_WRITE) {
        BIO_set_retry_write(bio);
    } else {
        tls->lower_fault = (int)-answer;
    }
    return -1;
}

static int bio_read(BIO *bio, char *bytes, int size) {
    struct mw_tls *tls = BIO_get_data(bio);
    ssize_t got = tls->drained ? MW_WANT_READ : read_lower(tls, bytes, (size_t)size);
    BIO_clear_retry_flags(bio); /* behind the transport below, which may be TLS of the same context */
    if (got < 0) {
        return decline(bio, tls, got);
    }
    if (got == 0) {
        tls->lower_end = true;
    } else if (tls->phase) {
        tls->phase->heard = true;
    }
    return (int)got;
}

static int bio_write(BIO *bio, const char *bytes, int size) {
    struct mw_tls *tls = BIO_get_data(bio);
    ssize_t sent = write_lower(tls, bytes, (size_t)size);
    BIO_clear_retry_flags(bio);
    return sent < 0 ? decline(bio, tls, sent) : (int)sent;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (method) {
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

BIO *mw_tls_bio_new(void) {
    static BIO_METHOD *method;
    if (!method) {
        method = make_method();
    }
    BIO *bio = method ? BIO_new(method) : NULL;
    if (bio) {
        BIO_set_init(bio, 1);
    }
    return bio;
}
