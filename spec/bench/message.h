/* What the load says, and what it expects to hear: one message and its answer, as bytes. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    char *out;                 /* `depth` + 1 of them in a row: any stretch that can be under way lies inside */
    size_t out_size;           /* of one */
    char *in;                  /* as many answers, when in_row; else one, or its beginning */
    size_t in_size;            /* of one */
    size_t checked;            /* so much of each answer is compared, from its beginning */
    size_t date_from, date_to; /* but for this part of it */
    bool in_row;               /* answers are alike from end to end */
    bool upgrade;              /* a connection begins with a handshake of WebSocket */
};

/* The answer is the message itself: letters, with a newline at the end if `line`. */
struct message message_echo(size_t size, uint32_t depth, bool line);

/* GET of a path. Asks once what the answer is; all are expected to be like it, but for their date. Ends the
 * process when there is no answer with a length. */
struct message message_http(const struct sockaddr_in *target, const char *path, uint32_t depth);

/* A masked text message of so many bytes; the answer is the same, not masked. */
struct message message_websocket(size_t size, uint32_t depth);

/* Whether `n` bytes are what answers hold from `partial` on within the first of them. */
bool message_matches(const struct message *message, size_t partial, const char *data, size_t n);

/* The handshake of WebSocket on a connected socket. Waits. False: it was refused. */
bool message_upgrade(int fd);

#endif
