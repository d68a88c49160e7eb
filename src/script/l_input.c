#include "script/l_input.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/sched.h"

#include <ev.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.input";

enum { PIECE = 4096 };

/* Whoever reads: the descriptor itself stays as it is, since others may share
 * it. It is read when it is readable only. */
struct input {
    ev_io readable;
    struct mw_loop *loop;
    struct mw_task *reader;
    struct mw_resource resource;
};

static struct input *check_input(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

static void stop(struct input *input) {
    ev_io_stop(mw_loop_ev(input->loop), &input->readable);
    input->reader = NULL;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events) {
    struct input *input = watcher->data;
    struct mw_task *reader = input->reader;
    (void)loop;
    (void)events;
    stop(input);
    mw_task_resume(reader, 0);
}

static void close_resource(struct mw_resource *resource) {
    struct input *input = mw_list_owner(resource, struct input, resource);
    mw_task_disown(resource);
    stop(input);
}

/* open() → input. Belongs to the running task. */
static int input_open(lua_State *L) {
    struct input *input = lua_newuserdatauv(L, sizeof *input, 0);
    *input = (struct input){.loop = mw_sched_of(L)->loop, .resource.close = close_resource};
    mw_list_init(&input->resource.node);
    ev_io_init(&input->readable, on_readable, STDIN_FILENO, EV_READ);
    input->readable.data = input;
    luaL_setmetatable(L, TYPE);
    mw_task_own(L, &input->resource);
    return 1;
}

static void abandon_read(struct mw_task *task, void *subject) {
    (void)task;
    stop(subject);
}

static const struct mw_wait read_wait = {.name = "input", .abandon = abandon_read};

static int came(lua_State *L, int status, lua_KContext context) {
    char bytes[PIECE];
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    ssize_t length = read(STDIN_FILENO, bytes, sizeof bytes);
    if (length <= 0) {
        return 0;
    }
    lua_pushlstring(L, bytes, (size_t)length);
    return 1;
}

/* read() → bytes | nothing at the end */
static int input_read(lua_State *L) {
    struct input *input = check_input(L);
    if (input->reader) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    input->reader = task;
    ev_io_start(mw_loop_ev(input->loop), &input->readable);
    return mw_task_wait(task, &read_wait, input, 0, came);
}

static int input_close(lua_State *L) {
    close_resource(&check_input(L)->resource);
    return 0;
}

static const luaL_Reg functions[] = {{"open", input_open}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"read", input_read}, {"close", input_close}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", input_close}, {NULL, NULL}};

void mw_l_input_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "input", functions);
}
