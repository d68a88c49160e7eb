/* layers: proto script net loop base */
/* wrap: mw_memory_allocate */
/* Memory that is out at any moment. Each scenario of faults.lua runs once to
 * count its allocations, Lua's included, then again and again with another one
 * failing: alone, with the one behind it (Lua collects garbage after the first
 * and tries again), and with many behind it. Every run must come to its end,
 * say that something went wrong or be right all the same, and leave nothing.
 *
 * FAULTS_STRIDE=1 makes that every allocation; by default it is one in so many,
 * so that `make test` takes seconds. */
#include "base/log.h"
#include "script/l_task.h"
#include "script/memory.h"
#include "script/state.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <lauxlib.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { STRIDE = 37, MANY = 25 };

/* Seconds. What a scenario may take where nothing fails, and where something does: a peer that died of it may leave
 * the other one waiting. After LIMIT the run is stuck. */
#define WHOLE 10.0
#define FAULTY 0.05
#define LIMIT 20.0

/* As the linker's --wrap names them. */
void *wrapped_allocate(void *context, void *block, size_t old_size, size_t size) __asm__("__wrap_mw_memory_allocate");
void *real_allocate(void *context, void *block, size_t old_size, size_t size) __asm__("__real_mw_memory_allocate");

/* Lua may rely on it that a block can be made smaller. */
void *wrapped_allocate(void *context, void *block, size_t old_size, size_t size) {
    bool grows = size > 0 && (!block || size > old_size);
    return grows && alloc_failure_next() ? NULL : real_allocate(context, block, old_size, size);
}

static char library[PATH_MAX];
static int log_file; /* what was logged tells of faults that no script sees */

static struct scenario {
    const char *name;
    struct mw_state *state;
    bool idle;
    bool done; /* the script came to its end as if nothing had been */
    bool told; /* or it got an error */
} run;

static void on_idle(void *context) {
    (void)context;
    run.idle = true;
}

static int on_return(lua_State *L) {
    run.done = lua_toboolean(L, 1);
    run.told = !run.done;
    return 0;
}

/* Protected: (function of the scenario, seconds). Spawns a task that calls it and on_return. */
static int start(lua_State *L) {
    static const char code[] = "local task, on_return, scenario, seconds = ... "
                               "local function run() scenario() return true end "
                               "task.spawn(function() "
                               "on_return(pcall(function() assert(task.with_timeout(seconds, run)) end)) end)";
    if (luaL_loadstring(L, code) != LUA_OK) {
        return lua_error(L);
    }
    lua_insert(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "moonwire.task");
    lua_replace(L, -2);
    lua_pushcfunction(L, on_return);
    lua_rotate(L, 2, 2);
    lua_call(L, 4, 0);
    return 0;
}

static void load_scenarios(lua_State *L) {
    if (luaL_loadfilex(L, "spec/c/faults.lua", "t") != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    assert_int_equal(lua_getfield(L, -1, run.name), LUA_TFUNCTION);
    lua_replace(L, 1);
    lua_settop(L, 1);
}

static off_t logged(void) {
    struct stat status;
    assert_int_equal(fstat(log_file, &status), 0);
    return status.st_size;
}

static void open_run(const char *name) {
    run = (struct scenario){.name = name};
    assert_int_equal(ftruncate(log_file, 0), 0);
    run.state = mw_state_new(world.loop, world.net, &(struct mw_state_options){.library = library});
    assert_non_null(run.state);
    run.state->sched.on_idle = on_idle;
    load_scenarios(run.state->sched.L);
}

/* One run of the scenario, in which the allocations from `nth` on fail, `count` of them. */
static void run_scenario(int nth, int count) {
    lua_State *L = run.state->sched.L;
    bool counting = nth > INT_MAX / 2;
    double limit = world_clock() + LIMIT;
    lua_pushcfunction(L, start);
    lua_insert(L, 1);
    lua_pushnumber(L, counting ? WHOLE : FAULTY);
    alloc_failure_arm_row(nth, count);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        run.told = true;
        run.idle = run.state->sched.tasks == 0;
    }
    while (!run.idle) {
        world_turn(limit, "the end of the scenario", __FILE__, nth);
    }
    alloc_failure_disarm();
    if (!run.done && (counting || (!run.told && logged() == 0))) {
        fail_msg("%s ends without a word when %d allocations from number %d on fail", run.name, count, nth);
    }
}

static void close_run(void) {
    mw_state_free(run.state);
    world_settle();
    mw_net_free(world.net);
    mw_loop_free(world.loop);
    world.loop = mw_loop_new();
    world.net = mw_net_new(world.loop);
    assert_non_null(world.net);
}

static int stride(void) {
    const char *text = getenv("FAULTS_STRIDE");
    int number = text ? atoi(text) : STRIDE;
    return number > 0 ? number : STRIDE;
}

/* Whoever wants to see one run: FAULTS_AT=NUMBER. */
static void sweep(const char *name, int count) {
    const char *only = getenv("FAULTS_AT");
    open_run(name);
    run_scenario(INT_MAX - MANY, count);
    int total = alloc_failure_seen();
    close_run();
    assert_true(total > 10);
    /* The first allocations are those of the task itself; each count meets others of them. */
    for (int nth = only ? atoi(only) : 1 + count % stride(); nth <= total; nth += stride()) {
        if (getenv("FAULTS_SHOW")) {
            fprintf(stderr, "%s: %d from %d on of %d\n", name, count, nth, total);
        }
        int before = world_descriptors();
        open_run(name);
        run_scenario(nth, count);
        close_run();
        assert_int_equal(world_descriptors(), before);
        if (only) {
            break;
        }
    }
}

static void scenario_survives(void **state) {
    const char *name = *state;
    sweep(name, 1);
    sweep(name, 2);
    sweep(name, MANY);
}

/* The making of a state either succeeds or says that it does not. */
static void a_state_is_made_or_not(void **state) {
    (void)state;
    for (int count = 1; count <= MANY; count += MANY - 1) {
        int nth = 1;
        for (bool failed = true; failed; nth += stride()) {
            alloc_failure_arm_row(nth, count);
            struct mw_state *made = mw_state_new(world.loop, world.net, &(struct mw_state_options){.library = library});
            failed = alloc_failure_disarm();
            assert_true(made || failed);
            if (made) {
                made->sched.on_idle = on_idle;
                mw_state_free(made);
            }
        }
        assert_true(nth > 100);
    }
}

static int open_log(void **state) {
    char path[64];
    (void)state;
    assert_non_null(realpath("lua", library));
    log_file = memfd_create("log", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", log_file);
    return log_file >= 0 && mw_log_open(path) ? 0 : -1;
}

#define SCENARIO(name) {#name, scenario_survives, world_open, world_close, #name}

/* Lua skips a finalizer when it has no memory to call it: the settings of a
 * connection that was about to be made are lost then. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:mw_l_profile_options\n";
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_state_is_made_or_not, world_open, world_close),
        SCENARIO(echo),
        SCENARIO(unix),
        SCENARIO(accept),
        SCENARIO(name),
        SCENARIO(refused),
        SCENARIO(datagram),
        SCENARIO(relay),
        SCENARIO(send_file),
        SCENARIO(timers),
        SCENARIO(tasks),
        SCENARIO(sync),
        SCENARIO(bus),
        SCENARIO(signal),
        SCENARIO(metrics),
        SCENARIO(log),
    };
    return cmocka_run_group_tests(tests, open_log, NULL);
}
