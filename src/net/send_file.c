#include "net/send_file.h"

#include "net/stream_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TURN = 1024 * 1024, /* bytes that one event may send */
    PART = 64 * 1024,   /* bytes of the file in memory, where they must pass through it */
};

struct mw_send_file {
    struct mw_source source;
    struct mw_stream *stream;
    int file;
    bool copying;  /* sendfile cannot do it */
    bool corked;   /* the kernel sends whole segments only */
    off_t offset;  /* of the next byte to take from the file */
    uint64_t left; /* bytes to take from it */
    uint64_t base; /* what the stream's counter said before the first of them */
    mw_send_file_done *done;
    void *context;
};

/* Of a file of several turns: else each ends in a small segment, and the next waits until the peer has taken it. A
 * socket that is no TCP one says no, and does without. */
static void cork(struct mw_send_file *send, int on) {
    if (send->corked != (bool)on && setsockopt(send->stream->output_fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0) {
        send->corked = on;
    }
}

static uint64_t sent_so_far(const struct mw_send_file *send) {
    return send->stream->sent > send->base ? send->stream->sent - send->base : 0;
}

/* `send` is freed before the owner is told, who may start the next. */
static void finish(struct mw_send_file *send, int error) {
    mw_send_file_done *done = send->done;
    void *context = send->context;
    uint64_t sent = sent_so_far(send);
    free(send);
    done(context, sent, error);
}

static void end(struct mw_send_file *send, int error) {
    cork(send, 0);
    mw_stream_detach(send->stream);
    finish(send, error);
}

/* Bytes taken from the file, 0 at its end, or -errno. */
static ssize_t by_kernel(struct mw_send_file *send) {
    struct mw_stream *stream = send->stream;
    size_t size = send->left < TURN ? (size_t)send->left : TURN;
    if (send->left > TURN) {
        cork(send, 1);
    }
    ssize_t sent = sendfile(stream->output_fd, send->file, &send->offset, size);
    if (sent > 0) {
        mw_stream_note_sent(stream, (size_t)sent);
    }
    return sent < 0 ? -errno : sent;
}

static ssize_t by_queue(struct mw_send_file *send) {
    struct mw_stream *stream = send->stream;
    struct mw_buf_pool *pool = &stream->net->pool;
    size_t size = send->left < PART ? (size_t)send->left : PART;
    if (send->left > PART) {
        cork(send, 1);
    }
    if (!mw_buf_reserve(pool, &stream->out, size)) {
        return -ENOMEM;
    }
    ssize_t got = pread(send->file, stream->out->data + stream->out->end, size, send->offset);
    if (got <= 0) {
        int error = errno;
        mw_buf_consume(pool, &stream->out, 0);
        return got < 0 ? -error : 0;
    }
    stream->out->end += (size_t)got;
    send->offset += got;
    mw_stream_flush(stream);
    return got;
}

/* Whether sendfile does not serve this kind of file. */
static bool unfit(ssize_t answer) {
    return answer == -EINVAL || answer == -ENOSYS || answer == -EOPNOTSUPP;
}

static ssize_t take_part(struct mw_send_file *send) {
    if (!send->copying) {
        ssize_t answer = by_kernel(send);
        if (!unfit(answer)) {
            return answer;
        }
        send->copying = true;
    }
    return by_queue(send);
}

static int output_error(const struct mw_stream *stream) {
    if (stream->output_fault) {
        return stream->output_fault;
    }
    return stream->ending ? ESHUTDOWN : 0;
}

static void on_room(struct mw_source *source) {
    struct mw_send_file *send = (struct mw_send_file *)source;
    struct mw_stream *stream = send->stream;
    int error = output_error(stream);
    if (error || send->left == 0) {
        end(send, error);
        return;
    }
    ssize_t taken = take_part(send);
    if (taken > 0) {
        send->left -= (uint64_t)taken;
    } else if (taken == 0) {
        send->left = 0;
    } else if (taken != -EAGAIN && taken != -EINTR) {
        end(send, (int)-taken);
        return;
    }
    error = output_error(stream);
    if (error || (send->left == 0 && !stream->out)) {
        end(send, error);
    } else if (!stream->out) {
        mw_stream_watch_output(stream);
    }
}

static void on_closed(struct mw_source *source) {
    finish((struct mw_send_file *)source, ECANCELED);
}

struct mw_send_file *mw_send_file_start(struct mw_stream *stream, int file, uint64_t offset, uint64_t length,
                                        mw_send_file_done *done, void *context) {
    struct mw_send_file *send = malloc(sizeof *send);
    if (!send) {
        return NULL;
    }
    *send = (struct mw_send_file){
        .source = {.on_room = on_room, .on_closed = on_closed},
        .stream = stream,
        .file = file,
        .copying = stream->ops != &mw_plain_ops,
        .offset = (off_t)offset,
        .left = length,
        .base = stream->sent + mw_stream_pending(stream),
        .done = done,
        .context = context,
    };
    int error = mw_stream_attach(stream, &send->source);
    if (error) {
        free(send);
        errno = error;
        return NULL;
    }
    mw_stream_rouse(stream);
    return send;
}

uint64_t mw_send_file_cancel(struct mw_send_file *send) {
    uint64_t sent = sent_so_far(send);
    cork(send, 0);
    mw_stream_detach(send->stream);
    free(send);
    return sent;
}
