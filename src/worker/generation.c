/* Generations: built beside those that serve, switched to at once, or dropped. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "proto/order.h"
#include "script/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Connections that move in one turn of the loop: enough of them for a thousand a
 * millisecond or so, few enough that the others do not notice. */
enum { MOVED_AT_ONCE = 200 };

/* How long a worker rests at most between ADOPT and COMMIT, so that what was handed
 * over stays true. The others take milliseconds; one that is stuck must not stop all. */
#define REST_SECONDS 0.25

/* The host behind one, the first behind NULL; NULL behind the last. */
static struct mw_host *next_host(struct mw_daemon *daemon, struct mw_host *host) {
    struct mw_list *node = host ? host->node.next : daemon->hosts.next;
    return node == &daemon->hosts ? NULL : mw_list_owner(node, struct mw_host, node);
}

static struct mw_instance *instance_at(struct mw_list *node) {
    return mw_list_owner(node, struct mw_instance, node);
}

/* --- answers --- */

static void tell(struct mw_daemon *daemon, uint8_t kind, void (*add)(struct mw_text *text, const void *more), const void *more) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", daemon->build.generation);
    if (add) {
        add(&text, more);
    }
    mw_message_close(&text, table);
    mw_daemon_tell(daemon, kind, &text);
    mw_text_free(&text);
}

static void add_fault(struct mw_text *text, const void *more) {
    const struct mw_build *build = more;
    mw_message_put_string(text, "service", build->service);
    mw_message_put_string(text, "message", build->fault);
}

static void set_fault(struct mw_daemon *daemon, const char *service, const char *message) {
    struct mw_build *build = &daemon->build;
    if (!*build->fault) {
        snprintf(build->service, sizeof build->service, "%s", service);
        snprintf(build->fault, sizeof build->fault, "%s", message);
    }
}

static bool is_anything_building(struct mw_daemon *daemon) {
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        if (host->building && host->building->phase == MW_BUILDING) {
            return true;
        }
    }
    return false;
}

/* Says how the building went, once, as soon as it is known. */
static void conclude(struct mw_daemon *daemon) {
    struct mw_build *build = &daemon->build;
    if (build->told || !build->complete) {
        return;
    }
    if (*build->fault) {
        build->told = true;
        tell(daemon, MW_ORDER_FAULT, add_fault, build);
    } else if (!is_anything_building(daemon)) {
        build->told = true;
        tell(daemon, MW_ORDER_READY, NULL, NULL);
    }
}

void mw_generation_note(struct mw_daemon *daemon, struct mw_instance *instance, const char *message) {
    if (message && instance->host->building == instance) {
        set_fault(daemon, instance->host->name, message);
    }
    conclude(daemon);
}

/* --- building --- */

static void begin(struct mw_daemon *daemon, int64_t generation) {
    if (daemon->build.generation != generation) {
        mw_generation_abort(daemon);
        daemon->build = (struct mw_build){.generation = generation};
    }
}

/* The descriptor becomes the instance's, or is closed. */
static bool add_socket(struct mw_instance *instance, const struct mw_value *listener, int fd) {
    char kind[16];
    struct mw_service *service = &instance->service;
    if (strcmp(mw_value_string(listener, "kind", kind, sizeof kind), "datagram") == 0) {
        int *more = realloc(service->datagrams, (service->datagram_count + 1) * sizeof *more);
        if (more) {
            service->datagrams = more;
            more[service->datagram_count++] = fd;
            return true;
        }
    } else {
        struct mw_door *door = calloc(1, sizeof *door);
        if (door) {
            door->host = instance->host;
            door->fd = fd;
            door->tls = mw_value_boolean(listener, "tls", false);
            mw_value_string(listener, "door", door->name, sizeof door->name);
            mw_value_string(listener, "address", door->address, sizeof door->address);
            mw_list_append(&instance->doors, &door->node);
            return true;
        }
    }
    close(fd);
    return false;
}

static bool add_sockets(struct mw_instance *instance, const struct mw_value *order, const int *descriptors, int count) {
    struct mw_value list = mw_value_field(order, "listeners"), index, listener;
    size_t at = 0;
    bool ok = true;
    int i = 0;
    while (i < count && list.type == MW_VALUE_TABLE && mw_value_next(&list, &at, &index, &listener)) {
        ok = add_socket(instance, &listener, descriptors[i++]) && ok;
    }
    while (i < count) {
        close(descriptors[i++]);
    }
    return ok;
}

static void close_all(const int *descriptors, int count) {
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

void mw_generation_add(struct mw_daemon *daemon, const struct mw_value *order, const int *descriptors, int count) {
    char name[MW_SERVICE_NAME];
    struct mw_fault fault = {.code = NULL};
    begin(daemon, mw_value_integer(order, "generation", 0));
    mw_value_string(order, "name", name, sizeof name);
    struct mw_host *host = mw_host_find(daemon, name);
    if (!host) {
        host = mw_host_new(daemon, name);
    }
    int own = mw_value_boolean(order, "tls", false) ? 2 : 1; /* descriptors that are no listeners */
    if (!host || host->building || count < own) {
        set_fault(daemon, name, host ? "it was named twice" : "not enough memory");
        close_all(descriptors, count);
        return;
    }
    int64_t born = mw_value_integer(order, "born", daemon->build.generation);
    int keys = own == 2 ? descriptors[1] : -1;
    struct mw_instance *instance = mw_instance_new(host, born, descriptors[0], keys, &fault);
    close_all(descriptors, own);
    host->building = instance;
    if (!instance) {
        set_fault(daemon, name, fault.message);
        close_all(descriptors + own, count - own);
    } else if (!add_sockets(instance, order, descriptors + own, count - own)) {
        set_fault(daemon, name, "not enough memory");
    }
}

void mw_generation_prepare(struct mw_daemon *daemon, const struct mw_value *order) {
    begin(daemon, mw_value_integer(order, "generation", 0));
    daemon->build.complete = true;
    daemon->build.partial = mw_value_boolean(order, "partial", false);
    conclude(daemon);
}

/* Hosts that have nothing are swept at the end of the turn. */
void mw_generation_abort(struct mw_daemon *daemon) {
    daemon->sweeps = true;
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        if (host->building) {
            mw_instance_free(host->building);
        }
    }
    daemon->build = (struct mw_build){.generation = 0};
    daemon->awaited = false;
}

/* --- what services hand on --- */

static struct mw_instance *candidate(const struct mw_host *host) {
    return host->building ? host->building : host->canary;
}

/* Whether anything was handed over; a fault is noted. */
static bool hand_over(struct mw_daemon *daemon, struct mw_host *host) {
    struct mw_instance *new = candidate(host);
    if (!new || !host->current || host->current->service.handoff == LUA_NOREF || new->service.adopt == LUA_NOREF) {
        return false;
    }
    char message[1024];
    struct mw_text data = {.bytes = NULL};
    if (!mw_service_handoff(&host->current->service, &data, message, sizeof message) ||
        !mw_service_adopt(&new->service, &data, message, sizeof message)) {
        set_fault(daemon, host->name, message);
    }
    mw_text_free(&data);
    return true;
}

static bool is_decided(void *context) {
    const struct mw_daemon *daemon = context;
    return !daemon->awaited;
}

/* Nothing else runs from the handing over to the switch: else what was handed over
 * would not be what the old generation has by then. */
void mw_generation_adopt(struct mw_daemon *daemon, const struct mw_value *order) {
    (void)order;
    bool handed = false;
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        handed = hand_over(daemon, host) || handed;
    }
    if (*daemon->build.fault) {
        tell(daemon, MW_ORDER_FAULT, add_fault, &daemon->build);
        return;
    }
    tell(daemon, MW_ORDER_ADOPTED, NULL, NULL);
    if (handed) {
        daemon->awaited = true;
        mw_channel_converse(daemon->channel, REST_SECONDS, is_decided, daemon);
        daemon->awaited = false;
    }
}

/* --- the switch --- */

/* Every older instance of the host passes its connections to the one that serves now. */
static void retire_others(struct mw_host *host, struct mw_instance *successor, double drain) {
    for (struct mw_list *node = host->instances.next, *next; node != &host->instances; node = next) {
        struct mw_instance *instance = instance_at(node);
        next = node->next;
        if (instance != successor && instance->phase != MW_BUILDING && instance->phase != MW_ENDED) {
            mw_instance_retire(instance, successor, drain);
        }
    }
}

static void switch_to(struct mw_host *host, struct mw_instance *instance, double drain) {
    host->building = host->canary = NULL;
    host->current = instance;
    mw_host_count(host, &instance->before);
    instance->phase = MW_SERVING;
    if (!mw_host_set_rules(host, instance)) {
        mw_log(MW_LOG_ERROR, "service %s: limits and networks are still the old ones: not enough memory", host->name);
    }
    mw_host_set_tls(host, instance);
    if (!mw_host_set_proxies(host, instance)) {
        mw_log(MW_LOG_ERROR, "service %s: it has no proxies: not enough memory", host->name);
    }
    mw_host_set_doors(host, instance);
    mw_service_serve(&instance->service);
    retire_others(host, instance, drain);
}

/* --- certificates --- */

void mw_generation_renew(struct mw_daemon *daemon, const struct mw_value *order, const int *descriptors, int count) {
    char name[MW_SERVICE_NAME];
    struct mw_fault fault = {.code = NULL};
    struct mw_host *host = mw_host_find(daemon, mw_value_string(order, "name", name, sizeof name));
    bool used = host && count == 1 && mw_host_renew(host, descriptors[0], &fault);
    close_all(descriptors, count);
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_string(&text, "name", name);
    mw_message_put_integer(&text, "number", mw_value_integer(order, "number", 0));
    if (!used) {
        mw_message_put_string(&text, "fault", fault.code ? fault.message : "no such service");
    }
    mw_message_close(&text, table);
    mw_daemon_tell(daemon, MW_ORDER_RENEWED, &text);
    mw_text_free(&text);
}

/* --- the switch, in part --- */

static void begin_canary(struct mw_host *host, double share) {
    host->canary = host->building;
    host->building = NULL;
    host->canary->phase = MW_CANARY;
    host->share = share;
}

static void end_host(struct mw_host *host, double drain) {
    host->current = NULL;
    mw_host_close_doors(host);
    mw_guests_turn_away(host);
    retire_others(host, NULL, drain);
}

/* What has come to those who serve is counted from here: most of it moves at once, some of it at its next wait. */
static void forget_moved(struct mw_daemon *daemon) {
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        if (host->current) {
            host->current->service.state->sched.came = 0;
        }
    }
}

static size_t count_moved(struct mw_daemon *daemon) {
    size_t moved = 0;
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        moved += host->current ? host->current->service.state->sched.came : 0;
    }
    return moved;
}

static void begin_moving(struct mw_daemon *daemon) {
    daemon->moving.generation = daemon->build.generation;
    mw_generation_go_on(daemon);
}

void mw_generation_commit(struct mw_daemon *daemon, const struct mw_value *order) {
    double share = mw_value_number(order, "share", 1), drain = mw_value_number(order, "drain", 30);
    daemon->awaited = false;
    mw_measure(daemon); /* what was counted until now is of those who served until now */
    forget_moved(daemon);
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        struct mw_instance *instance = candidate(host);
        if (instance && share < 1 && host->current) {
            begin_canary(host, share);
        } else if (instance) {
            switch_to(host, instance, drain);
        } else if (!daemon->build.partial && share >= 1) {
            end_host(host, drain);
        }
    }
    begin_moving(daemon);
}

void mw_generation_roll_back(struct mw_daemon *daemon, const struct mw_value *order) {
    double drain = mw_value_number(order, "drain", 30);
    forget_moved(daemon);
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        if (host->canary) {
            host->canary = NULL;
            retire_others(host, host->current, drain);
        }
    }
    begin_moving(daemon);
}

/* --- moving --- */

static void add_counts(struct mw_text *text, const void *more) {
    const size_t *counts = more;
    mw_message_put_integer(text, "moved", (int64_t)counts[0]);
    mw_message_put_integer(text, "kept", (int64_t)counts[1]);
    mw_message_put_integer(text, "ended", (int64_t)counts[2]);
}

/* Connections that serve on in old code, and those that end because nobody follows. */
static void count_left(struct mw_daemon *daemon, size_t *kept, size_t *ended) {
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        for (struct mw_list *node = host->instances.next; node != &host->instances; node = node->next) {
            const struct mw_instance *instance = instance_at(node);
            if (instance->phase == MW_RETIRED) {
                *(instance->service.state->sched.successor ? kept : ended) += instance->service.state->sched.connections;
            }
        }
    }
}

static size_t move_some(struct mw_daemon *daemon, size_t most) {
    size_t moved = 0;
    for (struct mw_host *host = next_host(daemon, NULL); host; host = next_host(daemon, host)) {
        for (struct mw_list *node = host->instances.next; node != &host->instances && moved < most; node = node->next) {
            struct mw_instance *instance = instance_at(node);
            if (instance->phase == MW_RETIRED) {
                moved += mw_move_some(&instance->service.state->sched, most - moved);
            }
        }
    }
    return moved;
}

void mw_generation_go_on(struct mw_daemon *daemon) {
    if (move_some(daemon, MOVED_AT_ONCE) == MOVED_AT_ONCE) {
        mw_loop_wake(daemon->loop);
        return;
    }
    size_t counts[3] = {count_moved(daemon), 0, 0};
    count_left(daemon, &counts[1], &counts[2]);
    tell(daemon, MW_ORDER_SWITCHED, add_counts, counts);
    daemon->moving.generation = 0;
    mw_loop_wake(daemon->loop);
}
