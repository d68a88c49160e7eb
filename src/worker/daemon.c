/* The life of a worker, as a list of steps: each needs those before it. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "base/metric.h"
#include "loop/child.h"
#include "loop/signal.h"
#include "proto/order.h"
#include "script/paths.h"
#include "worker/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_SECONDS 1.5 /* what output may take to leave once all services have ended */

enum { BUS_PENDING_MOST = 8 * 1024 * 1024 /* bytes that may wait for the supervisor before messages are dropped */ };

void mw_daemon_tell(struct mw_daemon *daemon, uint8_t kind, const struct mw_text *message) {
    if (message->failed || mw_channel_send(daemon->channel, kind, message->bytes, message->size, NULL, 0) != 0) {
        mw_log(MW_LOG_ERROR, "worker %d: cannot answer the supervisor: not enough memory", daemon->place->worker);
    }
}

/* --- the bus, to other workers and from them --- */

static bool send_message(void *context, const char *bytes, size_t size) {
    const struct mw_daemon *daemon = context;
    return mw_channel_pending(daemon->channel) <= BUS_PENDING_MOST &&
           mw_channel_send(daemon->channel, MW_ORDER_PUBLISH, bytes, size, NULL, 0) == 0;
}

static void receive_message(struct mw_daemon *daemon, const char *bytes, size_t size) {
    if (!mw_bus_receive(daemon->bus, bytes, size)) {
        mw_log(MW_LOG_ERROR, "worker %d: a message of the bus that cannot be read", daemon->place->worker);
    }
}

/* --- the end --- */

static void on_drained(void *context) {
    struct mw_daemon *daemon = context;
    mw_loop_stop(daemon->loop);
}

static void on_streams_drained(void *context) {
    struct mw_daemon *daemon = context;
    mw_children_drain(mw_loop_children(daemon->loop), on_drained, daemon);
}

static void on_last(struct mw_timer *timer) {
    struct mw_daemon *daemon = mw_list_owner(timer, struct mw_daemon, last);
    mw_loop_stop(daemon->loop);
}

static void let_output_leave(struct mw_daemon *daemon) {
    daemon->drains = true;
    double due = mw_loop_now(daemon->loop) + LINGER_SECONDS;
    if (!mw_timer_set(mw_daemon_timers(daemon), &daemon->last, due)) {
        mw_loop_stop(daemon->loop);
        return;
    }
    mw_net_drain(daemon->net, on_streams_drained, daemon);
}

static void stop_host(struct mw_host *host, double drain) {
    mw_host_close_doors(host);
    mw_guests_turn_away(host);
    for (struct mw_list *node = host->instances.next, *next; node != &host->instances; node = next) {
        struct mw_instance *instance = mw_list_owner(node, struct mw_instance, node);
        next = node->next;
        if (instance->phase != MW_BUILDING) {
            mw_instance_retire(instance, NULL, drain);
        }
    }
}

static void stop(struct mw_daemon *daemon, double drain) {
    daemon->stopping = true;
    if (drain <= 0) {
        mw_loop_stop(daemon->loop);
        return;
    }
    mw_generation_abort(daemon);
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        stop_host(mw_list_owner(node, struct mw_host, node), drain);
    }
    mw_loop_wake(daemon->loop);
}

/* --- at the end of each turn in which something happened --- */

/* Of hosts, too: one that has nothing left. */
static void sweep_host(struct mw_host *host) {
    for (struct mw_list *node = host->instances.next, *next; node != &host->instances; node = next) {
        struct mw_instance *instance = mw_list_owner(node, struct mw_instance, node);
        next = node->next;
        if (instance->phase == MW_ENDED && instance != host->building) {
            mw_instance_free(instance);
        }
    }
    if (mw_list_empty(&host->instances) && mw_list_empty(&host->guests)) {
        mw_host_free(host);
    }
}

static void sweep(struct mw_daemon *daemon) {
    daemon->sweeps = false;
    mw_measure(daemon); /* what instances have counted since would go with them */
    for (struct mw_list *node = daemon->hosts.next, *next; node != &daemon->hosts; node = next) {
        next = node->next;
        sweep_host(mw_list_owner(node, struct mw_host, node));
    }
}

static bool has_instances(const struct mw_daemon *daemon) {
    for (const struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        if (!mw_list_empty(&mw_list_owner(node, struct mw_host, node)->instances)) {
            return true;
        }
    }
    return false;
}

static void on_turn(void *context) {
    struct mw_daemon *daemon = context;
    mw_measure_soon(daemon);
    if (daemon->sweeps) {
        sweep(daemon);
    }
    if (daemon->moving.generation) {
        mw_generation_go_on(daemon);
    }
    if (daemon->stopping && !daemon->drains && !has_instances(daemon)) {
        let_output_leave(daemon);
    }
}

/* --- the supervisor's word --- */

static void answer(struct mw_daemon *daemon, const struct mw_value *request, const int *descriptors, int count) {
    char command[32];
    if (strcmp(mw_value_string(request, "command", command, sizeof command), "reopen_log") == 0) {
        mw_request_reopen_log(request, descriptors, count);
    } else {
        mw_request_answer(daemon, request);
    }
}

static void obey(struct mw_daemon *daemon, enum mw_order kind, const struct mw_value *order, const int *descriptors,
                 int count) {
    switch (kind) {
    case MW_ORDER_SERVICE: mw_generation_add(daemon, order, descriptors, count); break;
    case MW_ORDER_PREPARE: mw_generation_prepare(daemon, order); break;
    case MW_ORDER_ADOPT: mw_generation_adopt(daemon, order); break;
    case MW_ORDER_COMMIT: mw_generation_commit(daemon, order); break;
    case MW_ORDER_ABORT: mw_generation_abort(daemon); break;
    case MW_ORDER_ROLLBACK: mw_generation_roll_back(daemon, order); break;
    case MW_ORDER_RENEW: mw_generation_renew(daemon, order, descriptors, count); break;
    case MW_ORDER_STOP: stop(daemon, mw_value_number(order, "drain", 0)); break;
    case MW_ORDER_REQUEST: answer(daemon, order, descriptors, count); break;
    default: mw_log(MW_LOG_ERROR, "worker %d: unknown order %d", daemon->place->worker, (int)kind);
    }
}

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct mw_daemon *daemon = owner;
    struct mw_value order;
    mw_loop_update(daemon->loop);
    if (kind == MW_ORDER_PUBLISH) {
        receive_message(daemon, bytes, size);
        return;
    }
    if (!mw_message_read(&order, bytes, size)) {
        mw_log(MW_LOG_ERROR, "worker %d: an order that cannot be read", daemon->place->worker);
        return;
    }
    obey(daemon, (enum mw_order)kind, &order, descriptors, count);
    mw_loop_wake(daemon->loop);
}

/* Without a supervisor nobody would end this process. */
static void on_end(void *owner) {
    struct mw_daemon *daemon = owner;
    mw_log(MW_LOG_ERROR, "worker %d: the supervisor is gone", daemon->place->worker);
    mw_loop_stop(daemon->loop);
}

/* --- boot --- */

/* Those that a terminal or a service manager sends to all processes are for the supervisor to hear. */
static void set_signals(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGQUIT};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        signal(ignored[i], SIG_IGN);
    }
}

static bool open_daemon(struct mw_daemon *daemon) {
    static const struct mw_channel_events events = {.on_message = on_message, .on_end = on_end};
    if (!mw_find_library(daemon->library, sizeof daemon->library)) {
        mw_log(MW_LOG_ERROR, "Moonwire's Lua library is in none of these: %s", daemon->library);
        return false;
    }
    daemon->loop = mw_loop_new();
    daemon->net = daemon->loop ? mw_net_new(daemon->loop) : NULL;
    daemon->guard = daemon->net ? mw_guard_new(daemon->loop) : NULL;
    daemon->bus = daemon->guard ? mw_bus_new() : NULL;
    daemon->channel = daemon->bus ? mw_channel_new(daemon->loop, daemon->place->channel, &events, daemon) : NULL;
    if (!daemon->channel) {
        mw_log(MW_LOG_ERROR, "worker %d: cannot start: not enough memory, no epoll, or no timers", daemon->place->worker);
        return false;
    }
    if (daemon->place->workers > 1) {
        mw_bus_set_outlet(daemon->bus, send_message, daemon);
    }
    mw_loop_set_pulse(daemon->loop, daemon->place->pulse);
    mw_loop_children(daemon->loop)->descriptors = daemon->descriptors;
    daemon->work = (struct mw_work){.run = on_turn, .context = daemon};
    mw_loop_add_work(daemon->loop, &daemon->work);
    mw_measure_open(daemon);
    daemon->begun = mw_loop_now(daemon->loop);
    return true;
}

static void end_instances(struct mw_daemon *daemon) {
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        struct mw_host *host = mw_list_owner(node, struct mw_host, node);
        mw_host_close_doors(host);
        mw_guests_turn_away(host);
        while (!mw_list_empty(&host->instances)) {
            mw_instance_free(mw_list_owner(host->instances.next, struct mw_instance, node));
        }
    }
}

/* Guests whose output still leaves know their host to the end, which comes with the net. */
static void close_daemon(struct mw_daemon *daemon) {
    if (daemon->channel) {
        mw_bus_set_outlet(daemon->bus, NULL, NULL);
        mw_channel_close(daemon->channel);
    }
    if (daemon->loop) {
        mw_measure(daemon);
    }
    end_instances(daemon);
    mw_guard_free(daemon->guard);
    mw_bus_free(daemon->bus);
    if (daemon->net) {
        mw_net_free(daemon->net);
    }
    while (!mw_list_empty(&daemon->hosts)) {
        mw_host_free(mw_list_owner(daemon->hosts.next, struct mw_host, node));
    }
    if (daemon->loop) {
        mw_measure_close(daemon);
        mw_timer_remove(mw_daemon_timers(daemon), &daemon->last);
        mw_loop_remove_work(&daemon->work);
        mw_loop_free(daemon->loop);
    }
}

int mw_daemon_main(const struct mw_place *place) {
    struct mw_daemon daemon = {.place = place};
    int status = 1;
    mw_list_init(&daemon.hosts);
    mw_timer_init(&daemon.last, on_last);
    mw_timer_init(&daemon.measuring, NULL);
    set_signals();
    daemon.descriptors = mw_process_prepare();
    mw_metrics_attach(place->metrics, place->worker);
    if (open_daemon(&daemon)) {
        mw_loop_run(daemon.loop);
        status = daemon.stopping ? 0 : 1;
    }
    close_daemon(&daemon);
    return status;
}
