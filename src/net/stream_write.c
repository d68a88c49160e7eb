/* The output direction of a stream. */
#include "net/stream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* From this size on a piece is not copied but sent at once: the copy costs as
 * much as the system call that it might save. */
enum { DIRECT = MW_BUF_STANDARD };

size_t mw_stream_pending(const struct mw_stream *stream) {
    return mw_buf_size(stream->out);
}

int mw_stream_output_fault(const struct mw_stream *stream) {
    return stream->output_fault;
}

static void mark_dirty(struct mw_stream *stream) {
    if (!stream->dirty) {
        stream->dirty = true;
        stream->next_dirty = stream->net->dirty;
        stream->net->dirty = stream;
    }
}

void mw_stream_clean(struct mw_stream *stream) {
    if (!stream->dirty) {
        return;
    }
    struct mw_stream **link = &stream->net->dirty;
    while (*link != stream) {
        link = &(*link)->next_dirty;
    }
    *link = stream->next_dirty;
    stream->dirty = false;
}

void mw_stream_fail_output(struct mw_stream *stream, int error) {
    stream->output_fault = error;
    mw_buf_release(&stream->net->pool, &stream->out);
    mw_stream_unwatch_output(stream);
    if (mw_stream_source(stream)) {
        mw_stream_rouse(stream);
    }
}

/* The transport took less than all: wait until it can go on. What waits for
 * input must not watch for output, which may be possible all the time. */
static void wait_for_room(struct mw_stream *stream, ssize_t answer) {
    if (answer == MW_WANT_READ) {
        stream->read_writes = true;
        mw_stream_watch_input(stream);
        if (!stream->write_reads) {
            mw_stream_unwatch_output(stream);
        }
    } else if (!mw_stream_watch_output(stream)) {
        mw_stream_fail_output(stream, ENOMEM);
    }
}

/* Forgets `sent` bytes of the pieces; those that are used up become empty. */
static void advance(struct iovec *pieces, int count, size_t sent) {
    for (int i = 0; i < count && sent > 0; i++) {
        size_t part = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        pieces[i].iov_base = (char *)pieces[i].iov_base + part;
        pieces[i].iov_len -= part;
        sent -= part;
    }
}

static void copy_pieces(struct mw_buf *out, const struct iovec *pieces, int count) {
    for (int i = 0; i < count; i++) {
        char *end = out->data + out->end;
        out->end += pieces[i].iov_len;
        if (pieces[i].iov_len == 1) {
            *end = *(const char *)pieces[i].iov_base; /* a line end: not worth a call */
        } else if (pieces[i].iov_len) { /* an empty piece may be nowhere */
            memcpy(end, pieces[i].iov_base, pieces[i].iov_len);
        }
    }
}

static bool append_pieces(struct mw_stream *stream, const struct iovec *pieces, int count, size_t total) {
    if (!mw_buf_reserve(&stream->net->pool, &stream->out, total)) {
        return false;
    }
    copy_pieces(stream->out, pieces, count);
    return true;
}

/* Queue and pieces in one call, without a copy of what leaves. */
static void send_direct(struct mw_stream *stream, const struct iovec *pieces, int count, size_t total) {
    struct iovec all[MW_STREAM_PIECES + 1];
    size_t queued = mw_buf_size(stream->out);
    char *first = queued ? stream->out->data + stream->out->start : NULL;
    all[0] = (struct iovec){.iov_base = first, .iov_len = queued};
    memcpy(all + 1, pieces, (size_t)count * sizeof *pieces);
    ssize_t sent = stream->ops->write(stream, queued ? all : all + 1, queued ? count + 1 : count);
    if (sent < 0 && sent != MW_WANT_READ && sent != MW_WANT_WRITE) {
        mw_stream_fail_output(stream, (int)-sent);
        return;
    }
    size_t left = sent > 0 ? (size_t)sent : 0;
    if (left) {
        mw_stream_note_sent(stream, left);
    }
    size_t from_queue = left < queued ? left : queued;
    if (from_queue) {
        mw_buf_consume(&stream->net->pool, &stream->out, from_queue);
    }
    left -= from_queue;
    advance(all + 1, count, left);
    if (left < total && !append_pieces(stream, all + 1, count, total - left)) {
        mw_stream_fail_output(stream, ENOMEM);
    } else if (stream->out) {
        wait_for_room(stream, sent);
    }
}

static int refusal(const struct mw_stream *stream, size_t size) {
    if (stream->output_fault) {
        return stream->output_fault;
    }
    if (stream->ending) {
        return ESHUTDOWN;
    }
    size_t pending = mw_buf_size(stream->out);
    if (pending <= stream->marks->high) {
        return 0;
    }
    return pending >= stream->marks->cap || size > stream->marks->cap - pending ? ENOBUFS : 0;
}

/* Whether the transport has said what it waits for: there is no use in trying. */
static bool stuck(const struct mw_stream *stream) {
    return mw_stream_awaits_room(stream) || stream->read_writes;
}

/* Whether the pieces just follow what was queued in this tick already: then
 * nothing has to be asked that was asked for the first of them. */
static bool follows(const struct mw_stream *stream, size_t total) {
    const struct mw_buf *out = stream->out;
    return stream->dirty && out && total < DIRECT && total <= mw_buf_room(out) &&
           out->end - out->start <= stream->marks->high;
}

int mw_stream_queue_pieces(struct mw_stream *stream, const struct iovec *pieces, int count) {
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += pieces[i].iov_len;
    }
    if (follows(stream, total)) {
        copy_pieces(stream->out, pieces, count);
        return 0;
    }
    int error = refusal(stream, total);
    if (error || total == 0) {
        return error;
    }
    bool waiting = stuck(stream);
    if (total >= DIRECT && !waiting) {
        send_direct(stream, pieces, count, total);
        return stream->output_fault;
    }
    if (!append_pieces(stream, pieces, count, total)) {
        return ENOMEM;
    }
    if (!waiting) {
        mark_dirty(stream);
    }
    return 0;
}

int mw_stream_queue(struct mw_stream *stream, const char *bytes, size_t size) {
    struct iovec piece = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size};
    return mw_stream_queue_pieces(stream, &piece, 1);
}

int mw_stream_pass(struct mw_stream *stream, const char *bytes, size_t size) {
    struct iovec piece = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size};
    int error = refusal(stream, size);
    if (error) {
        return error;
    }
    if (!stuck(stream)) {
        send_direct(stream, &piece, 1, size);
        return stream->output_fault;
    }
    return append_pieces(stream, &piece, 1, size) ? 0 : ENOMEM;
}

/* The order to end the direction follows the last byte. */
static void finish(struct mw_stream *stream) {
    if (!stream->ending || stream->ended || stream->out || stream->output_fault) {
        return;
    }
    int answer = stream->ops->shutdown_write(stream);
    if (answer == 0) {
        stream->ended = true;
    } else if (answer == MW_WANT_READ || answer == MW_WANT_WRITE) {
        wait_for_room(stream, answer);
    } else {
        mw_stream_fail_output(stream, -answer);
    }
}

int mw_stream_flush(struct mw_stream *stream) {
    size_t pending = mw_buf_size(stream->out);
    if (pending) {
        struct iovec piece = {.iov_base = stream->out->data + stream->out->start, .iov_len = pending};
        ssize_t sent = stream->ops->write(stream, &piece, 1);
        if (sent < 0 && sent != MW_WANT_READ && sent != MW_WANT_WRITE) {
            mw_stream_fail_output(stream, (int)-sent);
        } else {
            if (sent > 0) {
                mw_stream_note_sent(stream, (size_t)sent);
                mw_buf_consume(&stream->net->pool, &stream->out, (size_t)sent);
            }
            if (stream->out) {
                wait_for_room(stream, sent);
            }
        }
    }
    finish(stream);
    if (stream->outlet && !stream->outlet->source && mw_stream_output_rests(stream)) {
        mw_stream_unwatch_output(stream);
    }
    return stream->output_fault;
}

int mw_stream_shutdown(struct mw_stream *stream) {
    if (stream->output_fault) {
        return stream->output_fault;
    }
    stream->ending = true;
    mw_stream_clean(stream);
    return stuck(stream) ? 0 : mw_stream_flush(stream);
}

void mw_stream_await_output(struct mw_stream *stream, size_t size) {
    stream->output_awaited = size + 1;
}

void mw_stream_forget_output(struct mw_stream *stream) {
    stream->output_awaited = 0;
}

void mw_stream_announce_output(struct mw_stream *stream) {
    bool reached = stream->output_awaited && mw_buf_size(stream->out) < stream->output_awaited;
    if (reached || (stream->output_awaited && stream->output_fault)) {
        stream->output_awaited = 0;
        stream->events->on_writable(stream->owner);
    }
}

void mw_stream_go_on_sending(struct mw_stream *stream) {
    struct mw_source *source = mw_stream_source(stream);
    mw_stream_flush(stream);
    if (stream->farewell) {
        mw_stream_go_on_closing(stream);
    } else if (source && !stream->out) {
        mw_stream_unwatch_output(stream);
        source->on_room(source);
    } else {
        mw_stream_announce_output(stream);
    }
}
