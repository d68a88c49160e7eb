/* A part of an open file into a stream: sendfile(2) where the transport is a
 * plain socket, a read at a time elsewhere. */
#ifndef MW_NET_SEND_FILE_H
#define MW_NET_SEND_FILE_H

#include "net/stream.h"

struct mw_send_file;

/* `sent` bytes have left the stream's queue: all that was asked for, less when
 * the file ends earlier, or what had left when `error` (an errno) came up.
 * ECANCELED: the stream is being closed, the call comes from within that and
 * must not close it again. The handle is no more. */
typedef void mw_send_file_done(void *context, uint64_t sent, int error);

/* Sends up to `length` bytes of `file` from `offset` on, behind what is queued
 * already; the file's own position stays. The descriptor stays the caller's and
 * open until the end. Until `done`, which is never called from within this
 * call, nothing else may be queued, and mw_stream_shutdown not be called: it
 * would cut the file in two. Reading from a disk blocks for as long as that
 * takes; at most 1 MiB is sent in one event, so that others get their turn.
 * NULL with errno: ENOMEM, or EBUSY when a file or a relay is under way. */
struct mw_send_file *mw_send_file_start(struct mw_stream *stream, int file, uint64_t offset, uint64_t length,
                                        mw_send_file_done *done, void *context);

/* Gives up; `done` is not called. What is queued by now still leaves. The bytes that
 * have left so far. */
uint64_t mw_send_file_cancel(struct mw_send_file *send);

#endif
