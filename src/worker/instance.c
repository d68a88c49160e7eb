/* One generation of a service: from the blob of the config to its end. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "script/l_data.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE_SECONDS 1.0 /* that a service may take beyond its drain time, before it is ended amid whatever it does */

static struct mw_instance *instance_of(struct mw_service *service) {
    return mw_list_owner(service, struct mw_instance, service);
}

static void on_ready(struct mw_service *service) {
    struct mw_instance *instance = instance_of(service);
    instance->phase = MW_READY;
    mw_generation_note(instance->host->daemon, instance, NULL);
}

static void on_failed(struct mw_service *service, const char *message) {
    struct mw_instance *instance = instance_of(service);
    mw_generation_note(instance->host->daemon, instance, message);
}

static void end(struct mw_instance *instance) {
    struct mw_daemon *daemon = instance->host->daemon;
    instance->phase = MW_ENDED;
    daemon->sweeps = true;
    mw_loop_wake(daemon->loop);
}

static void on_ended(struct mw_service *service) {
    struct mw_instance *instance = instance_of(service);
    if (instance->phase == MW_BUILDING) {
        mw_generation_note(instance->host->daemon, instance, "it ended before it had started; the log says why");
    } else if (instance->phase != MW_RETIRED && !instance->host->daemon->stopping) {
        mw_log(MW_LOG_ERROR, "service %s: its main task has ended: it serves no more", instance->host->name);
    }
    end(instance);
}

static void on_answer(struct mw_service *service, int64_t id, const char *text, size_t size) {
    struct mw_text answer = {.bytes = NULL};
    mw_text_add(&answer, text, size);
    mw_request_send(instance_of(service)->host->daemon, id, &answer);
}

/* A service that does not end, such as one whose tasks catch their cancellation. */
static void on_limit(struct mw_timer *timer) {
    end(mw_list_owner(timer, struct mw_instance, limit));
}

/* Maps all of a memory file; NULL and errno. */
static void *map_memory(int memory, size_t *size) {
    struct stat status;
    if (fstat(memory, &status) != 0 || status.st_size <= 0) {
        return NULL;
    }
    *size = (size_t)status.st_size;
    void *bytes = mmap(NULL, *size, PROT_READ, MAP_SHARED, memory, 0);
    if (bytes == MAP_FAILED) {
        return NULL;
    }
    return bytes;
}

static bool map_blob(struct mw_instance *instance, int memory, struct mw_fault *fault) {
    instance->blob = map_memory(memory, &instance->blob_size);
    if (!instance->blob) {
        mw_fault_set(fault, errno, "read what the config says of service", instance->host->name);
        return false;
    }
    if (!mw_message_read(&instance->config, instance->blob, instance->blob_size)) {
        mw_fault_format(fault, "invalid", "service %s: what the supervisor says of it cannot be read", instance->host->name);
        return false;
    }
    return true;
}

struct mw_tls_settings *mw_keys_read(const struct mw_host *host, int memory, struct mw_fault *fault) {
    size_t size;
    void *bytes = map_memory(memory, &size);
    if (!bytes) {
        mw_fault_set(fault, errno, "read the certificates of service", host->name);
        return NULL;
    }
    struct mw_tls_settings *settings = mw_tls_settings_read(bytes, size, host->daemon->place->tickets, fault);
    munmap(bytes, size);
    return settings;
}

static bool read_keys(struct mw_instance *instance, int memory, struct mw_fault *fault) {
    if (memory >= 0) {
        instance->tls = instance->service.tls = mw_keys_read(instance->host, memory, fault);
    }
    return memory < 0 || instance->tls;
}

/* Protected: a light userdata of the instance → the table for the main task. */
static int push_options(lua_State *L) {
    const struct mw_instance *instance = lua_touserdata(L, 1);
    mw_data_push(L, instance->blob, instance->blob_size);
    lua_pushinteger(L, instance->generation);
    lua_setfield(L, -2, "generation");
    lua_pushinteger(L, instance->host->daemon->place->worker);
    lua_setfield(L, -2, "worker");
    return 1;
}

/* 0 stands for no limit, as on the command line. */
static double limit_of(const struct mw_value *limits, const char *key) {
    double limit = mw_value_number(limits, key, 0);
    return limit > 0 ? limit : MW_TIMER_NEVER;
}

static void set_limits(struct mw_instance *instance, struct mw_state *state) {
    struct mw_value limits = mw_value_field(&instance->config, "limits");
    double memory = limit_of(&limits, "memory");
    struct mw_state_limits of_state = {
        .cpu = limit_of(&limits, "cpu"),
        .memory = memory < (double)SIZE_MAX ? (size_t)memory : SIZE_MAX,
    };
    mw_state_set_limits(state, &of_state);
    instance->idle = limit_of(&limits, "idle");
    instance->total = limit_of(&limits, "total");
}

static bool start(struct mw_instance *instance, struct mw_fault *fault) {
    struct mw_daemon *daemon = instance->host->daemon;
    struct mw_state_options options = {
        .library = daemon->library,
        .sandboxed = mw_value_boolean(&instance->config, "sandbox", false),
    };
    struct mw_state *state = mw_state_new(daemon->loop, daemon->net, &options);
    if (!state) {
        mw_fault_format(fault, "memory", "service %s: not enough memory for its Lua state", instance->host->name);
        return false;
    }
    state->sched.name = instance->host->name;
    state->sched.metrics = daemon->place->metrics;
    state->sched.bus = daemon->bus;
    state->sched.store = daemon->place->store;
    state->sched.store_folder = daemon->place->store_folder;
    state->sched.tickets = daemon->place->tickets;
    state->sched.tallies = daemon->place->tallies;
    state->sched.tallied = daemon->place->worker;
    set_limits(instance, state);
    mw_guard_add(daemon->guard, &state->sched);
    lua_State *L = state->sched.L;
    lua_pushcfunction(L, push_options);
    lua_pushlightuserdata(L, instance);
    bool pushed = lua_pcall(L, 1, 1, 0) == LUA_OK;
    if (!pushed || !mw_service_start(&instance->service, state)) {
        mw_fault_format(fault, "memory", "service %s: not enough memory to start", instance->host->name);
        if (!pushed) {
            mw_state_free(state);
        }
        return false;
    }
    return true;
}

struct mw_instance *mw_instance_new(struct mw_host *host, int64_t generation, int memory, int keys,
                                    struct mw_fault *fault) {
    struct mw_instance *instance = calloc(1, sizeof *instance);
    if (!instance) {
        mw_fault_format(fault, "memory", "service %s: not enough memory", host->name);
        return NULL;
    }
    instance->host = host;
    instance->generation = generation;
    instance->begun = mw_loop_now(host->daemon->loop);
    instance->service.on_ready = on_ready;
    instance->service.on_failed = on_failed;
    instance->service.on_ended = on_ended;
    instance->service.on_answer = on_answer;
    mw_list_init(&instance->doors);
    mw_timer_init(&instance->limit, on_limit);
    mw_list_append(&host->instances, &instance->node);
    if (!map_blob(instance, memory, fault) || !read_keys(instance, keys, fault) || !start(instance, fault)) {
        mw_instance_free(instance);
        return NULL;
    }
    return instance;
}

void mw_instance_retire(struct mw_instance *instance, struct mw_instance *successor, double drain) {
    struct mw_sched *sched = &instance->service.state->sched;
    struct mw_daemon *daemon = instance->host->daemon;
    sched->retired = true;
    sched->successor = successor ? &successor->service : NULL;
    if (instance->phase == MW_RETIRED || instance->phase == MW_ENDED) {
        return;
    }
    instance->phase = MW_RETIRED;
    drain = mw_value_number(&instance->config, "drain", drain);
    mw_service_stop(&instance->service, drain);
    double due = mw_loop_now(daemon->loop) + drain + GRACE_SECONDS;
    if (!mw_timer_set(mw_daemon_timers(daemon), &instance->limit, due)) {
        on_limit(&instance->limit);
    }
}

static void forget_in(struct mw_host *host, const struct mw_instance *instance) {
    host->current = host->current == instance ? NULL : host->current;
    host->canary = host->canary == instance ? NULL : host->canary;
    host->building = host->building == instance ? NULL : host->building;
    for (struct mw_list *node = host->instances.next; node != &host->instances; node = node->next) {
        struct mw_state *state = mw_list_owner(node, struct mw_instance, node)->service.state;
        if (state && state->sched.successor == &instance->service) {
            state->sched.successor = NULL;
        }
    }
}

void mw_instance_free(struct mw_instance *instance) {
    struct mw_host *host = instance->host;
    mw_list_remove(&instance->node);
    forget_in(host, instance);
    if (instance->service.state) {
        host->failures += instance->service.state->sched.failures;
    }
    mw_service_free(&instance->service);
    for (struct mw_list *node = instance->doors.next, *next; node != &instance->doors; node = next) {
        struct mw_door *door = mw_list_owner(node, struct mw_door, node);
        next = node->next;
        close(door->fd);
        free(door);
    }
    mw_timer_remove(mw_daemon_timers(host->daemon), &instance->limit);
    mw_tls_settings_release(instance->tls);
    if (instance->blob) {
        munmap(instance->blob, instance->blob_size);
    }
    free(instance);
}
