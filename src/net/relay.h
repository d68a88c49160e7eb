/* Two streams into each other, until both have ended. What one peer sends goes
 * out to the other as it comes; the end of data is passed on once everything
 * before it was delivered, and the other direction goes on. */
#ifndef MW_NET_RELAY_H
#define MW_NET_RELAY_H

#include "net/stream.h"

struct mw_relay;

struct mw_relay_options {
    double idle; /* seconds without a byte either way that end the relay; 0: no limit */
};

/* How many bytes were passed on in each direction, and why it ended: 0 when
 * both peers have ended and everything was delivered, ETIMEDOUT when idle, the
 * errno of the first fault of a stream, or ECANCELED when one of the streams is
 * being closed: the call comes from within that and must not close it again.
 * The streams have their owners and marks back; the handle is no more. */
typedef void mw_relay_done(void *context, uint64_t a_to_b, uint64_t b_to_a, int error);

/* Relays between two different streams, which stay the caller's but must not
 * be read, written or given marks and owners until `done`, which is never
 * called from within this call. Unread and queued bytes go first. Memory stays
 * at the marks of the stream that is written to; between plain sockets large
 * amounts do not pass through memory at all. NULL with errno: ENOMEM, or EBUSY
 * when a file or another relay is under way in one of them. */
struct mw_relay *mw_relay_start(struct mw_stream *a, struct mw_stream *b,
                                const struct mw_relay_options *options, mw_relay_done *done, void *context);

/* Stops in between; `done` is not called. Nothing is lost: what was taken from
 * one stream and has not left yet is in the queue of the other. */
void mw_relay_cancel(struct mw_relay *relay);

#endif
