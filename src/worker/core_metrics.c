#include "worker/core_metrics.h"

#include "worker/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { REASONS = MW_REFUSED_RATE + 1 };

static const char *const reasons[REASONS] = {
    [MW_REFUSED_NETWORK] = "network",
    [MW_REFUSED_CONNECTIONS] = "connections",
    [MW_REFUSED_ADDRESS] = "address",
    [MW_REFUSED_RATE] = "rate",
};

/* What a generation of a service had counted the last time: counters take the difference. */
struct seen {
    char *name;
    struct mw_service_numbers numbers;
    bool present;
};

struct mw_core_metrics {
    struct mw_metrics *metrics;
    char worker[MW_METRIC_LABELS]; /* label */
    double cpu;                    /* seconds, the last time */
    struct mw_worker_numbers before; /* the last time */
    struct seen *seen;
    size_t count, room;
};

struct mw_core_metrics *mw_core_metrics_new(struct mw_metrics *metrics, int worker) {
    struct mw_core_metrics *core = calloc(1, sizeof *core);
    if (core) {
        core->metrics = metrics;
        snprintf(core->worker, sizeof core->worker, "worker=\"%d\"", worker);
    }
    return core;
}

void mw_core_metrics_free(struct mw_core_metrics *core) {
    for (size_t i = 0; core && i < core->count; i++) {
        free(core->seen[i].name);
    }
    if (core) {
        free(core->seen);
        free(core);
    }
}

static void add(struct mw_metrics *metrics, const char *name, const char *help, const char *labels, double amount) {
    mw_metric_add(mw_metric(metrics, MW_COUNTER, name, help, labels, NULL, 0), amount);
}

/* What was counted since. A count that is lower than before began anew. */
static double since(uint64_t now, uint64_t before) {
    return (double)(now >= before ? now - before : now);
}

static struct mw_metric *gauge(struct mw_metrics *metrics, const char *name, const char *help, const char *labels) {
    return mw_metric(metrics, MW_GAUGE, name, help, labels, NULL, 0);
}

static double open_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* `.`, `..` and the folder itself */
    while (folder && readdir(folder)) {
        count++;
    }
    if (folder) {
        closedir(folder);
    }
    return folder ? count : 0;
}

static void update_store(struct mw_core_metrics *core, const struct mw_worker_numbers *worker) {
    if (worker->store_most > 0) {
        struct mw_metrics *metrics = core->metrics;
        mw_metric_set(gauge(metrics, "moonwire_store_used_bytes", "What a worker sees the store hold.", core->worker),
                      (double)worker->store_used);
        mw_metric_set(gauge(metrics, "moonwire_store_limit_bytes", "What the store may hold.", core->worker),
                      (double)worker->store_most);
    }
}

static void update_worker(struct mw_core_metrics *core, const struct mw_worker_numbers *worker) {
    struct mw_metrics *metrics = core->metrics;
    double cpu = mw_process_cpu();
    mw_metric_set(gauge(metrics, "moonwire_resident_memory_bytes", "Memory of a worker that is in use.", core->worker),
                  (double)mw_process_memory());
    mw_metric_set(gauge(metrics, "moonwire_open_descriptors", "Descriptors that a worker has open.", core->worker),
                  open_descriptors());
    mw_metric_set(gauge(metrics, "moonwire_generation", "The generation that new connections meet.", core->worker),
                  (double)worker->generation);
    add(metrics, "moonwire_cpu_seconds_total", "Processor time of a worker.", core->worker, cpu - core->cpu);
    add(metrics, "moonwire_loop_turns_total", "Turns of a worker's event loop.", core->worker,
        since(worker->turns, core->before.turns));
    add(metrics, "moonwire_bus_published_total", "Messages that a worker has published on the bus.", core->worker,
        since(worker->published, core->before.published));
    add(metrics, "moonwire_bus_dropped_total", "Messages of the bus that were dropped for want of room.", core->worker,
        since(worker->dropped, core->before.dropped));
    update_store(core, worker);
    core->cpu = cpu;
    core->before = *worker;
}

static void add_refused(struct mw_core_metrics *core, const char *service, const struct mw_service_numbers *now,
                        const struct mw_service_numbers *before) {
    for (int reason = 0; reason < REASONS; reason++) {
        char labels[MW_METRIC_LABELS];
        memcpy(labels, service, sizeof labels);
        if (reasons[reason] && mw_metric_label(labels, "reason", reasons[reason], strlen(reasons[reason]))) {
            add(core->metrics, "moonwire_connections_refused_total", "Connections that a limit or network turned away.",
                labels, since(now->refused[reason], before->refused[reason]));
        }
    }
}

/* A service without TLS has no such series. */
static void add_handshakes(struct mw_core_metrics *core, const char *service, const char *result, double count) {
    char labels[MW_METRIC_LABELS];
    memcpy(labels, service, sizeof labels);
    if (count > 0 && mw_metric_label(labels, "result", result, strlen(result))) {
        add(core->metrics, "moonwire_handshakes_total", "Handshakes of TLS.", labels, count);
    }
}

/* The series of a service are the sum of its generations. Gauges begin at 0, see forget_gauges. */
static void update_service(struct mw_core_metrics *core, const char *labels, const struct mw_service_numbers *now,
                           const struct mw_service_numbers *before) {
    struct mw_metrics *metrics = core->metrics;
    mw_metric_add(gauge(metrics, "moonwire_connections", "Connections that are open.", labels), (double)now->connections);
    mw_metric_add(gauge(metrics, "moonwire_tasks", "Tasks that run or wait.", labels), (double)now->tasks);
    mw_metric_add(gauge(metrics, "moonwire_lua_memory_bytes", "Memory that scripts use.", labels), (double)now->memory);
    add(metrics, "moonwire_connections_accepted_total", "Connections that were accepted.", labels,
        since(now->accepted, before->accepted));
    add(metrics, "moonwire_errors_total", "Tasks that died of an error.", labels, since(now->errors, before->errors));
    add(metrics, "moonwire_received_bytes_total", "Bytes that were received.", labels,
        since(now->received, before->received));
    add(metrics, "moonwire_sent_bytes_total", "Bytes that were sent.", labels, since(now->sent, before->sent));
    add_refused(core, labels, now, before);
    add_handshakes(core, labels, "completed", since(now->handshakes, before->handshakes));
    add_handshakes(core, labels, "failed", since(now->failed_handshakes, before->failed_handshakes));
}

static void forget_gauges(struct mw_core_metrics *core, const char *labels) {
    static const char *const names[] = {"moonwire_connections", "moonwire_tasks", "moonwire_lua_memory_bytes"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mw_metric_set(mw_metric_find(core->metrics, names[i], labels), 0);
    }
}

/* A name that finds no room among the labels has no metrics. */
static bool label_of(char labels[MW_METRIC_LABELS], const char *name) {
    *labels = '\0';
    return mw_metric_label(labels, "service", name, strlen(name));
}

static struct seen *find_seen(struct mw_core_metrics *core, const struct mw_service_numbers *service) {
    for (size_t i = 0; i < core->count; i++) {
        if (core->seen[i].numbers.generation == service->generation && !strcmp(core->seen[i].name, service->name)) {
            return &core->seen[i];
        }
    }
    return NULL;
}

static struct seen *add_seen(struct mw_core_metrics *core, const struct mw_service_numbers *service) {
    if (core->count == core->room) {
        size_t room = core->room ? 2 * core->room : 8;
        struct seen *more = realloc(core->seen, room * sizeof *more);
        if (!more) {
            return NULL;
        }
        core->seen = more;
        core->room = room;
    }
    char *name = strdup(service->name);
    if (!name) {
        return NULL;
    }
    core->seen[core->count] = (struct seen){.name = name, .numbers.generation = service->generation};
    return &core->seen[core->count++];
}

static void drop_absent(struct mw_core_metrics *core) {
    size_t kept = 0;
    for (size_t i = 0; i < core->count; i++) {
        if (core->seen[i].present) {
            core->seen[kept] = core->seen[i];
            core->seen[kept++].present = false;
        } else {
            free(core->seen[i].name);
        }
    }
    core->count = kept;
}

static bool update_one(struct mw_core_metrics *core, const struct mw_service_numbers *service) {
    char labels[MW_METRIC_LABELS];
    struct seen *seen = find_seen(core, service);
    seen = seen ? seen : add_seen(core, service);
    if (!seen) {
        return false;
    }
    if (label_of(labels, service->name)) {
        update_service(core, labels, service, &seen->numbers);
    }
    seen->numbers = *service;
    seen->numbers.name = seen->name;
    seen->present = true;
    return true;
}

bool mw_core_metrics_update(struct mw_core_metrics *core, const struct mw_worker_numbers *worker,
                            const struct mw_service_numbers *services, size_t count) {
    char labels[MW_METRIC_LABELS];
    bool complete = true;
    update_worker(core, worker);
    for (size_t i = 0; i < core->count; i++) {
        if (label_of(labels, core->seen[i].name)) {
            forget_gauges(core, labels);
        }
    }
    for (size_t i = 0; i < count; i++) {
        complete = update_one(core, &services[i]) && complete;
    }
    drop_absent(core);
    return complete;
}
