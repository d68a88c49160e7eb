#include "proc/service.h"

#include "base/log.h"
#include "proc/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- one --- */

static void read_workers(struct mw_service *service, const struct mw_value *workers) {
    struct mw_value key, worker;
    size_t at = 0;
    if (workers->type != MW_VALUE_TABLE) {
        memset(service->on, true, sizeof service->on);
        return;
    }
    while (mw_value_next(workers, &at, &key, &worker)) {
        if (worker.type == MW_VALUE_INTEGER && worker.integer >= 1 && worker.integer <= MW_WORKERS_MOST) {
            service->on[worker.integer - 1] = true;
        }
    }
}

static void release(struct mw_service *service) {
    if (--service->holders > 0) {
        return;
    }
    for (int i = 0; i < service->count; i++) {
        mw_socket_set_release(service->listeners[i].sockets);
    }
    if (service->blob >= 0) {
        close(service->blob);
    }
    mw_keys_release(service->keys);
    free(service);
}

static bool open_listeners(struct mw_service *service, const struct mw_value *entry, struct mw_sockets *sockets,
                           struct mw_fault *fault) {
    struct mw_value listeners = mw_value_field(entry, "listeners"), key, one;
    for (size_t at = 0; mw_value_next(&listeners, &at, &key, &one);) {
        struct mw_service_listener *listener = &service->listeners[service->count];
        if (!mw_listening_read(&listener->listening, &one, fault)) {
            return false;
        }
        listener->sockets =
            mw_sockets_take(sockets, service->name, service->count, &listener->listening, service->on, fault);
        if (!listener->sockets) {
            return false;
        }
        service->count++;
    }
    return true;
}

static int count_entries(const struct mw_value *table) {
    struct mw_value key, value;
    int count = 0;
    for (size_t at = 0; table->type == MW_VALUE_TABLE && mw_value_next(table, &at, &key, &value);) {
        count++;
    }
    return count;
}

/* A development certificate stays the same as long as there is one: who has trusted it need not do so again. */
static bool read_keys(struct mw_service *service, const struct mw_value *entry, const struct mw_service *before,
                      struct mw_fault *fault) {
    struct mw_value tls = mw_value_field(entry, "tls");
    if (tls.type != MW_VALUE_TABLE) {
        return true;
    }
    bool stays = before && before->keys && before->keys->automatic && mw_value_boolean(&tls, "automatic", false);
    service->keys = stays ? mw_keys_hold(before->keys) : mw_keys_new(&tls, fault);
    return service->keys != NULL;
}

static bool fill(struct mw_service *service, const struct mw_value *entry, struct mw_sockets *sockets,
                 const struct mw_service *before, struct mw_fault *fault) {
    struct mw_value workers = mw_value_field(entry, "workers"), blob = mw_value_field(entry, "blob");
    mw_value_string(entry, "name", service->name, sizeof service->name);
    service->drain = mw_value_number(entry, "drain", 0);
    read_workers(service, &workers);
    service->blob = mw_sealed_memory(service->name, blob.bytes, blob.size);
    if (service->blob < 0) {
        mw_fault_set(fault, errno, "keep", service->name);
        return false;
    }
    return read_keys(service, entry, before, fault) && open_listeners(service, entry, sockets, fault);
}

static struct mw_service *make(const struct mw_value *entry, struct mw_sockets *sockets, int64_t generation,
                               const struct mw_service *before, struct mw_fault *fault) {
    struct mw_value listeners = mw_value_field(entry, "listeners");
    int count = count_entries(&listeners);
    if (count > MW_SERVICE_LISTENERS) {
        mw_fault_format(fault, "invalid", "%d listeners are too many; a service may have %d", count,
                        MW_SERVICE_LISTENERS);
        return NULL;
    }
    struct mw_service *service = calloc(1, sizeof *service + (size_t)count * sizeof *service->listeners);
    if (!service) {
        mw_fault_set(fault, ENOMEM, "prepare", "a service");
        return NULL;
    }
    service->holders = 1;
    service->generation = generation;
    service->blob = -1;
    if (!fill(service, entry, sockets, before, fault)) {
        release(service);
        return NULL;
    }
    return service;
}

/* --- all --- */

static bool add(struct mw_services *services, const struct mw_value *entry, const struct mw_services *old,
                struct mw_sockets *sockets, char text[MW_PLAN_FAULT]) {
    char name[MW_SERVICE_NAME];
    struct mw_fault fault = {.code = NULL};
    mw_value_string(entry, "name", name, sizeof name);
    struct mw_service *service = make(entry, sockets, services->generation, mw_services_find(old, name), &fault);
    if (!service) {
        snprintf(text, MW_PLAN_FAULT, "service '%s': %s", name, fault.message);
        return false;
    }
    services->list[services->count++] = service;
    return true;
}

static bool add_all(struct mw_services *services, const struct mw_plan *plan, const struct mw_services *old,
                    struct mw_sockets *sockets, char fault[MW_PLAN_FAULT]) {
    struct mw_value key, entry;
    for (size_t at = 0; mw_value_next(&plan->services, &at, &key, &entry);) {
        if (!add(services, &entry, old, sockets, fault)) {
            return false;
        }
    }
    return true;
}

static bool add_one(struct mw_services *services, const struct mw_plan *plan, const char *only,
                    const struct mw_services *old, struct mw_sockets *sockets, char fault[MW_PLAN_FAULT]) {
    struct mw_value entry;
    if (!mw_plan_service(plan, only, &entry)) {
        snprintf(fault, MW_PLAN_FAULT, "the config has no service '%s'%s", only,
                 mw_services_find(old, only) ? " any more; reload all to end it" : "");
        return false;
    }
    for (int i = 0; i < old->count; i++) {
        if (strcmp(old->list[i]->name, only) != 0) {
            services->list[services->count++] = old->list[i];
            old->list[i]->holders++;
        }
    }
    return add(services, &entry, old, sockets, fault);
}

/* The listener of `service` that is on a socket of `other`, too, which may be the same. NULL: none. */
static const struct mw_service_listener *find_shared(const struct mw_service *service, const struct mw_service *other) {
    for (int i = 0; i < service->count; i++) {
        for (int j = 0; j < (other == service ? i : other->count); j++) {
            if (service->listeners[i].sockets == other->listeners[j].sockets) {
                return &service->listeners[i];
            }
        }
    }
    return NULL;
}

/* Two services on one socket would take each other's connections. */
static bool are_apart(const struct mw_services *services, char fault[MW_PLAN_FAULT]) {
    for (int i = 0; i < services->count; i++) {
        for (int j = 0; j <= i; j++) {
            const struct mw_service_listener *shared = find_shared(services->list[i], services->list[j]);
            if (shared) {
                snprintf(fault, MW_PLAN_FAULT, "services '%s' and '%s' both listen on %s", services->list[j]->name,
                         services->list[i]->name, shared->listening.text);
                return false;
            }
        }
    }
    return true;
}

struct mw_services *mw_services_new(const struct mw_plan *plan, const char *only, const struct mw_services *old,
                                    struct mw_sockets *sockets, int64_t generation, char fault[MW_PLAN_FAULT]) {
    int room = only ? old->count + 1 : count_entries(&plan->services);
    struct mw_services *services = calloc(1, sizeof *services + (size_t)room * sizeof *services->list);
    if (!services) {
        snprintf(fault, MW_PLAN_FAULT, "not enough memory for the services");
        return NULL;
    }
    services->holders = 1;
    services->generation = generation;
    bool made = only ? add_one(services, plan, only, old, sockets, fault) : add_all(services, plan, old, sockets, fault);
    if (!made || !are_apart(services, fault)) {
        mw_services_release(services);
        mw_services_settle(old);
        return NULL;
    }
    return services;
}

struct mw_services *mw_services_hold(struct mw_services *services) {
    services->holders++;
    return services;
}

void mw_services_release(struct mw_services *services) {
    if (!services || --services->holders > 0) {
        return;
    }
    for (int i = 0; i < services->count; i++) {
        release(services->list[i]);
    }
    free(services);
}

struct mw_service *mw_services_find(const struct mw_services *services, const char *name) {
    for (int i = 0; services && i < services->count; i++) {
        if (strcmp(services->list[i]->name, name) == 0) {
            return services->list[i];
        }
    }
    return NULL;
}

void mw_services_settle(const struct mw_services *services) {
    for (int i = 0; services && i < services->count; i++) {
        const struct mw_service *service = services->list[i];
        for (int j = 0; j < service->count; j++) {
            mw_socket_set_settle(service->listeners[j].sockets, service->name, &service->listeners[j].listening,
                                 service->on);
        }
    }
}
