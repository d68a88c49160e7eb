/* The worker's own metrics, brought up to date now and then while it is busy, and
 * whenever somebody asks: what happens costs nothing for them. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "worker/core_metrics.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_SECONDS 5.0
#define RATE_SECONDS 1.0 /* a shorter look tells chance */

static size_t count_instances(const struct mw_daemon *daemon) {
    size_t count = 0;
    for (const struct mw_list *host = daemon->hosts.next; host != &daemon->hosts; host = host->next) {
        const struct mw_list *instances = &mw_list_owner(host, struct mw_host, node)->instances;
        for (const struct mw_list *node = instances->next; node != instances; node = node->next) {
            count++;
        }
    }
    return count;
}

void mw_host_count(const struct mw_host *host, struct mw_host_counts *counts) {
    counts->received = host->received;
    counts->sent = host->sent;
    counts->handshakes = host->handshakes;
    counts->failed_handshakes = host->failed_handshakes;
    for (int verdict = 0; verdict < MW_ADMISSION_VERDICTS; verdict++) {
        counts->refused[verdict] = host->refused[verdict];
    }
    for (const struct mw_list *node = host->guests.next; node != &host->guests; node = node->next) {
        struct mw_stream_counters of_guest;
        mw_stream_count(mw_list_owner(node, struct mw_guest, node)->transport, &of_guest);
        counts->received += of_guest.received;
        counts->sent += of_guest.sent;
    }
}

double mw_host_rate(struct mw_host *host) {
    double now = mw_loop_now(host->daemon->loop), seconds = now - host->rates.since;
    if (seconds >= RATE_SECONDS) {
        host->rates.connections = (double)(host->accepted - host->rates.accepted) / seconds;
        host->rates.accepted = host->accepted;
        host->rates.since = now;
    }
    return host->rates.connections;
}

/* What belongs to the host is told as of the generation that serves, since it does. */
static void fill(struct mw_service_numbers *numbers, const struct mw_instance *instance) {
    const struct mw_state *state = instance->service.state;
    const struct mw_host *host = instance->host;
    *numbers = (struct mw_service_numbers){
        .name = host->name,
        .generation = (uint64_t)instance->generation,
        .connections = state ? state->sched.connections : 0,
        .tasks = state ? state->sched.tasks : 0,
        .memory = state ? mw_memory_taken(state->memory) : 0,
        .accepted = instance->accepted,
        .errors = state ? state->sched.failures : 0,
    };
    if (host->current == instance) {
        struct mw_host_counts counts;
        mw_host_count(host, &counts);
        numbers->received = counts.received - instance->before.received;
        numbers->sent = counts.sent - instance->before.sent;
        numbers->handshakes = counts.handshakes - instance->before.handshakes;
        numbers->failed_handshakes = counts.failed_handshakes - instance->before.failed_handshakes;
        for (int verdict = 0; verdict < MW_ADMISSION_VERDICTS; verdict++) {
            numbers->refused[verdict] = counts.refused[verdict] - instance->before.refused[verdict];
        }
    }
}

static uint64_t generation_of(const struct mw_daemon *daemon) {
    int64_t newest = 0;
    for (const struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        const struct mw_instance *current = mw_list_owner(node, struct mw_host, node)->current;
        newest = current && current->generation > newest ? current->generation : newest;
    }
    return (uint64_t)newest;
}

/* "lmdb:///path?size=64M" has one, "lmdb:" the folder of the daemon's. */
struct mw_store *mw_daemon_store(const struct mw_daemon *daemon) {
    static const char scheme[] = "lmdb://";
    const struct mw_place *place = daemon->place;
    char path[PATH_MAX];
    if (place->store_folder) {
        return mw_store_opened(daemon->net, place->store_folder);
    }
    if (!place->store || strncmp(place->store, scheme, sizeof scheme - 1) != 0) {
        return NULL;
    }
    const char *rest = place->store + sizeof scheme - 1;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(rest, "?"), rest);
    return mw_store_opened(daemon->net, path);
}

static void measure_store(const struct mw_daemon *daemon, struct mw_worker_numbers *worker) {
    struct mw_store *store = mw_daemon_store(daemon);
    size_t used, most;
    if (store) {
        mw_store_usage(store, &used, &most);
        worker->store_used = used;
        worker->store_most = most;
    }
}

void mw_measure(struct mw_daemon *daemon) {
    size_t room = count_instances(daemon), count = 0;
    struct mw_service_numbers *numbers = calloc(room + 1, sizeof *numbers);
    struct mw_bus_counts bus = mw_bus_counts(daemon->bus);
    struct mw_worker_numbers worker = {
        .generation = generation_of(daemon),
        .turns = daemon->place->pulse->turns,
        .published = bus.published,
        .dropped = bus.dropped,
    };
    measure_store(daemon, &worker);
    mw_timer_clear(&daemon->measuring);
    if (!numbers || !daemon->metrics) {
        free(numbers);
        return;
    }
    for (struct mw_list *host = daemon->hosts.next; host != &daemon->hosts; host = host->next) {
        const struct mw_list *instances = &mw_list_owner(host, struct mw_host, node)->instances;
        mw_host_rate(mw_list_owner(host, struct mw_host, node));
        for (const struct mw_list *node = instances->next; node != instances; node = node->next) {
            fill(&numbers[count++], mw_list_owner(node, struct mw_instance, node));
        }
    }
    mw_core_metrics_update(daemon->metrics, &worker, numbers, count); /* what is missing is there the next time */
    free(numbers);
}

static void on_due(struct mw_timer *timer) {
    mw_measure(mw_list_owner(timer, struct mw_daemon, measuring));
}

void mw_measure_open(struct mw_daemon *daemon) {
    mw_timer_init(&daemon->measuring, on_due);
    daemon->metrics = mw_core_metrics_new(daemon->place->metrics, daemon->place->worker);
    if (!daemon->metrics) {
        mw_log(MW_LOG_WARN, "worker %d: its metrics are missing: not enough memory", daemon->place->worker);
    }
}

void mw_measure_soon(struct mw_daemon *daemon) {
    if (daemon->measuring.due == MW_TIMER_NEVER) {
        mw_timer_set(mw_daemon_timers(daemon), &daemon->measuring, mw_loop_now(daemon->loop) + EVERY_SECONDS);
    }
}

void mw_measure_close(struct mw_daemon *daemon) {
    mw_timer_remove(mw_daemon_timers(daemon), &daemon->measuring);
    mw_core_metrics_free(daemon->metrics);
}
