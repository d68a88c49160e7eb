/* The plain transports: a socket, a pair of descriptors of any kind, and one end of a pipe. */
#include "net/stream_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t verdict(ssize_t count, int want) {
    if (count >= 0) {
        return count;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? want : -errno;
}

static ssize_t socket_read(struct mw_stream *stream, char *bytes, size_t size) {
    return verdict(recv(stream->input.fd, bytes, size, 0), MW_WANT_READ);
}

static ssize_t socket_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    int flags = stream->more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
    if (count == 1) {
        ssize_t sent = send(stream->input.fd, pieces->iov_base, pieces->iov_len, flags);
        return verdict(sent, MW_WANT_WRITE);
    }
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
    return verdict(sendmsg(stream->input.fd, &message, flags), MW_WANT_WRITE);
}

static int socket_shutdown(struct mw_stream *stream) {
    return shutdown(stream->input.fd, SHUT_WR) == 0 || errno == ENOTCONN ? 0 : -errno;
}

static void socket_close(struct mw_stream *stream) {
    close(stream->input.fd);
}

const struct mw_stream_ops mw_plain_ops = {
    .name = "plain",
    .read = socket_read,
    .write = socket_write,
    .shutdown_write = socket_shutdown,
    .close = socket_close,
};

/* The file status flags to put back: other processes share the descriptors. */
struct pair {
    int input_flags, output_flags;
};

static ssize_t pair_read(struct mw_stream *stream, char *bytes, size_t size) {
    return verdict(read(stream->input.fd, bytes, size), MW_WANT_READ);
}

static ssize_t pair_write(struct mw_stream *stream, const struct iovec *pieces, int count) {
    return verdict(writev(stream->output_fd, pieces, count), MW_WANT_WRITE);
}

static void close_output(struct mw_stream *stream) {
    struct pair *pair = stream->transport;
    if (stream->output_fd >= 0) {
        fcntl(stream->output_fd, F_SETFL, pair->output_flags);
        close(stream->output_fd);
        stream->output_fd = -1;
    }
}

static int pair_shutdown(struct mw_stream *stream) {
    mw_stream_unwatch_output(stream);
    close_output(stream);
    return 0;
}

static void pair_close(struct mw_stream *stream) {
    struct pair *pair = stream->transport;
    close_output(stream);
    fcntl(stream->input.fd, F_SETFL, pair->input_flags);
    close(stream->input.fd);
    free(pair);
}

static const struct mw_stream_ops pair_ops = {
    .name = "pair",
    .two_ends = true,
    .read = pair_read,
    .write = pair_write,
    .shutdown_write = pair_shutdown,
    .close = pair_close,
};

struct mw_stream *mw_stream_new_pair(struct mw_net *net, int input, int output) {
    struct pair *pair = malloc(sizeof *pair);
    if (!pair) {
        return NULL;
    }
    pair->input_flags = fcntl(input, F_GETFL);
    pair->output_flags = fcntl(output, F_GETFL);
    struct mw_stream *stream = mw_stream_new(net, input, &pair_ops, pair);
    if (!stream) {
        free(pair);
        return NULL;
    }
    stream->output_fd = output;
    fcntl(input, F_SETFL, pair->input_flags | O_NONBLOCK);
    fcntl(output, F_SETFL, pair->output_flags | O_NONBLOCK);
    return stream;
}

static void pipe_close(struct mw_stream *stream) {
    if (stream->input.fd >= 0) {
        close(stream->input.fd);
    }
}

/* The end of data is the end of the descriptor. */
static int pipe_shutdown(struct mw_stream *stream) {
    mw_stream_unwatch_output(stream);
    close(stream->output_fd);
    stream->input.fd = stream->output_fd = -1;
    return 0;
}

static const struct mw_stream_ops pipe_ops = {
    .name = "pipe",
    .one_way = true,
    .read = pair_read,
    .write = pair_write,
    .shutdown_write = pipe_shutdown,
    .close = pipe_close,
};

struct mw_stream *mw_stream_new_pipe(struct mw_net *net, int fd, bool writes) {
    struct mw_stream *stream = mw_stream_new(net, fd, &pipe_ops, NULL);
    if (!stream) {
        return NULL;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (writes) {
        stream->at_end = true;
        mw_stream_watch_input(stream);
    } else {
        stream->ending = stream->ended = true;
    }
    return stream;
}
