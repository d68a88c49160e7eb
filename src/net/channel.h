/* A channel between two processes of the daemon: messages of any bytes, whole and
 * in order, with descriptors beside them, over a Unix stream socket. */
#ifndef MW_NET_CHANNEL_H
#define MW_NET_CHANNEL_H

#include "loop/loop.h"

#include <stddef.h>
#include <stdint.h>

/* Of one message. */
enum { MW_CHANNEL_DESCRIPTORS = 128, MW_CHANNEL_SIZE_MOST = 64 * 1024 * 1024 };

struct mw_channel;

/* Each may close the channel, send, and converse. */
struct mw_channel_events {
    /* A message. The descriptors (close-on-exec) are the owner's now; the bytes are valid during the call. */
    void (*on_message)(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count);
    /* The other end is gone, or spoke nonsense (which is logged), or memory for what it says is out: nothing comes or
     * goes any more. Called once, and not from mw_channel_send. The channel still is to be closed. */
    void (*on_end)(void *owner);
};

/* Two connected sockets for a channel (non-blocking, close-on-exec). False and errno. */
bool mw_channel_pair(int ends[2]);

/* A channel over `fd`, which it owns from now on. NULL when memory is out; then the
 * descriptor still is the caller's. It holds the loop. */
struct mw_channel *mw_channel_new(struct mw_loop *loop, int fd, const struct mw_channel_events *events, void *owner);

/* What still waits for the kernel is dropped; mw_channel_converse first, where it matters. */
void mw_channel_close(struct mw_channel *channel);

/* Queues a message, and sends what the kernel takes at once. The descriptors stay the
 * caller's (they are duplicated where they must wait). 0 or errno, and then nothing of it is sent:
 * EMSGSIZE above the limits, ENOMEM, EMFILE, ETOOMANYREFS, EPIPE (the other end is gone). */
int mw_channel_send(struct mw_channel *channel, uint8_t kind, const void *bytes, size_t size, const int *descriptors,
                    int count);

/* Bytes that wait for the kernel: who sends what may be lost looks here first. */
size_t mw_channel_pending(const struct mw_channel *channel);

/* Sends and receives outside of the loop's turn, for at most `seconds` or until `until` says true
 * (asked at first, after every message, and after bytes were sent; NULL: never). Nothing else of the
 * loop runs meanwhile. What came beyond is delivered in the loop's turn. */
void mw_channel_converse(struct mw_channel *channel, double seconds, bool (*until)(void *context), void *context);

#endif
