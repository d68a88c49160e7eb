/* The inside of a stream, for the files of this layer that are its verbs
 * (stream, read, write, close, relay, send_file) and its transports. */
#ifndef MW_NET_STREAM_INTERNAL_H
#define MW_NET_STREAM_INTERNAL_H

#include "net/stream.h"

/* Output that does not come out of the queue: a file, another stream. It has
 * its turns while the queue is empty. At most one a stream. */
struct mw_source {
    /* The room that was asked for with mw_stream_watch_output is there, or
     * output has failed. May detach, and may close the stream. */
    void (*on_room)(struct mw_source *source);
    /* The owner closes the stream; the source is off it already. */
    void (*on_closed)(struct mw_source *source);
};

/* The watcher for output exists only while the kernel takes no more, or for a
 * source. */
struct mw_outlet {
    ev_io io;
    struct mw_stream *stream;
    struct mw_source *source;
    bool waiting; /* for room */
};

/* The owner has left: what the rest of the stream's life needs. */
struct mw_farewell {
    struct mw_list node; /* in net->closing */
    struct mw_timer timer;
    struct mw_stream *stream;
};

struct mw_stream {
    ev_io input; /* first member: its address is the stream's */
    struct mw_net *net;
    const struct mw_stream_ops *ops;
    void *transport;
    const struct mw_stream_events *events;
    void *owner;
    const struct mw_stream_marks *marks;
    struct mw_buf *in, *out;
    struct mw_outlet *outlet;
    struct mw_farewell *farewell;
    struct mw_stream *next_dirty;
    struct mw_stream_witness *witness; /* NULL: none */
    struct mw_proxied *proxied;        /* NULL: it came without a PROXY header */
    uint64_t received, sent;
    double opened, active;
    size_t input_awaited;  /* unread bytes that a reader waits for; 0: none */
    size_t output_awaited; /* pending bytes at which the writer goes on, plus one; 0: none */
    int input_fault, output_fault;
    int output_fd; /* the input's, but for a pair of descriptors */
    bool watching : 1;    /* the input watcher is on */
    bool at_end : 1;      /* the peer has ended its direction */
    bool dirty : 1;       /* in net->dirty */
    bool ending : 1;      /* shutdown was asked for: no more writes */
    bool ended : 1;       /* and was sent */
    bool write_reads : 1; /* the transport reads when output is possible */
    bool read_writes : 1; /* the transport writes when input comes */
    bool more : 1;        /* what is being written is followed by more at once: a small end of it can wait for that */
};

/* The callback of the input watcher: one read into the queue, and the owner is told. */
void mw_stream_on_input(struct ev_loop *ev, ev_io *io, int events);

/* One read, when reading does not rest. False when the stream is gone. */
bool mw_stream_receive(struct mw_stream *stream);

/* Calls `act`, which may reach the owner. False when the stream is gone after. */
bool mw_stream_survives(struct mw_stream *stream, void (*act)(struct mw_stream *stream));

/* Starts or stops the input watcher as queue, reader and faults ask for. */
void mw_stream_watch_input(struct mw_stream *stream);

/* The kernel takes no more: wait for room. False when memory is out, which
 * does not happen while there is a source. */
bool mw_stream_watch_output(struct mw_stream *stream);

/* Nobody waits for room any more. Frees the outlet unless a source holds it. */
void mw_stream_unwatch_output(struct mw_stream *stream);

static inline bool mw_stream_awaits_room(const struct mw_stream *stream) {
    return stream->outlet && stream->outlet->waiting;
}

static inline struct mw_source *mw_stream_source(const struct mw_stream *stream) {
    return stream->outlet ? stream->outlet->source : NULL;
}

/* Whether nothing of the stream's own waits to get out. */
static inline bool mw_stream_output_rests(const struct mw_stream *stream) {
    return !stream->out && (stream->ended || !stream->ending) && !stream->write_reads;
}

/* 0, EBUSY when the stream has a source already, or ENOMEM. */
int mw_stream_attach(struct mw_stream *stream, struct mw_source *source);
void mw_stream_detach(struct mw_stream *stream);

/* Makes on_room of the source be called soon, whether there is room or not. */
void mw_stream_rouse(struct mw_stream *stream);

/* Ends the output direction with a fault; what is queued is dropped. */
void mw_stream_fail_output(struct mw_stream *stream, int error);

/* As mw_stream_queue, but nothing waits for mw_net_flush: what the transport
 * takes leaves now. `size` is not 0. */
int mw_stream_pass(struct mw_stream *stream, const char *bytes, size_t size);

/* Bytes have left, past the queue or out of it. */
static inline void mw_stream_note_sent(struct mw_stream *stream, size_t size) {
    stream->sent += size;
    stream->active = mw_loop_now(stream->net->loop);
}

/* Sends what is queued, then lets go on whoever waits for that: the close,
 * the source, or the writer. Each may end the stream's life. */
void mw_stream_go_on_sending(struct mw_stream *stream);

/* Tells whoever awaits output that the state has changed. */
void mw_stream_announce_output(struct mw_stream *stream);

/* After the end of a stream that was closing: tells who awaits the last one. */
void mw_net_tell_drained(struct mw_net *net);

/* Frees everything at once. */
void mw_stream_destroy(struct mw_stream *stream);

/* Called in mid-farewell when the output has left or input came. */
void mw_stream_go_on_closing(struct mw_stream *stream);

/* Takes the stream off the list of those to flush. */
void mw_stream_clean(struct mw_stream *stream);

#endif
