/* What operators ask of a worker: answers are JSON. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "proto/order.h"
#include "worker/operator.h"
#include "worker/process.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- status --- */

static const char *state_of(const struct mw_instance *instance) {
    switch (instance->phase) {
    case MW_SERVING: return instance->host->draining ? "draining" : "serving";
    case MW_CANARY: return "canary";
    case MW_RETIRED: return "draining";
    default: return "starting";
    }
}

/* What belongs to the host, whichever generation it came in: in the entry of the present one alone, so that sums
 * over the entries are right. */
static void add_host(struct mw_text *text, struct mw_host *host) {
    struct mw_host_counts counts;
    mw_host_count(host, &counts);
    mw_text_format(text, ",\"rate\":%.1f", mw_host_rate(host));
    mw_text_format(text, ",\"received\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"listeners\":[", counts.received, counts.sent);
    for (const struct mw_list *node = host->doors.next; node != &host->doors; node = node->next) {
        const char *address = mw_list_owner(node, struct mw_door, node)->address;
        mw_text_json(text, address, strlen(address));
        mw_text_puts(text, node->next == &host->doors ? "" : ",");
    }
    mw_text_format(text, "],\"refused\":{\"network\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"address\":%" PRIu64
                   ",\"rate\":%" PRIu64 "}", counts.refused[MW_REFUSED_NETWORK], counts.refused[MW_REFUSED_CONNECTIONS],
                   counts.refused[MW_REFUSED_ADDRESS], counts.refused[MW_REFUSED_RATE]);
}

static void add_instance(struct mw_text *text, const struct mw_instance *instance) {
    struct mw_host *host = instance->host;
    const struct mw_state *state = instance->service.state;
    bool is_current = host->current == instance;
    uint64_t errors = state->sched.failures + (is_current ? host->failures : 0);
    mw_text_puts(text, "{\"name\":");
    mw_text_json(text, host->name, strlen(host->name));
    mw_text_format(text, ",\"generation\":%" PRId64 ",\"state\":\"%s\",\"age\":%.3f,\"connections\":%zu,\"accepted\":%" PRIu64
                   ",\"errors\":%" PRIu64 ",\"tasks\":%zu,\"memory\":%zu", instance->generation, state_of(instance),
                   mw_loop_now(host->daemon->loop) - instance->begun, state->sched.connections, instance->accepted, errors,
                   state->sched.tasks, mw_memory_taken(state->memory));
    if (is_current) {
        add_host(text, host);
    }
    mw_text_puts(text, "}");
}

/* Counting keys takes a millisecond for so many of them. */
enum { KEYS_COUNTED = 20000 };

static void add_store(struct mw_text *text, const struct mw_daemon *daemon) {
    struct mw_store *store = mw_daemon_store(daemon);
    size_t used, most;
    if (!store) {
        mw_text_puts(text, "null");
        return;
    }
    mw_store_usage(store, &used, &most);
    size_t keys = mw_store_count(store, KEYS_COUNTED + 1);
    bool is_all = keys <= KEYS_COUNTED;
    mw_text_format(text, "{\"keys\":%zu,\"more\":%s,\"used\":%zu,\"most\":%zu}", is_all ? keys : KEYS_COUNTED,
                   is_all ? "false" : "true", used, most);
}

static void answer_status(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    (void)request;
    const char *comma = "";
    mw_text_format(text, "{\"memory\":%zu,\"cpu\":%.3f,\"store\":", mw_process_memory(), mw_process_cpu());
    add_store(text, daemon);
    mw_text_puts(text, ",\"services\":[");
    for (struct mw_list *host = daemon->hosts.next; host != &daemon->hosts; host = host->next) {
        struct mw_list *instances = &mw_list_owner(host, struct mw_host, node)->instances;
        for (struct mw_list *node = instances->next; node != instances; node = node->next) {
            const struct mw_instance *instance = mw_list_owner(node, struct mw_instance, node);
            if (instance->service.state) {
                mw_text_puts(text, comma);
                add_instance(text, instance);
                comma = ",";
            }
        }
    }
    mw_text_puts(text, "]}");
}

/* --- canary --- */

static void add_rates(struct mw_text *text, const char *key, uint64_t accepted, uint64_t errors) {
    mw_text_format(text, "\"%s\":{\"accepted\":%" PRIu64 ",\"errors\":%" PRIu64 "}", key, accepted, errors);
}

/* How the canary does beside what it is to follow, since each began. */
static void answer_canary(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    (void)request;
    uint64_t counts[2][2] = {{0, 0}, {0, 0}};
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        const struct mw_host *host = mw_list_owner(node, struct mw_host, node);
        const struct mw_instance *both[] = {host->canary ? host->current : NULL, host->canary};
        for (int i = 0; i < 2; i++) {
            counts[i][0] += both[i] ? both[i]->accepted : 0;
            counts[i][1] += both[i] ? both[i]->service.state->sched.failures : 0;
        }
    }
    mw_text_puts(text, "{");
    add_rates(text, "old", counts[0][0], counts[0][1]);
    mw_text_puts(text, ",");
    add_rates(text, "new", counts[1][0], counts[1][1]);
    mw_text_puts(text, "}");
}

/* --- small ones --- */

static void answer_drain(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    char name[MW_SERVICE_NAME];
    bool drain = !mw_value_boolean(request, "undo", false);
    mw_value_string(request, "service", name, sizeof name);
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        struct mw_host *host = mw_list_owner(node, struct mw_host, node);
        if (!*name || strcmp(host->name, name) == 0) {
            mw_host_drain(host, drain);
        }
    }
    mw_text_puts(text, "true");
}

static void answer_log(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    (void)daemon;
    char name[16];
    int level = mw_log_level_named(mw_value_string(request, "level", name, sizeof name));
    if (level >= 0) {
        mw_log_set_level((enum mw_log_level)level);
    }
    mw_text_puts(text, level >= 0 ? "true" : "false");
}

static void answer_metrics(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text) {
    (void)request;
    mw_measure(daemon);
    mw_text_puts(text, "true");
}

/* --- which is which --- */

void mw_request_send(struct mw_daemon *daemon, int64_t id, struct mw_text *answer) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "id", id);
    mw_message_string(&text, "text", 4);
    mw_message_string(&text, answer->bytes, answer->size);
    mw_message_close(&text, table);
    text.failed = text.failed || answer->failed;
    mw_daemon_tell(daemon, MW_ORDER_ANSWER, &text);
    mw_text_free(&text);
    mw_text_free(answer);
}

static const struct {
    const char *command;
    void (*answer)(struct mw_daemon *daemon, const struct mw_value *request, struct mw_text *text);
} requests[] = {
    {"status", answer_status},      {"connections", mw_operator_list}, {"kill", mw_operator_kill}, {"canary", answer_canary},
    {"drain", answer_drain},        {"log", answer_log},               {"metrics", answer_metrics},
};

void mw_request_reopen_log(const struct mw_value *request, const int *descriptors, int count) {
    char to[PATH_MAX];
    mw_value_string(request, "to", to, sizeof to);
    if (count == 1) {
        mw_log_move(descriptors[0]);
    } else if (!mw_log_open_to(to)) {
        mw_log(MW_LOG_ERROR, "log to %s: %s", to, strerror(errno));
    }
}

void mw_request_answer(struct mw_daemon *daemon, const struct mw_value *request) {
    char command[32];
    struct mw_text text = {.bytes = NULL};
    int64_t id = mw_value_integer(request, "id", 0);
    mw_value_string(request, "command", command, sizeof command);
    if (strcmp(command, "eval") == 0) {
        mw_operator_evaluate(daemon, request, id); /* the one whose answer takes time */
        return;
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (strcmp(command, requests[i].command) == 0) {
            requests[i].answer(daemon, request, &text);
        }
    }
    if (text.size == 0) {
        mw_text_puts(&text, "null"); /* of a supervisor that knows more than this worker */
    }
    if (id) {
        mw_request_send(daemon, id, &text);
    }
    mw_text_free(&text);
}
