#include "script/l_file_watch.h"

#include "net/file_watch.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_folder.h"
#include "script/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct watch {
    struct mw_file_watch *watch; /* NULL: closed */
    struct mw_loop *loop;
    struct mw_pool *threads;
    struct mw_task *waiter;
    ev_io io; /* started only while somebody waits */
    struct mw_resource resource;
    char *name;
};

static struct watch *check_watch(lua_State *L) {
    return luaL_checkudata(L, 1, MW_L_FILE_WATCH_TYPE);
}

static void set_waiter(struct watch *watch, struct mw_task *task) {
    if (task) {
        ev_io_start(mw_loop_ev(watch->loop), &watch->io);
    } else {
        ev_io_stop(mw_loop_ev(watch->loop), &watch->io);
    }
    watch->waiter = task;
}

static void close_watch(struct watch *watch) {
    struct mw_task *task = watch->waiter;
    if (!watch->watch) {
        return;
    }
    set_waiter(watch, NULL);
    mw_task_disown(&watch->resource);
    mw_file_watch_close(watch->watch, watch->threads);
    watch->watch = NULL;
    if (task) {
        mw_task_ready(task, 0);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_watch(mw_list_owner(resource, struct watch, resource));
}

static void on_readable(struct ev_loop *ev, ev_io *io, int events) {
    struct watch *watch = io->data;
    struct mw_task *task = watch->waiter;
    (void)ev;
    (void)events;
    set_waiter(watch, NULL);
    mw_task_resume(task, 0);
}

/* --- opening: watch(name) → watch --- */

struct opening {
    struct mw_l_file_job base;
    struct mw_file_watch *watch;
};

static void open_work(struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    opening->watch = mw_file_watch_open(&opening->base.place, opening->base.name);
    opening->base.error = opening->watch ? 0 : errno;
}

static int open_push(lua_State *L, struct mw_l_job *job) {
    struct opening *opening = (struct opening *)job;
    if (opening->base.error == MW_FILE_WATCHES) {
        struct mw_fault fault;
        mw_fault_format(&fault, "descriptors",
                        "watch %.100s: too many watches (raise the system's limits: sysctl fs.inotify)",
                        opening->base.name);
        return mw_push_fault(L, &fault);
    }
    if (opening->base.error) {
        return mw_l_file_job_push_fault(L, &opening->base);
    }
    struct watch *watch = lua_newuserdatauv(L, sizeof *watch, 0);
    *watch = (struct watch){
        .loop = mw_sched_of(L)->loop,
        .threads = job->threads,
        .resource.close = close_resource,
    };
    mw_list_init(&watch->resource.node);
    ev_io_init(&watch->io, on_readable, mw_file_watch_fd(opening->watch), EV_READ);
    watch->io.data = watch;
    luaL_setmetatable(L, MW_L_FILE_WATCH_TYPE);
    watch->name = strdup(opening->base.name);
    if (!watch->name) {
        return luaL_error(L, "not enough memory");
    }
    watch->watch = opening->watch;
    opening->watch = NULL;
    mw_task_own(L, &watch->resource);
    return 1;
}

static void open_release(struct mw_l_job *job) {
    const struct opening *opening = (struct opening *)job;
    if (opening->watch) {
        mw_file_watch_close(opening->watch, job->threads);
    }
    mw_l_file_job_release(job);
}

static const struct mw_l_job_kind open_kind = {MW_L_JOB_WAIT("watch"), open_work, open_push, open_release};

int mw_l_folder_watch(lua_State *L) {
    int first;
    struct mw_l_folder *folder = mw_l_folder_check(L, &first);
    struct opening *opening = mw_l_folder_job(L, &open_kind, sizeof *opening, folder, first);
    return opening ? mw_l_job_run(L, &opening->base.job) : 3;
}

/* --- taking: next([seconds]) → event --- */

static void abandon_wait(struct mw_task *task, void *subject) {
    (void)task;
    set_waiter(subject, NULL);
}

static const struct mw_wait watch_wait = {.name = "watch", .abandon = abandon_wait};

static void push_event(lua_State *L, const struct mw_file_event *event) {
    static const char *const kinds[] = {
        [MW_FILE_CREATED] = "created", [MW_FILE_CHANGED] = "changed",   [MW_FILE_REMOVED] = "removed",
        [MW_FILE_RENAMED] = "renamed", [MW_FILE_OVERFLOW] = "overflow",
    };
    lua_createtable(L, 0, 3);
    lua_pushstring(L, kinds[event->kind]);
    lua_setfield(L, -2, "kind");
    if (event->name[0]) {
        lua_pushstring(L, event->name);
        lua_setfield(L, -2, "name");
    }
    if (event->from[0]) {
        lua_pushstring(L, event->from);
        lua_setfield(L, -2, "from");
    }
}

static int go_on(lua_State *L, int status, lua_KContext context);

/* What there is, or else a wait until `due`. */
static int take(lua_State *L, struct watch *watch, double due) {
    struct mw_file_event event;
    if (!watch->watch) {
        return mw_push_word(L, "closed");
    }
    if (watch->waiter) {
        return mw_push_word(L, "busy");
    }
    mw_file_watch_next(watch->watch, &event);
    if (event.kind == MW_FILE_ENDED) {
        return mw_push_word(L, "eof");
    }
    if (event.kind != MW_FILE_NONE) {
        push_event(L, &event);
        return 1;
    }
    struct mw_task *task = mw_task_begin_wait(L, due - mw_loop_now(watch->loop));
    set_waiter(watch, task);
    return mw_task_wait(task, &watch_wait, watch, 0, go_on);
}

/* The moment to give up lies at index 2. */
static int go_on(lua_State *L, int status, lua_KContext context) {
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    return take(L, check_watch(L), lua_tonumber(L, 2));
}

static int watch_next(lua_State *L) {
    struct watch *watch = check_watch(L);
    double seconds = lua_isnoneornil(L, 2) ? MW_TIMER_NEVER : mw_check_seconds(L, 2);
    double due = mw_loop_now(watch->loop) + seconds;
    lua_settop(L, 1);
    lua_pushnumber(L, due);
    return take(L, watch, due);
}

/* --- as an object --- */

static int watch_close(lua_State *L) {
    close_watch(check_watch(L));
    return 0;
}

static int watch_gc(lua_State *L) {
    struct watch *watch = check_watch(L);
    if (watch->watch) {
        mw_sched_warn_of_lost(mw_sched_of(L), "watch", watch->name);
        close_watch(watch);
    }
    free(watch->name);
    watch->name = NULL;
    return 0;
}

static int watch_keep(lua_State *L) {
    struct watch *watch = check_watch(L);
    if (watch->watch) {
        mw_task_disown(&watch->resource);
        mw_list_append(&mw_sched_of(L)->root.owned, &watch->resource.node);
    }
    lua_settop(L, 1);
    return 1;
}

static int watch_is_open(lua_State *L) {
    lua_pushboolean(L, check_watch(L)->watch != NULL);
    return 1;
}

static int watch_tostring(lua_State *L) {
    const struct watch *watch = check_watch(L);
    lua_pushfstring(L, "%s: %s %s", MW_L_FILE_WATCH_TYPE, watch->name, watch->watch ? "open" : "closed");
    return 1;
}

static const luaL_Reg methods[] = {
    {"next", watch_next},   {"keep", watch_keep}, {"is_open", watch_is_open},
    {"close", watch_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", watch_tostring},
    {"__close", watch_close},
    {"__gc", watch_gc},
    {NULL, NULL},
};

void mw_l_file_watch_open(lua_State *L) {
    mw_new_type(L, MW_L_FILE_WATCH_TYPE, methods, metamethods);
}
