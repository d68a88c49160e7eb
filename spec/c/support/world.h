/* A loop and a net for one test, peers that are plain descriptors, and an owner
 * of streams that notes what it is told. */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "net/stream.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct world {
    struct mw_loop *loop;
    struct mw_net *net;
};

extern struct world world;

/* Setup and teardown of a cmocka test. The teardown fails when a stream or a
 * descriptor was left open. libev gets its memory past alloc_failure, because it
 * aborts without. */
int world_open(void **state);
int world_close(void **state);

/* Runs the loop until the condition holds; fails the test when it does not
 * within ten seconds. */
#define world_run_until(condition)                                                                           \
    do {                                                                                                     \
        double world_limit = world_clock() + 10;                                                             \
        while (!(condition)) {                                                                               \
            world_turn(world_limit, #condition, __FILE__, __LINE__);                                         \
        }                                                                                                    \
    } while (0)

double world_clock(void);
void world_turn(double limit, const char *condition, const char *file, int line);

/* Handles all that is there, without waiting for more. */
void world_settle(void);

/* Open descriptors of the process. */
int world_descriptors(void);

/* Byte `position` of the endless stream that tests send. */
char world_pattern(size_t position);

/* `size` bytes of it from `from` on; free() them. */
char *world_bytes(size_t from, size_t size);

/* Connected non-blocking sockets: a Unix pair, or TCP over loopback. */
void world_unix_pair(int ends[2]);
void world_tcp_pair(int ends[2]);

/* What a peer has sent and received of the pattern; `fd` stays the test's. */
struct peer {
    int fd;
    size_t sent, received;
    bool at_end;
    int fault; /* errno */
};

/* Sends up to `size` bytes, as many as fit. */
void peer_send(struct peer *peer, size_t size);

/* Sends until nothing moves any more because the other end does not read. */
void peer_send_until_stuck(struct peer *peer);

/* Receives up to `size` bytes and fails the test if they are not the pattern. */
void peer_receive(struct peer *peer, size_t size);

/* Whether all `size` bytes have arrived, reading on. */
bool peer_has(struct peer *peer, size_t size);

/* Whether the peer has seen the end of data or a fault, reading on. */
bool peer_at_end(struct peer *peer);

/* Closes with a reset. */
void peer_reset(struct peer *peer);

/* An owner of a stream. */
struct witness {
    struct mw_stream *stream; /* NULL once it was closed */
    int readable, writable;   /* calls */
    size_t received;          /* bytes of the pattern, checked and taken */
    bool leaves_input;        /* takes nothing */
    bool closes;              /* in the next call */
};

extern const struct mw_stream_events witness_events;

void witness_own(struct witness *witness, struct mw_stream *stream);

/* A stream over `fd`, owned by the witness. */
void witness_open(struct witness *witness, int fd, const struct mw_stream_ops *ops, void *transport);

/* Takes what is unread, checking it. */
void witness_take(struct witness *witness);

/* Queues `size` bytes of the pattern from `from` on, and says what came of it. */
int witness_queue(struct witness *witness, size_t from, size_t size);

/* Closes the stream, if it is still open. */
void witness_close(struct witness *witness, double linger);

#endif
