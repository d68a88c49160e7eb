/* The connection that a process was started for: by inetd, xinetd or socat, by systemd with Accept=yes, or by a shell
 * with pipes. */
#ifndef MW_NET_STANDARD_H
#define MW_NET_STANDARD_H

#include "base/addr.h"
#include "base/fault.h"
#include "net/stream.h"

struct mw_standard {
    int input, output; /* of one connection; the same: a socket. -1: it is a stream's by now */
    bool without_log;  /* standard error was the connection, too: it leads nowhere now */
};

/* Finds it, once and before anything is written: the socket that systemd has passed; else the socket that is standard
 * input and output at once; else these two as they are. A socket has one descriptor afterwards, which is none of the
 * standard ones: standard input is empty then, standard output leads where standard error does, and neither does
 * so to the peer. False and the fault ("invalid"): there is no connection. */
bool mw_standard_take(struct mw_standard *standard, struct mw_fault *fault);

/* Makes a stream of it, with `peer` where it has one, of length 0 otherwise. NULL when memory is out. */
struct mw_stream *mw_standard_open(struct mw_standard *standard, struct mw_net *net, struct mw_addr *peer);

#endif
