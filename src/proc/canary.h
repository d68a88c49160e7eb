/* Whether a new generation that part of the connections meet does worse than the old one. */
#ifndef MW_PROC_CANARY_H
#define MW_PROC_CANARY_H

#include "proc/asking.h"

#define MW_CANARY_SECONDS 60.0
#define MW_CANARY_FACTOR 2.0
enum { MW_CANARY_ERRORS = 5 /* fewer say nothing */ };

struct mw_canary_rule {
    double share;   /* of new connections that meet the new generation; 1: all, there is no trial */
    double seconds; /* of trial */
    double factor;  /* how many times the old error rate the new one may be */
};

/* What was counted, of both sides. */
struct mw_canary_count {
    int64_t accepted, errors;
};

struct mw_canary {
    bool begun; /* `base` was counted */
    struct mw_canary_count base[2], now[2]; /* old, new */
};

/* Adds up the answers of the workers, each { "old": { "accepted", "errors" }, "new": … }. The first time
 * they are where counting begins. */
void mw_canary_count(struct mw_canary *canary, const struct mw_question *question, int workers);

/* Whether the new generation had at least MW_CANARY_ERRORS errors in the trial and its rate of errors is more than
 * `factor` times that of the old one; writes both rates into `text`. */
bool mw_canary_is_worse(const struct mw_canary *canary, double factor, char *text, size_t size);

#endif
