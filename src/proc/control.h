/* The control socket: a Unix socket on which operators give commands to the running
 * daemon. A request is one line, a flat JSON object; its answer is one line, too.
 * What a command means is the owner's business. Only root and the user that the
 * daemon runs as are heard. Nobody who merely sits there keeps others away. */
#ifndef MW_PROC_CONTROL_H
#define MW_PROC_CONTROL_H

#include "base/fault.h"
#include "net/net.h"
#include "proto/message.h"

enum {
    MW_CONTROL_LINE = 64 * 1024, /* bytes of a request, its newline included */
    MW_CONTROL_CLIENTS = 256,
    MW_CONTROL_FIELDS = 32 /* of a request */
};

#define MW_CONTROL_IDLE 30.0 /* seconds without a byte either way, while no request is with the owner */

struct mw_control;

struct mw_control_events {
    /* A request: a table of strings, numbers, booleans and nil (an integer stays one), whose "command" is a string.
     * `fields` is valid during the call. To be answered once under its number, during the call or at any time
     * later. Must not close the control socket. */
    void (*on_request)(void *owner, uint64_t request, const struct mw_value *fields);
};

/* Listens at `path`, an absolute path of at most 107 bytes. Its folder is made (0755) if it is not there; a socket
 * that nobody serves any more is replaced. NULL and `fault`: "in_use" when another daemon answers there. */
struct mw_control *mw_control_new(struct mw_net *net, const char *path, const struct mw_control_events *events,
                                  void *owner, struct mw_fault *fault);

/* Answers with one line: `json`, a whole JSON value without line ends (a copy is made). Nothing happens when the
 * client has left, or memory is out: then it is disconnected. */
void mw_control_answer(struct mw_control *control, uint64_t request, const char *json, size_t size);

/* Answers { "ok": false, "error": the printf message (up to 4 KiB), "code": code }. */
void mw_control_refuse(struct mw_control *control, uint64_t request, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Stops listening and removes the path. Answers that were given still leave, for at most `linger` seconds of the loop;
 * who still waits for one is told that the daemon stops. */
void mw_control_close(struct mw_control *control, double linger);

#endif
