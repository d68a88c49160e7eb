/* The life of a process of one service, as a list of steps: each needs those before it. */
#include "worker/run.h"

#include "base/log.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "loop/signal.h"
#include "net/net.h"
#include "net/standard.h"
#include "script/guard.h"
#include "script/l_main.h"
#include "script/paths.h"
#include "script/state.h"
#include "worker/process.h"

#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct worker {
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_guard *guard;
    struct mw_state *state;
    struct mw_signal *term, *interrupt;
    struct mw_timer drain_limit;
    struct mw_standard standard;
    rlim_t descriptors; /* see mw_process_prepare */
    char name[64]; /* of the service: the script's, without folder and ending */
    bool stopping, ended;
};

/* How long what is queued may take to leave once a stop was asked for. A program
 * that ends by itself waits for as long as its streams linger. */
#define DRAIN_SECONDS 1.5

static void on_drained(void *context) {
    struct worker *worker = context;
    mw_loop_stop(worker->loop);
}

/* What is left are processes that were asked to end. */
static void on_streams_drained(void *context) {
    struct worker *worker = context;
    mw_children_drain(mw_loop_children(worker->loop), on_drained, worker);
}

static void on_drain_limit(struct mw_timer *timer) {
    struct worker *worker = mw_list_owner(timer, struct worker, drain_limit);
    mw_loop_stop(worker->loop);
}

static void limit_drain(struct worker *worker) {
    double due = mw_loop_now(worker->loop) + DRAIN_SECONDS;
    if (!mw_timer_set(mw_loop_timers(worker->loop), &worker->drain_limit, due)) {
        mw_loop_stop(worker->loop);
    }
}

/* The service has ended. Its streams close, and what they hold still leaves. */
static void on_idle(void *context) {
    struct worker *worker = context;
    worker->ended = true;
    mw_sched_close(&worker->state->sched);
    if (worker->stopping) {
        limit_drain(worker);
    }
    mw_net_drain(worker->net, on_streams_drained, worker);
}

/* The first signal asks the service to end, the second ends the process. */
static void on_stop_signal(void *context, int number) {
    struct worker *worker = context;
    (void)number;
    if (worker->stopping) {
        worker->state->sched.exit_status = 128 + number;
        mw_loop_stop(worker->loop);
        return;
    }
    worker->stopping = true;
    if (worker->ended) {
        limit_drain(worker);
    }
    mw_main_stop(&worker->state->sched);
}

static bool open_worker(struct worker *worker, const struct mw_worker_options *options) {
    char library[PATH_MAX];
    mw_timer_init(&worker->drain_limit, on_drain_limit);
    if (!mw_find_library(library, sizeof library)) {
        mw_log(MW_LOG_ERROR, "Moonwire's Lua library is in none of these: %s", library);
        return false;
    }
    worker->loop = mw_loop_new();
    worker->net = worker->loop ? mw_net_new(worker->loop) : NULL;
    struct mw_state_options state = {.library = library, .sandboxed = options->sandbox};
    worker->state = worker->net ? mw_state_new(worker->loop, worker->net, &state) : NULL;
    if (!worker->state) {
        mw_log(MW_LOG_ERROR, "cannot start: not enough memory, or no epoll");
        return false;
    }
    worker->guard = mw_guard_new(worker->loop);
    if (!worker->guard) {
        mw_log(MW_LOG_ERROR, "cannot start: not enough memory, or no timers");
        return false;
    }
    struct mw_state_limits limits = {.cpu = options->cpu_limit, .memory = options->memory_limit};
    mw_state_set_limits(worker->state, &limits);
    mw_guard_add(worker->guard, &worker->state->sched);
    worker->state->sched.store = options->store;
    worker->state->sched.standard = options->stdio ? &worker->standard : NULL;
    mw_loop_children(worker->loop)->descriptors = worker->descriptors;
    worker->state->sched.on_idle = on_idle;
    worker->state->sched.idle_context = worker;
    worker->term = mw_signal_watch(worker->loop, SIGTERM, on_stop_signal, worker);
    if (!options->interactive) {
        worker->interrupt = mw_signal_watch(worker->loop, SIGINT, on_stop_signal, worker);
    }
    return worker->term && (worker->interrupt || options->interactive);
}

/* The log goes to the journal where it would go to the peer, or goes there anyway; without one nobody hears it. */
static bool take_standard(struct worker *worker) {
    struct mw_fault fault;
    bool taken = mw_standard_take(&worker->standard, &fault);
    if (mw_log_descriptor() == STDERR_FILENO) {
        mw_log_open_to(worker->standard.without_log ? "journal" : "auto");
    }
    if (!taken) {
        mw_log(MW_LOG_ERROR, "%s", fault.message);
    }
    return taken;
}

static void close_worker(struct worker *worker) {
    if (worker->state) {
        mw_state_free(worker->state);
    }
    mw_guard_free(worker->guard);
    if (worker->term) {
        mw_signal_unwatch(worker->term);
    }
    if (worker->interrupt) {
        mw_signal_unwatch(worker->interrupt);
    }
    if (worker->net) {
        mw_net_free(worker->net);
    }
    if (worker->loop) {
        mw_timer_remove(mw_loop_timers(worker->loop), &worker->drain_limit);
        mw_loop_free(worker->loop);
    }
}

static void set_list(lua_State *L, const char *name, const char **list, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, name);
}

static size_t length(char **list) {
    size_t count = 0;
    while (list && list[count]) {
        count++;
    }
    return count;
}

/* The command line as a Lua table. */
static void push_options(lua_State *L, const struct mw_worker_options *options, const char *name) {
    lua_newtable(L);
    lua_pushstring(L, options->script);
    lua_setfield(L, -2, "script");
    lua_pushstring(L, options->code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, options->bus);
    lua_setfield(L, -2, "bus");
    lua_pushstring(L, options->stdio);
    lua_setfield(L, -2, "stdio");
    lua_pushstring(L, options->tls);
    lua_setfield(L, -2, "tls");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    set_list(L, "listen", options->listen, options->listeners);
    set_list(L, "settings", options->settings, options->setting_count);
    set_list(L, "arguments", (const char **)options->arguments, length(options->arguments));
}

static void set_name(struct worker *worker, const char *script) {
    const char *slash = script ? strrchr(script, '/') : NULL;
    const char *name = slash ? slash + 1 : script ? script : "script";
    snprintf(worker->name, sizeof worker->name, "%.*s", (int)strcspn(name, "."), name);
    worker->state->sched.name = worker->name;
}

static int run_service(struct worker *worker, const struct mw_worker_options *options) {
    struct mw_sched *sched = &worker->state->sched;
    set_name(worker, options->script);
    push_options(sched->L, options, worker->name);
    if (!mw_main_spawn(sched, options->module)) {
        return 1;
    }
    mw_loop_run(worker->loop);
    if (sched->main && !worker->stopping) {
        mw_log(MW_LOG_ERROR, "service %s: every task waits for another, and nothing can wake any", worker->name);
        return 1;
    }
    return sched->exit_status;
}

int mw_worker_run(const struct mw_worker_options *options) {
    struct worker worker = {.loop = NULL};
    int status = 1;
    worker.descriptors = mw_process_prepare();
    if ((!options->stdio || take_standard(&worker)) && open_worker(&worker, options)) {
        status = run_service(&worker, options);
    }
    close_worker(&worker);
    return status;
}
