/* A stream: bytes both ways over a transport (plain socket, TLS, memory), with
 * a queue in each direction. Input arrives while the queue is below its mark;
 * output is queued and leaves with mw_net_flush. The stream never waits: it
 * tells its owner through the events given at creation. */
#ifndef MW_NET_STREAM_H
#define MW_NET_STREAM_H

#include "net/net.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct mw_stream;

/* What a transport answers instead of a count; other negative values are -errno. */
enum { MW_WANT_READ = -100001, MW_WANT_WRITE = -100002 };

/* A transport: how bytes get in and out. */
struct mw_stream_ops {
    const char *name;
    bool two_ends; /* input and output are two things: the end of one says nothing of the other */
    bool one_way; /* closing it takes nothing back from the peer, whatever is unread */
    /* Bytes read, 0 at the end of data, MW_WANT_*, or -errno. */
    ssize_t (*read)(struct mw_stream *stream, char *bytes, size_t size);
    /* Bytes written (maybe fewer), MW_WANT_*, or -errno. */
    ssize_t (*write)(struct mw_stream *stream, const struct iovec *pieces, int count);
    /* Ends the sending direction: 0, MW_WANT_*, or -errno. */
    int (*shutdown_write)(struct mw_stream *stream);
    /* Frees the transport and closes the descriptor. */
    void (*close)(struct mw_stream *stream);
    /* Optional: the stream starts to watch for input or output (EV_READ,
     * EV_WRITE) again; for transports whose readiness no descriptor shows. */
    void (*arm)(struct mw_stream *stream, int events);
};

extern const struct mw_stream_ops mw_plain_ops; /* a socket: recv and send */

/* What the stream tells its owner. Both may close the stream. */
struct mw_stream_events {
    void (*on_readable)(void *owner); /* bytes, the end of data, or a fault came */
    void (*on_writable)(void *owner); /* the queue fell to what was awaited, or a fault came */
};

/* Marks in bytes, shared by many streams; must outlive them. */
struct mw_stream_marks {
    size_t input; /* stop reading when this much is unread and nobody waits for more */
    size_t high;  /* a writer waits above this */
    size_t low;   /* and goes on at this */
    size_t cap;   /* above `high`, a write that would queue more than this is refused */
};

extern const struct mw_stream_marks mw_stream_default_marks; /* 64 KiB, 64 KiB, 16 KiB, 4 MiB */

/* A stream over `fd`, which it owns from now on (-1 for a transport without
 * descriptor). Input is watched at once. NULL when memory is out; the
 * descriptor is still the caller's then. */
struct mw_stream *mw_stream_new(struct mw_net *net, int fd, const struct mw_stream_ops *ops, void *transport);

/* A stream over two descriptors that need not be sockets: standard input and
 * output. They are put into non-blocking mode, and back when the stream closes. */
struct mw_stream *mw_stream_new_pair(struct mw_net *net, int input, int output);

/* A stream over our end of a pipe, which is put into non-blocking mode. One that
 * writes is at the end of its input from the start, one that reads is shut down. */
struct mw_stream *mw_stream_new_pipe(struct mw_net *net, int fd, bool writes);

/* Two streams without descriptors, each the other's peer. False when memory is out. */
bool mw_stream_new_memory(struct mw_net *net, struct mw_stream *ends[2]);

/* Who is told of events. Without an owner input only collects. */
void mw_stream_set_owner(struct mw_stream *stream, const struct mw_stream_events *events, void *owner);

/* The owner, if it is of the kind that these events belong to, and has not left; else NULL. */
void *mw_stream_owner(const struct mw_stream *stream, const struct mw_stream_events *events);

/* Who wants to know when the stream is gone for good, its output included, whoever owned it by then. Embedded by
 * its owner; one a stream, set once. */
struct mw_stream_witness {
    void (*on_gone)(struct mw_stream_witness *witness);
};
void mw_stream_set_witness(struct mw_stream *stream, struct mw_stream_witness *witness);

void mw_stream_set_marks(struct mw_stream *stream, const struct mw_stream_marks *marks);
const struct mw_stream_marks *mw_stream_marks(const struct mw_stream *stream);

/* Gives the stream up: it is the net's from now on and must not be touched by
 * the caller. Queued output still leaves, for at most `linger` seconds; then the descriptor
 * is closed. 0, or a faulty stream: at once. */
void mw_stream_close(struct mw_stream *stream, double linger);

/* Closes at once with a reset: what is queued is lost, the peer sees it. */
void mw_stream_abort(struct mw_stream *stream);

/* --- input --- */

/* How many bytes were taken so far: tells whether some were, since. */
uint64_t mw_stream_position(const struct mw_stream *stream);

/* The unread bytes; valid until the next call on this stream. */
const char *mw_stream_unread(const struct mw_stream *stream, size_t *size);

/* Forgets the first `size` unread bytes. */
void mw_stream_take(struct mw_stream *stream, size_t size);

/* Input that the loop has already seen in this turn, and not told of yet, is told in the next. */
void mw_stream_defer_input(struct mw_stream *stream);

/* A reader waits until `size` bytes are unread (at least 1), the end or a
 * fault; on_readable is called for whatever comes. 0: nobody waits any more. */
void mw_stream_await_input(struct mw_stream *stream, size_t size);

/* Whether the peer has ended its direction and all of it is in the queue. */
bool mw_stream_at_end(const struct mw_stream *stream);

/* errno of the fault that ended the input direction; 0: none. */
int mw_stream_input_fault(const struct mw_stream *stream);

/* --- output --- */

/* Queues a copy of the bytes for the next mw_net_flush; a large piece is sent
 * at once, together with what is queued. 0, or errno: ESHUTDOWN after
 * mw_stream_shutdown, ENOBUFS past the cap, ENOMEM, or the fault. */
int mw_stream_queue(struct mw_stream *stream, const char *bytes, size_t size);

/* The same for several pieces at once, at most MW_STREAM_PIECES: all or none is queued. */
enum { MW_STREAM_PIECES = 8 };
int mw_stream_queue_pieces(struct mw_stream *stream, const struct iovec *pieces, int count);

/* Sends what is queued now, as far as the kernel takes it. 0 or the fault. */
int mw_stream_flush(struct mw_stream *stream);

/* Queued bytes that the kernel has not taken. */
size_t mw_stream_pending(const struct mw_stream *stream);

/* on_writable is called once when `size` or fewer bytes are pending. */
void mw_stream_await_output(struct mw_stream *stream, size_t size);
void mw_stream_forget_output(struct mw_stream *stream);

/* Ends the sending direction when all that is queued has left. 0 or errno. */
int mw_stream_shutdown(struct mw_stream *stream);

int mw_stream_output_fault(const struct mw_stream *stream);

/* --- about it --- */

struct mw_stream_counters {
    uint64_t received, sent; /* bytes */
    double opened, active;   /* moments on the loop's clock: creation, last byte either way */
};

void mw_stream_count(const struct mw_stream *stream, struct mw_stream_counters *counters);
int mw_stream_fd(const struct mw_stream *stream);
struct mw_loop *mw_stream_loop(const struct mw_stream *stream);
const struct mw_stream_ops *mw_stream_transport(const struct mw_stream *stream);

#endif
