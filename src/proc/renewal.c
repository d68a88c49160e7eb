#include "proc/renewal.h"

#include "base/log.h"
#include "proc/keys.h"
#include "proc/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mw_renewal {
    struct mw_loop *loop;
    struct mw_workers *workers;
    struct mw_watch *watch; /* NULL: there is nothing to look after, or it cannot be */
};

/* --- telling workers --- */

static void write_order(struct mw_text *text, const struct mw_service *service) {
    size_t table = mw_message_open(text);
    mw_message_put_string(text, "name", service->name);
    mw_message_put_integer(text, "number", service->keys->number);
    mw_message_close(text, table);
}

static void tell(struct mw_worker *worker, const struct mw_service *service) {
    struct mw_text text = {.bytes = NULL};
    write_order(&text, service);
    mw_offspring_tell(worker->process, MW_ORDER_RENEW, &text, &service->keys->pending, 1);
    mw_text_free(&text);
}

/* Those that are being started get what is current then. */
static bool has(const struct mw_worker *worker, const struct mw_service *service) {
    return worker->process && worker->on && service->on[worker->number - 1];
}

static void tell_all(struct mw_workers *workers, const struct mw_service *service) {
    for (int i = 0; i < workers->count; i++) {
        if (has(&workers->list[i], service)) {
            tell(&workers->list[i], service);
        }
    }
}

/* --- looking --- */

static void refresh(struct mw_workers *workers, const struct mw_service *service) {
    struct mw_fault fault;
    if (mw_keys_refresh(service->keys, &fault)) {
        tell_all(workers, service);
    } else if (fault.code) {
        mw_log(MW_LOG_ERROR, "service %s: changed certificates are not used, those before stay: %s", service->name,
               fault.message);
    }
}

static void look_after(struct mw_renewal *renewal);

/* A link may lead elsewhere by now. */
static void on_change(void *owner) {
    struct mw_renewal *renewal = owner;
    const struct mw_services *services = renewal->workers->current;
    look_after(renewal);
    for (int i = 0; services && i < services->count; i++) {
        if (services->list[i]->keys) {
            refresh(renewal->workers, services->list[i]);
        }
    }
}

/* The names of all files as a table. Their number. */
static size_t write_names(struct mw_text *text, const struct mw_services *services) {
    size_t table = mw_message_open(text), count = 0;
    for (int i = 0; services && i < services->count; i++) {
        const struct mw_keys *keys = services->list[i]->keys;
        for (size_t j = 0; keys && j < keys->files.count; j++) {
            mw_message_integer(text, (int64_t)++count);
            mw_message_string(text, keys->files.list[j].name, strlen(keys->files.list[j].name));
        }
    }
    mw_message_close(text, table);
    return count;
}

static void open_watch(struct mw_renewal *renewal) {
    renewal->watch = mw_watch_new(renewal->loop, on_change, renewal);
    if (!renewal->watch) {
        mw_log(MW_LOG_WARN, "certificates cannot be watched: %s; reload after a change", strerror(errno));
    }
}

static void look_after(struct mw_renewal *renewal) {
    struct mw_text text = {.bytes = NULL};
    struct mw_value names;
    size_t count = write_names(&text, renewal->workers->current);
    if (count > 0 && !renewal->watch) {
        open_watch(renewal);
    }
    if (renewal->watch && !text.failed && mw_message_read(&names, text.bytes, text.size)) {
        mw_watch_set(renewal->watch, &names, false);
    }
    mw_text_free(&text);
}

void mw_renewal_follow(struct mw_renewal *renewal) {
    on_change(renewal);
}

/* --- answers --- */

/* The first worker that answers speaks for all: they judge the same bytes by the same rules. */
void mw_renewal_answered(struct mw_renewal *renewal, const struct mw_worker *worker, const struct mw_value *message) {
    char name[MW_SERVICE_NAME], fault[512];
    const struct mw_service *service = mw_services_find(
        renewal->workers->current, mw_value_string(message, "name", name, sizeof name));
    struct mw_keys *keys = service ? service->keys : NULL;
    if (!keys || keys->pending < 0 || mw_value_integer(message, "number", 0) != keys->number) {
        return;
    }
    mw_value_string(message, "fault", fault, sizeof fault);
    mw_keys_settle(keys, !*fault);
    if (*fault) {
        mw_log(MW_LOG_ERROR, "service %s: changed certificates are not used, those before stay: %s (worker %d)", name,
               fault, worker->number);
    } else {
        mw_log(MW_LOG_INFO, "service %s: certificates were renewed", name);
    }
}

void mw_renewal_serving(struct mw_renewal *renewal, struct mw_worker *worker) {
    const struct mw_services *services = renewal->workers->current;
    for (int i = 0; services && i < services->count; i++) {
        const struct mw_service *service = services->list[i];
        if (service->keys && service->keys->pending >= 0 && has(worker, service)) {
            tell(worker, service);
        }
    }
}

/* --- its life --- */

struct mw_renewal *mw_renewal_new(struct mw_loop *loop, struct mw_workers *workers) {
    struct mw_renewal *renewal = calloc(1, sizeof *renewal);
    if (renewal) {
        renewal->loop = loop;
        renewal->workers = workers;
    }
    return renewal;
}

void mw_renewal_free(struct mw_renewal *renewal) {
    if (renewal && renewal->watch) {
        mw_watch_free(renewal->watch);
    }
    free(renewal);
}
