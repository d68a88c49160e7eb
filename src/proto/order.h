/* What supervisor and workers say to each other: the kinds of messages on the
 * channel between them. Each is a table (proto/message.h) with the fields named
 * here; numbers are integers unless "seconds" stands there. */
#ifndef MW_PROTO_ORDER_H
#define MW_PROTO_ORDER_H

enum mw_order {
    /* --- supervisor to worker ---
     * A new generation is built in steps: SERVICE for each of its services, then PREPARE; when every worker is
     * READY, ADOPT; when every one has ADOPTED, COMMIT, answered by SWITCHED. Any FAULT: ABORT to all, and the
     * generation was never there. A worker that was just started gets the same steps. */

    /* { generation, born, name, tls, listeners = { { address, kind = "stream" | "datagram", tls }, … } }. `born` is the generation
     * that has brought the service: an earlier one for a worker that was started since. Descriptors: the first is a memory
     * file with the service's blob (read it by position: all workers share the descriptor's), with `tls` another with its
     * certificates and keys ({ options, files }, see script/tls_settings.h), then one listening (or bound) socket for each
     * listener, in order. A service whose name is known replaces it at the COMMIT. */
    MW_ORDER_SERVICE = 1,
    /* { generation, partial }: those were all. Unless partial, services that were not named end at the COMMIT. */
    MW_ORDER_PREPARE,
    /* { generation }: old services hand their own state to the new ones. The worker rests until COMMIT or ABORT, a
     * quarter of a second at most. */
    MW_ORDER_ADOPT,
    /* { generation, share (seconds-like number 0..1, absent: 1), drain = seconds }: new connections meet the generation;
     * with a share below 1 only that part of them, live ones stay, and a second COMMIT or a ROLLBACK follows. */
    MW_ORDER_COMMIT,
    /* { generation }: before COMMIT: drop what was built. */
    MW_ORDER_ABORT,
    /* { generation }: after a COMMIT with a share: new connections meet the old generation again, those that met the
     * new one move back or end with the drain. Answered by SWITCHED. */
    MW_ORDER_ROLLBACK,
    /* { drain = seconds, 0: at once }: accepting ends, services stop, the worker exits with 0. */
    MW_ORDER_STOP,
    /* { id, command, … }: of an operator; answered by ANSWER with the same id, unless that is 0. The further fields are
     * those of the request, but for its "id", which is "connection" here. Of the supervisor itself: { id, command =
     * "canary" }, answered by { "old": { "accepted", "errors" }, "new": … } as counted so far, and { id = 0, command =
     * "reopen_log", to }, with the descriptor of the log when it is a file. */
    MW_ORDER_REQUEST,
    /* { name, number }: certificates of a service were renewed, with a memory file as in SERVICE. New handshakes have
     * them; connections stay as they are. Answered by RENEWED with the same number. */
    MW_ORDER_RENEW,
    /* --- both ways --- */
    /* Bytes of the bus, see script/bus.h; goes to all other workers. */
    MW_ORDER_PUBLISH,
    /* --- worker to supervisor --- */
    MW_ORDER_READY,    /* { generation } */
    MW_ORDER_FAULT,    /* { generation, service, message } instead of READY or ADOPTED */
    MW_ORDER_ADOPTED,  /* { generation } */
    MW_ORDER_SWITCHED, /* { generation, moved, kept, ended }: connections */
    MW_ORDER_ANSWER,   /* { id, text }: a JSON value */
    MW_ORDER_RENEWED,  /* { name, number, fault }: what was sent cannot be used when there is a fault, the old ones stay */
    /* --- probe to supervisor: one, and it exits --- */
    /* { fault = text } or { daemon = { … }, services = { { name, listeners, workers, blob }, … }, files = { path, … } } */
    MW_ORDER_PROBED,
};

#endif
