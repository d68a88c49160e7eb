#include "proc/cohort.h"

void mw_cohort_bring(struct mw_workers *workers, struct mw_services *services, bool first) {
    for (int i = 0; i < workers->count; i++) {
        struct mw_worker *worker = &workers->list[i];
        if (worker->process && (first || worker->state == MW_WORKER_SERVING)) {
            mw_worker_bring(worker, services, true);
        }
    }
}

void mw_cohort_step(struct mw_workers *workers, enum mw_order step) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].led) {
            mw_worker_step(&workers->list[i], step);
        }
    }
}

void mw_cohort_commit(struct mw_workers *workers, double share) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].led) {
            mw_worker_commit(&workers->list[i], share);
        }
    }
}

void mw_cohort_forget(struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].led) {
            mw_worker_forget(&workers->list[i]);
        }
    }
}

const struct mw_worker *mw_cohort_silent(const struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        if (workers->list[i].led && !workers->list[i].answered) {
            return &workers->list[i];
        }
    }
    return NULL;
}

void mw_cohort_replace_silent(struct mw_workers *workers) {
    for (int i = 0; i < workers->count; i++) {
        const struct mw_worker *worker = &workers->list[i];
        if (worker->led && !worker->answered) {
            mw_log(MW_LOG_ERROR, "worker %d does not switch to generation %lld and is replaced", worker->number,
                   (long long)worker->moving);
            mw_offspring_kill(worker->process);
        }
    }
}
