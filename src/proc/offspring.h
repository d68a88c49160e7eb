/* Children of the supervisor: forked, not executed, so that they share what was
 * mapped before. Each has a channel to us and none of our other descriptors but 0, 1, 2
 * and the log's; it ends with us whatever ends us. */
#ifndef MW_PROC_OFFSPRING_H
#define MW_PROC_OFFSPRING_H

#include "base/text.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "proto/order.h"

struct mw_offspring;

struct mw_offspring_events {
    /* A message of the child; as mw_channel_events. */
    void (*on_message)(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count);
    /* The child has ended, and all that it said before was told. Nothing is to be done with it afterwards, nor within. */
    void (*on_end)(void *owner, struct mw_child_status status);
};

/* Starts a child that calls `run` with its end of the channel and exits with what that
 * returns. Signals are at their defaults there, but for those that others may send to all of us at once
 * (hup, int, term, usr1, usr2) and pipe, which it ignores. NULL and errno. */
struct mw_offspring *mw_offspring_start(struct mw_loop *loop, int (*run)(void *context, int channel), void *context,
                                        const struct mw_offspring_events *events, void *owner);

pid_t mw_offspring_id(const struct mw_offspring *child);

/* Sends a message; the descriptors stay the caller's. Whoever cannot be told any more is
 * killed: on_end follows. Takes a text that failed as memory that is out. */
void mw_offspring_tell(struct mw_offspring *child, enum mw_order kind, const struct mw_text *message,
                       const int *descriptors, int count);

/* Bytes of messages that wait for the child to read on. */
size_t mw_offspring_pending(const struct mw_offspring *child);

/* SIGKILL; on_end follows. */
void mw_offspring_kill(struct mw_offspring *child);

/* Kills it, waits for that, and forgets it: on_end is not called. */
void mw_offspring_close(struct mw_offspring *child);

/* In the child, after its rights have changed, which undoes that it ends with its parent. False when the
 * parent is gone already. */
bool mw_offspring_bind_life(pid_t parent);

/* Writes "status 1" or "signal 9". */
void mw_offspring_reason(struct mw_child_status status, char *reason, size_t size);

#endif
