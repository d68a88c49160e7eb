/* What a worker is told, so that it comes from the services that it has to others. */
#include "proc/keys.h"
#include "proc/workers.h"

static void put_listeners(struct mw_text *text, const struct mw_service *service) {
    mw_message_string(text, "listeners", 9);
    size_t all = mw_message_open(text);
    for (int i = 0; i < service->count; i++) {
        const struct mw_service_listener *listener = &service->listeners[i];
        mw_message_integer(text, i + 1);
        size_t one = mw_message_open(text);
        mw_message_put_string(text, "address", mw_socket_set_address(listener->sockets));
        mw_message_put_string(text, "kind", listener->listening.datagram ? "datagram" : "stream");
        mw_message_put_string(text, "door", listener->listening.door);
        mw_message_put_boolean(text, "tls", listener->listening.address.scheme == MW_SCHEME_TLS);
        mw_message_close(text, one);
    }
    mw_message_close(text, all);
}

static void tell_service(struct mw_worker *worker, const struct mw_service *service) {
    struct mw_text text = {.bytes = NULL};
    int descriptors[2 + MW_SERVICE_LISTENERS] = {service->blob}, count = 1;
    if (service->keys) {
        descriptors[count++] = service->keys->memory;
    }
    for (int i = 0; i < service->count; i++) {
        descriptors[count++] = mw_socket_set_descriptor(service->listeners[i].sockets, worker->number);
    }
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", worker->moving);
    mw_message_put_integer(&text, "born", service->generation);
    mw_message_put_string(&text, "name", service->name);
    mw_message_put_boolean(&text, "tls", service->keys != NULL);
    put_listeners(&text, service);
    mw_message_close(&text, table);
    mw_offspring_tell(worker->process, MW_ORDER_SERVICE, &text, descriptors, count);
    mw_text_free(&text);
}

static bool serves(const struct mw_worker *worker, const struct mw_service *service) {
    return service && service->on[worker->number - 1];
}

/* Whether something that the worker serves ends: what stays must be named then. */
static bool loses_one(const struct mw_worker *worker, const struct mw_services *services) {
    for (int i = 0; worker->on && i < worker->on->count; i++) {
        const struct mw_service *service = worker->on->list[i];
        if (serves(worker, service) && !serves(worker, mw_services_find(services, service->name))) {
            return true;
        }
    }
    return false;
}

/* Whether some were left out because the worker has them. */
static bool tell_services(struct mw_worker *worker, const struct mw_services *services) {
    bool all = loses_one(worker, services), partial = false;
    for (int i = 0; i < services->count; i++) {
        const struct mw_service *service = services->list[i];
        if (!serves(worker, service)) {
            continue;
        }
        if (!all && mw_services_find(worker->on, service->name) == service) {
            partial = true;
        } else {
            tell_service(worker, service);
        }
    }
    return partial;
}

static void tell(struct mw_worker *worker, enum mw_order kind, struct mw_text *text, size_t table) {
    mw_message_close(text, table);
    mw_offspring_tell(worker->process, kind, text, NULL, 0);
    mw_text_free(text);
}

void mw_worker_bring(struct mw_worker *worker, struct mw_services *services, bool led) {
    struct mw_text text = {.bytes = NULL};
    struct mw_loop *loop = worker->workers->loop;
    double limit = mw_loop_now(loop) + worker->workers->options.settings->reload_timeout;
    worker->led = led;
    worker->answered = false;
    worker->next = mw_services_hold(services);
    worker->moving = services->generation;
    if (!led && !mw_timer_set(mw_loop_timers(loop), &worker->limit, limit)) {
        mw_offspring_kill(worker->process);
    }
    bool partial = tell_services(worker, services);
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", worker->moving);
    mw_message_put_boolean(&text, "partial", partial);
    tell(worker, MW_ORDER_PREPARE, &text, table);
}

void mw_worker_step(struct mw_worker *worker, enum mw_order step) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", worker->moving);
    worker->answered = false;
    tell(worker, step, &text, table);
}

void mw_worker_commit(struct mw_worker *worker, double share) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", worker->moving);
    mw_message_put_number(&text, "drain", worker->workers->options.settings->drain);
    if (share < 1) {
        mw_message_put_number(&text, "share", share);
    } else {
        mw_services_release(worker->on);
        worker->on = worker->next;
        worker->next = NULL;
    }
    worker->answered = false;
    tell(worker, MW_ORDER_COMMIT, &text, table);
}
