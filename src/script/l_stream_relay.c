#include "script/l_stream_relay.h"

#include "net/relay.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_stream.h"

#include <errno.h>

static const char TYPE[] = "moonwire.relay";

/* Seconds without a byte either way. */
static const double IDLE = 300;

/* Lies on the stack of the waiting function, behind the two streams, which
 * therefore outlive it. */
struct relaying {
    struct mw_relay *relay; /* NULL once it has ended */
    struct mw_task *task;
    struct mw_l_stream *streams[2];
    uint64_t moved[2]; /* bytes from the first to the second, and back */
    int error;         /* errno */
};

static bool is_taken(const struct mw_l_stream *stream) {
    return stream->reader || stream->writer;
}

static void claim(struct mw_l_stream *stream, struct mw_task *task) {
    stream->reader = stream->writer = task;
}

/* False when the stream was closed: whoever did it has woken the task. */
static bool release(struct mw_l_stream *stream, const struct mw_task *task) {
    if (stream->reader != task) {
        return false;
    }
    claim(stream, NULL);
    return true;
}

static bool release_both(const struct relaying *relaying) {
    bool first = release(relaying->streams[0], relaying->task);
    bool second = release(relaying->streams[1], relaying->task);
    return first && second;
}

/* May be called from within the close of a stream by another task. */
static void on_done(void *context, uint64_t a_to_b, uint64_t b_to_a, int error) {
    struct relaying *relaying = context;
    relaying->relay = NULL;
    relaying->moved[0] = a_to_b;
    relaying->moved[1] = b_to_a;
    relaying->error = error;
    if (release_both(relaying)) {
        mw_task_ready(relaying->task, 0);
    }
}

static void abandon_relay(struct mw_task *task, void *subject) {
    struct relaying *relaying = subject;
    (void)task;
    mw_relay_cancel(relaying->relay);
    relaying->relay = NULL;
    release_both(relaying);
}

const struct mw_wait mw_l_stream_relay_wait = {.name = "relay", .abandon = abandon_relay, .sends = true};

static int relaying_gc(lua_State *L) {
    struct relaying *relaying = luaL_checkudata(L, 1, TYPE);
    if (relaying->relay) {
        mw_relay_cancel(relaying->relay);
        relaying->relay = NULL;
    }
    return 0;
}

static int relayed(lua_State *L, int status, lua_KContext index) {
    const struct relaying *relaying = lua_touserdata(L, (int)index);
    (void)status;
    mw_task_outcome(L);
    if (relaying->error == ECANCELED) {
        return mw_push_word(L, "closed");
    }
    if (relaying->error) {
        return mw_l_stream_push_fault(L, relaying->streams[0], "relay", relaying->error);
    }
    lua_pushinteger(L, (lua_Integer)relaying->moved[0]);
    lua_pushinteger(L, (lua_Integer)relaying->moved[1]);
    return 2;
}

static struct mw_relay_options read_options(lua_State *L) {
    static const char *const known[] = {"idle", NULL};
    mw_check_options(L, 3, known);
    double idle = mw_option_seconds(L, 3, "idle", IDLE);
    luaL_argcheck(L, idle > 0, 3, "option 'idle': seconds above 0, or false for no limit, expected");
    return (struct mw_relay_options){.idle = idle < MW_TIMER_NEVER ? idle : 0};
}

/* Claims the streams and starts. 0 or errno. */
static int start(struct relaying *relaying, const struct mw_relay_options *options) {
    struct mw_l_stream *a = relaying->streams[0], *b = relaying->streams[1];
    relaying->relay = mw_relay_start(a->stream, b->stream, options, on_done, relaying);
    if (!relaying->relay) {
        return errno;
    }
    claim(a, relaying->task);
    claim(b, relaying->task);
    return 0;
}

int mw_l_stream_relay(lua_State *L) {
    struct mw_l_stream *a = mw_l_stream_check(L, 1), *b = mw_l_stream_check(L, 2);
    luaL_argcheck(L, a != b, 2, "two different streams expected");
    struct mw_relay_options options = read_options(L);
    lua_settop(L, 2);
    struct relaying *relaying = lua_newuserdatauv(L, sizeof *relaying, 0);
    *relaying = (struct relaying){.streams = {a, b}};
    luaL_setmetatable(L, TYPE);
    if (!a->stream || !b->stream) {
        return mw_push_word(L, "closed");
    }
    if (is_taken(a) || is_taken(b)) {
        return mw_push_word(L, "busy");
    }
    relaying->task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    int error = start(relaying, &options);
    if (error) {
        return mw_l_stream_push_fault(L, a, "relay", error);
    }
    return mw_task_wait(relaying->task, &mw_l_stream_relay_wait, relaying, 3, relayed);
}

static const luaL_Reg methods[] = {{NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", relaying_gc}, {NULL, NULL}};

void mw_l_stream_relay_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
