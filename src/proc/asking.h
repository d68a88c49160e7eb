/* Questions to workers: a request that is forwarded to all of them, or one, and their
 * answers, collected until all have spoken or time is up. */
#ifndef MW_PROC_ASKING_H
#define MW_PROC_ASKING_H

#include "proc/workers.h"

#define MW_ASKING_SECONDS 2.0

struct mw_asking;   /* all questions */
struct mw_question; /* one of them */

struct mw_asking *mw_asking_new(struct mw_loop *loop, struct mw_workers *workers);

/* Questions that are open are dropped: nobody is told. */
void mw_asking_free(struct mw_asking *asking);

/* Sends the fields (a table, or nil) with an id, and with `command` unless that is NULL, to the workers that serve; a field "id"
 * goes as "connection". To all, or to `only` unless that is 0. on_done is called once, maybe before this returns; the question is gone after. False
 * when memory is out. */
bool mw_asking_start(struct mw_asking *asking, const char *command, const struct mw_value *fields, int only,
                     void (*on_done)(void *owner, uint64_t context, struct mw_question *question), void *owner,
                     uint64_t context);

/* What that worker answered, a JSON value, with a NUL behind; NULL: nothing (yet). */
const char *mw_question_answer(const struct mw_question *question, int worker, size_t *size);

/* Whether that worker was asked. */
bool mw_question_asked(const struct mw_question *question, int worker);

/* For the events of the workers. */
void mw_asking_answered(struct mw_asking *asking, struct mw_worker *worker, const struct mw_value *message);
void mw_asking_gone(struct mw_asking *asking, struct mw_worker *worker);

#endif
