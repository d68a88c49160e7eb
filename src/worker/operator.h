/* What an operator does with connections and services of a worker. */
#ifndef MW_WORKER_OPERATOR_H
#define MW_WORKER_OPERATOR_H

#include "worker/daemon_internal.h"

/* Adds the connections that the request asks for: { "connections": [ … ] }. */
void mw_operator_list(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text);

/* Ends the connections that the request names; adds their number. */
void mw_operator_kill(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text);

/* Runs code in the state of a service, as a task; the answer `id` follows when it has ended. */
void mw_operator_evaluate(struct mw_daemon *daemon, const struct mw_value *request, int64_t id);

#endif
