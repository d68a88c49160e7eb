#include "proc/operator.h"

#include "base/metric.h"
#include "net/network.h"
#include "proc/supervisor_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void command(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields);

static void answer(struct mw_supervisor *supervisor, uint64_t request, struct mw_text *text) {
    if (text->failed) {
        mw_control_refuse(supervisor->control, request, "memory", "not enough memory for the answer");
    } else {
        mw_control_answer(supervisor->control, request, text->bytes, text->size);
    }
    mw_text_free(text);
}

static void answer_ok(struct mw_supervisor *supervisor, uint64_t request) {
    struct mw_text text = {.bytes = NULL};
    mw_text_puts(&text, "{\"ok\":true}");
    answer(supervisor, request, &text);
}

static void put_string(struct mw_text *text, const char *key, const char *value) {
    mw_text_format(text, ",\"%s\":", key);
    mw_text_json(text, value, strlen(value));
}

/* --- questions to the workers --- */

static void put_report(struct mw_text *text, const struct mw_question *question, int worker) {
    size_t size;
    const char *report = mw_question_answer(question, worker, &size);
    mw_text_puts(text, ",\"report\":");
    mw_text_add(text, report ? report : "null", report ? size : 4);
}

static void ask(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields,
                void (*on_done)(void *owner, uint64_t context, struct mw_question *question)) {
    int64_t only = mw_value_integer(fields, "worker", 0);
    if (only < 0 || only > supervisor->workers->count) {
        mw_control_refuse(supervisor->control, request, "not_found", "there is no worker %lld, only 1 to %d",
                          (long long)only, supervisor->workers->count);
    } else if (!mw_asking_start(supervisor->asking, NULL, fields, (int)only, on_done, supervisor, request)) {
        mw_control_refuse(supervisor->control, request, "memory", "not enough memory to ask the workers");
    }
}

/* { "ok": true, "workers": [ { "worker": 1, "report": … }, … ] } */
static void on_reports(void *owner, uint64_t request, struct mw_question *question) {
    struct mw_supervisor *supervisor = owner;
    struct mw_text text = {.bytes = NULL};
    const char *comma = "";
    mw_text_puts(&text, "{\"ok\":true,\"workers\":[");
    for (int worker = 1; worker <= supervisor->workers->count; worker++) {
        if (mw_question_asked(question, worker)) {
            mw_text_format(&text, "%s{\"worker\":%d", comma, worker);
            put_report(&text, question, worker);
            mw_text_puts(&text, "}");
            comma = ",";
        }
    }
    mw_text_puts(&text, "]}");
    answer(supervisor, request, &text);
}

static void forward(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    ask(supervisor, request, fields, on_reports);
}

static const char *state_name(const struct mw_supervisor *supervisor) {
    if (supervisor->state == MW_SUPERVISOR_STOPPING) {
        return "stopping";
    }
    return mw_generations_busy(supervisor->generations) ? "reloading" : "running";
}

static void put_worker(struct mw_text *text, const struct mw_worker *worker, double now,
                       const struct mw_question *question) {
    const char *state = worker->state == MW_WORKER_SERVING ? "running"
                        : worker->exhausted                ? "failed"
                        : worker->workers->stopping        ? "ended"
                                                           : "starting";
    mw_text_format(text, "{\"worker\":%d,\"state\":\"%s\",\"restarts\":%u", worker->number, state, worker->restarts);
    if (worker->process) {
        mw_text_format(text, ",\"pid\":%d,\"uptime\":%.3f", (int)mw_offspring_id(worker->process), now - worker->since);
    } else {
        mw_text_puts(text, ",\"pid\":null,\"uptime\":null");
    }
    if (worker->last_end[0]) {
        put_string(text, "last_exit", worker->last_end);
    } else {
        mw_text_puts(text, ",\"last_exit\":null");
    }
    put_report(text, question, worker->number);
    mw_text_puts(text, "}");
}

static void put_store(struct mw_text *text, const struct mw_store_folder *store) {
    char where[PATH_MAX];
    if (!store) {
        mw_text_puts(text, ",\"store\":null");
        return;
    }
    mw_store_folder_where(store, where, sizeof where);
    const char *backend = mw_store_folder_is_here(store) ? "lmdb" : "redis";
    const char *kept = mw_store_folder_is_kept(store) ? "true" : "false";
    mw_text_format(text, ",\"store\":{\"backend\":\"%s\",\"kept\":%s", backend, kept);
    put_string(text, "place", where);
    mw_text_puts(text, "}");
}

static void put_daemon(struct mw_text *text, const struct mw_supervisor *supervisor, double now) {
    mw_text_format(text, "{\"ok\":true,\"pid\":%d,\"uptime\":%.3f,\"generation\":%lld", (int)getpid(),
                   now - supervisor->began, (long long)supervisor->generation);
    put_string(text, "version", supervisor->options->version);
    put_string(text, "config", supervisor->options->config);
    put_string(text, "state", state_name(supervisor));
    mw_text_format(text, ",\"reloads\":{\"done\":%u,\"failed\":%u", supervisor->reloads.done,
                   supervisor->reloads.failed);
    if (supervisor->reloads.last_error[0]) {
        put_string(text, "last_error", supervisor->reloads.last_error);
    } else {
        mw_text_puts(text, ",\"last_error\":null");
    }
    mw_text_puts(text, "}");
    put_store(text, supervisor->store);
    mw_text_puts(text, ",\"workers\":[");
}

static void on_status(void *owner, uint64_t request, struct mw_question *question) {
    struct mw_supervisor *supervisor = owner;
    struct mw_text text = {.bytes = NULL};
    double now = mw_loop_update(supervisor->loop);
    put_daemon(&text, supervisor, now);
    for (int i = 0; i < supervisor->workers->count; i++) {
        mw_text_puts(&text, i ? "," : "");
        put_worker(&text, &supervisor->workers->list[i], now, question);
    }
    mw_text_puts(&text, "]}");
    answer(supervisor, request, &text);
}

static void report_status(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    ask(supervisor, request, fields, on_status);
}

/* The sum of { "killed": N } of all. */
static void on_killed(void *owner, uint64_t request, struct mw_question *question) {
    static const char key[] = "\"killed\":";
    struct mw_supervisor *supervisor = owner;
    struct mw_text text = {.bytes = NULL};
    long long killed = 0;
    for (int worker = 1; worker <= supervisor->workers->count; worker++) {
        size_t size;
        const char *report = mw_question_answer(question, worker, &size);
        const char *count = report ? strstr(report, key) : NULL;
        killed += count ? strtoll(count + sizeof key - 1, NULL, 10) : 0;
    }
    mw_text_format(&text, "{\"ok\":true,\"killed\":%lld}", killed);
    answer(supervisor, request, &text);
}

static bool has(const struct mw_value *fields, const char *key) {
    return mw_value_field(fields, key).type != MW_VALUE_NIL;
}

/* Whether a peer that is named is an address or a network; else the request is refused. */
static bool knows_peer(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    struct mw_value peer = mw_value_field(fields, "peer");
    struct mw_network network;
    struct mw_address address;
    const char *why, *why_no_address;
    if (peer.type == MW_VALUE_NIL ||
        (peer.type == MW_VALUE_STRING && (mw_network_parse(&network, peer.bytes, peer.size, &why) ||
                                          mw_address_parse(&address, peer.bytes, peer.size, &why_no_address)))) {
        return true;
    }
    mw_control_refuse(supervisor->control, request, "invalid",
                      "'peer' must be an address, with or without a port, or a network: 10.0.0.7, 10.0.0.7:4000, 10.0.0.0/8");
    return false;
}

static void list_connections(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    if (knows_peer(supervisor, request, fields)) {
        forward(supervisor, request, fields);
    }
}

static void kill_connections(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    if (!has(fields, "id") && !has(fields, "service") && !has(fields, "peer")) {
        mw_control_refuse(supervisor->control, request, "invalid",
                          "kill: say which connections, by 'id', 'service' or 'peer'");
        return;
    }
    if (knows_peer(supervisor, request, fields)) {
        ask(supervisor, request, fields, on_killed);
    }
}

/* Of a service that is there; no name is all of them, where that is allowed. */
static bool knows_service(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    char name[MW_SERVICE_NAME];
    mw_value_string(fields, "service", name, sizeof name);
    if (!has(fields, "service") || mw_services_find(supervisor->workers->current, name)) {
        return true;
    }
    mw_control_refuse(supervisor->control, request, "not_found", "there is no service '%s'", name);
    return false;
}

static void evaluate(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    if (mw_value_field(fields, "service").type != MW_VALUE_STRING ||
        mw_value_field(fields, "code").type != MW_VALUE_STRING) {
        mw_control_refuse(supervisor->control, request, "invalid", "eval: 'service' and 'code' must be strings");
    } else if (knows_service(supervisor, request, fields)) {
        forward(supervisor, request, fields);
    }
}

static void on_drained(void *owner, uint64_t request, struct mw_question *question) {
    (void)question;
    answer_ok(owner, request);
}

static void drain(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    char name[MW_SERVICE_NAME];
    if (!knows_service(supervisor, request, fields)) {
        return;
    }
    mw_value_string(fields, "service", name, sizeof name);
    if (mw_drains_note(&supervisor->drains, name, mw_value_boolean(fields, "undo", false))) {
        ask(supervisor, request, fields, on_drained);
    } else {
        mw_control_refuse(supervisor->control, request, "memory", "not enough memory to remember what drains");
    }
}

/* --- what the supervisor does itself --- */

static void on_outcome(void *owner, uint64_t request, const struct mw_reload_outcome *outcome) {
    struct mw_supervisor *supervisor = owner;
    struct mw_text text = {.bytes = NULL};
    if (outcome->fault) {
        mw_control_refuse(supervisor->control, request, outcome->code, "%s", outcome->fault);
        return;
    }
    mw_text_format(&text,
                   "{\"ok\":true,\"generation\":%lld,\"moved\":%lld,\"kept\":%lld,\"ended\":%lld,\"seconds\":%.3f}",
                   (long long)outcome->generation, (long long)outcome->moved, (long long)outcome->kept,
                   (long long)outcome->ended, outcome->seconds);
    answer(supervisor, request, &text);
}

static bool read_rule(struct mw_canary_rule *rule, const struct mw_value *fields) {
    *rule = (struct mw_canary_rule){
        .share = mw_value_number(fields, "canary", 1),
        .seconds = mw_value_number(fields, "seconds", MW_CANARY_SECONDS),
        .factor = mw_value_number(fields, "factor", MW_CANARY_FACTOR),
    };
    return rule->share > 0 && rule->share <= 1 && rule->seconds > 0 && rule->seconds <= 86400 && rule->factor >= 0;
}

static void reload(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    struct mw_reload_wish wish = {.service = ""};
    struct mw_reload_waiter waiter = {.on_outcome = on_outcome, .owner = supervisor, .context = request};
    mw_value_string(fields, "service", wish.service, sizeof wish.service);
    if (!read_rule(&wish.canary, fields)) {
        mw_control_refuse(supervisor->control, request, "invalid",
                          "reload: 'canary' must be above 0 and at most 1, 'seconds' above 0 and at most a day, 'factor' "
                          "not negative");
    } else if (!mw_generations_reload(supervisor->generations, &wish, &waiter)) {
        mw_control_refuse(supervisor->control, request, "memory", "not enough memory for a reload");
    }
}

static void stop(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    answer_ok(supervisor, request);
    mw_supervisor_stop(supervisor, mw_value_boolean(fields, "now", false));
}

static void set_log(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    char name[16];
    int level = mw_log_level_named(mw_value_string(fields, "level", name, sizeof name));
    if (level < 0) {
        mw_control_refuse(supervisor->control, request, "invalid",
                          "log: 'level' must be debug, info, warn or error, not '%s'", name);
        return;
    }
    mw_supervisor_set_log_level(supervisor, (enum mw_log_level)level);
    answer_ok(supervisor, request);
}

/* Those that do not answer have said what they counted up to seconds ago. */
static void on_measured(void *owner, uint64_t request, struct mw_question *question) {
    struct mw_supervisor *supervisor = owner;
    struct mw_text metrics = {.bytes = NULL}, text = {.bytes = NULL};
    (void)question;
    mw_metrics_write(supervisor->workers->metrics, &metrics);
    mw_text_puts(&text, "{\"ok\":true,\"text\":");
    mw_text_json(&text, metrics.bytes ? metrics.bytes : "", metrics.size);
    mw_text_puts(&text, "}");
    text.failed = text.failed || metrics.failed;
    mw_text_free(&metrics);
    answer(supervisor, request, &text);
}

static void write_metrics(struct mw_supervisor *supervisor, uint64_t request, const struct mw_value *fields) {
    ask(supervisor, request, fields, on_measured);
}

/* --- commands --- */

static const struct {
    const char *name;
    command *run;
} commands[] = {
    {"status", report_status},         {"reload", reload},         {"drain", drain}, {"stop", stop},
    {"connections", list_connections}, {"kill", kill_connections}, {"log", set_log}, {"metrics", write_metrics},
    {"eval", evaluate},
};

static void on_request(void *owner, uint64_t request, const struct mw_value *fields) {
    struct mw_supervisor *supervisor = owner;
    char name[32];
    mw_value_string(fields, "command", name, sizeof name);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(supervisor, request, fields);
            return;
        }
    }
    mw_control_refuse(supervisor->control, request, "unknown",
                      "there is no command '%s', but status, reload, drain, stop, connections, kill, log, metrics and eval",
                      name);
}

static const struct mw_control_events events = {.on_request = on_request};

bool mw_operator_open(struct mw_supervisor *supervisor, struct mw_fault *fault) {
    if (!supervisor->settings.control[0]) {
        return true;
    }
    supervisor->control = mw_control_new(supervisor->net, supervisor->settings.control, &events, supervisor, fault);
    return supervisor->control != NULL;
}
