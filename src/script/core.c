#include "script/core.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_attempt.h"
#include "script/l_bus.h"
#include "script/l_codec.h"
#include "script/l_coding.h"
#include "script/l_child.h"
#include "script/l_config.h"
#include "script/l_connect.h"
#include "script/l_crypto.h"
#include "script/l_data.h"
#include "script/l_dgram.h"
#include "script/l_folder.h"
#include "script/l_job.h"
#include "script/l_json.h"
#include "script/l_editor.h"
#include "script/l_http.h"
#include "script/l_input.h"
#include "script/l_ipset.h"
#include "script/l_listener.h"
#include "script/l_log.h"
#include "script/l_main.h"
#include "script/l_metric.h"
#include "script/l_resolver.h"
#include "script/l_scratch.h"
#include "script/l_signal.h"
#include "script/l_signature.h"
#include "script/l_standard.h"
#include "script/l_store.h"
#include "script/l_stream.h"
#include "script/l_stream_relay.h"
#include "script/l_stream_send_file.h"
#include "script/l_tally.h"
#include "script/l_task.h"
#include "script/l_terminal.h"
#include "script/l_tls.h"
#include "script/l_tls_options.h"
#include "script/l_waiters.h"
#include "script/l_websocket.h"
#include "script/sched.h"
#include "script/service.h"

/* fault(code, message) → fault object */
static int core_fault(lua_State *L) {
    mw_push_fault_object(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
    return 1;
}

/* is_fault(value) → code, message | nil */
static int core_is_fault(lua_State *L) {
    const char *code, *message;
    luaL_checkany(L, 1);
    if (!mw_is_fault_object(L, 1, &code, &message)) {
        return 0;
    }
    lua_pushstring(L, code);
    lua_pushstring(L, message);
    return 2;
}

/* now() → monotonic seconds */
static int core_now(lua_State *L) {
    lua_pushnumber(L, mw_loop_now(mw_sched_of(L)->loop));
    return 1;
}

/* wall() → seconds since 1970, of the clock that may be set */
static int core_wall(lua_State *L) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* usage() → { tasks, streams, timers }: what is alive, for specs and status */
static int core_usage(lua_State *L) {
    struct mw_sched *sched = mw_sched_of(L);
    if (sched->running) {
        mw_timer_clear(&sched->running->timer); /* of its last wait, see on_timer_due */
    }
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)sched->tasks);
    lua_setfield(L, -2, "tasks");
    lua_pushinteger(L, (lua_Integer)sched->net->streams);
    lua_setfield(L, -2, "streams");
    lua_pushinteger(L, (lua_Integer)mw_timers_count(mw_loop_timers(sched->loop)));
    lua_setfield(L, -2, "timers");
    return 1;
}

/* memory() → { used, taken, limit } in bytes */
static int core_memory(lua_State *L) {
    const struct mw_memory *memory = mw_sched_of(L)->quota.memory;
    size_t limit = mw_memory_limit(memory);
    lua_Integer used = (lua_Integer)lua_gc(L, LUA_GCCOUNT) * 1024 + lua_gc(L, LUA_GCCOUNTB);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, used);
    lua_setfield(L, -2, "used");
    lua_pushinteger(L, (lua_Integer)mw_memory_taken(memory));
    lua_setfield(L, -2, "taken");
    if (limit != SIZE_MAX) {
        lua_pushinteger(L, (lua_Integer)limit);
        lua_setfield(L, -2, "limit");
    }
    return 1;
}

static const luaL_Reg net_functions[] = {
    {"listen", mw_l_listen},
    {"serve", mw_l_serve},
    {"connect", mw_l_connect},
    {"datagram", mw_l_datagram},
    {"connect_datagram", mw_l_connect_datagram},
    {"relay", mw_l_stream_relay},
    {"pair", mw_l_stream_pair},
    {"serve_standard", mw_l_serve_standard},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"fault", core_fault}, {"is_fault", core_is_fault}, {"now", core_now},   {"wall", core_wall},
    {"usage", core_usage}, {"memory", core_memory},     {"attempt", mw_l_attempt},
    {"scratch", mw_l_scratch}, {NULL, NULL},
};

static int open_core(lua_State *L) {
    luaL_newlib(L, functions);
    mw_l_task_open(L);
    mw_l_waiters_open(L);
    mw_l_log_open(L);
    mw_l_metric_open(L);
    mw_l_signal_open(L);
    mw_l_child_open(L);
    mw_l_main_open(L);
    mw_l_service_open(L);
    mw_l_editor_open(L);
    mw_l_input_open(L);
    mw_l_terminal_open(L);
    mw_l_resolver_open(L);
    mw_l_codec_open(L);
    mw_l_coding_open(L);
    mw_l_json_open(L);
    mw_l_data_open(L);
    mw_l_bus_open(L);
    mw_l_store_open(L);
    mw_l_ipset_open(L);
    mw_l_tally_open(L);
    mw_l_signature_open(L);
    mw_l_http_open(L);
    mw_l_crypto_open(L);
    mw_l_folder_open(L);
    mw_l_config_open(L);
    mw_l_tls_options_open(L);
    mw_l_websocket_open(L);
    mw_set_functions(L, "net", net_functions);
    return 1;
}

void mw_core_open(lua_State *L) {
    mw_l_stream_open(L);
    mw_l_listener_open(L);
    mw_l_connect_open(L);
    mw_l_stream_relay_open(L);
    mw_l_stream_send_file_open(L);
    mw_l_dgram_open(L);
    mw_l_job_open(L);
    mw_l_scratch_open(L);
    mw_l_tls_open(L);
    luaL_requiref(L, "moonwire.core", open_core, 0);
    lua_pop(L, 1);
}
