#include "script/l_tls.h"

#include "script/check.h"
#include "script/fault.h"
#include "script/l_certificate.h"
#include "script/l_tls_options.h"
#include "script/service.h"

#include <stdio.h>
#include <string.h>

static const char TYPE[] = "moonwire.handshake";

/* Lies on the stack of the waiting function, so that nothing leaks whatever is raised there. */
struct handshake {
    struct mw_task *task;
    struct mw_l_stream *stream; /* NULL once it is over */
    struct mw_tls_settings *settings;
    struct mw_fault fault; /* no code: none */
};

static void on_done(void *owner, const struct mw_fault *fault) {
    struct handshake *handshake = owner;
    struct mw_l_stream *stream = handshake->stream;
    handshake->stream = NULL;
    stream->reader = stream->writer = NULL;
    if (fault) {
        handshake->fault = *fault;
        mw_l_stream_close(stream);
    }
    mw_task_resume(handshake->task, 0);
}

/* In the middle of a handshake there is nothing that anybody could go on with. */
static void abandon(struct mw_task *task, void *subject) {
    struct handshake *handshake = subject;
    struct mw_l_stream *stream = handshake->stream;
    (void)task;
    handshake->stream = NULL;
    if (stream && stream->stream) {
        stream->reader = stream->writer = NULL;
        mw_tls_cancel(stream->stream);
        mw_l_stream_close(stream);
    }
}

const struct mw_wait mw_l_tls_wait = {.name = "handshake", .abandon = abandon, .sends = true};

/* With the peer: "tls handshake 10.0.0.1:443: certificate has expired"; everyday words stay themselves. */
static int push_fault(lua_State *L, const struct mw_l_stream *stream, const struct mw_fault *fault) {
    static const char operation[] = "tls handshake: ";
    char name[MW_ADDR_TEXT];
    if (mw_fault_everyday(fault->code)) {
        return mw_push_word(L, fault->code);
    }
    struct mw_fault whole;
    bool has_operation = strncmp(fault->message, operation, sizeof operation - 1) == 0;
    mw_fault_format(&whole, fault->code, "tls handshake %s: %s", mw_l_stream_name(stream, name, sizeof name),
                    fault->message + (has_operation ? sizeof operation - 1 : 0));
    return mw_push_fault(L, &whole);
}

/* The stream may have been closed by another task meanwhile. */
static int finished(lua_State *L, int status, lua_KContext index) {
    struct handshake *handshake = lua_touserdata(L, (int)index);
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    (void)status;
    handshake->stream = NULL;
    mw_task_outcome(L);
    if (handshake->fault.code) {
        return push_fault(L, stream, &handshake->fault);
    }
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    lua_pushvalue(L, 1);
    return 1;
}

static struct handshake *push_handshake(lua_State *L) {
    struct handshake *handshake = lua_newuserdatauv(L, sizeof *handshake, 0);
    *handshake = (struct handshake){.settings = NULL};
    luaL_setmetatable(L, TYPE);
    return handshake;
}

struct wish {
    bool server;
    const char *name; /* of the server; for a client */
    uint16_t port;    /* of the server whose session a client resumes */
    bool no_tickets;  /* a server gives no session */
};

/* With the settings in the userdata at `index`. */
static int begin(lua_State *L, int index, const struct wish *wished) {
    struct handshake *handshake = lua_touserdata(L, index);
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_sched *sched = mw_sched_of(L);
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    struct mw_tls_handshake wish = {
        .server_name = wished->server ? NULL : wished->name,
        .port = wished->server ? 0 : wished->port,
        .no_tickets = wished->no_tickets,
        .timeout = handshake->settings->handshake_timeout,
        .on_done = on_done,
        .owner = handshake,
    };
    struct mw_tls_context *context = mw_tls_settings_context(handshake->settings, mw_loop_now(sched->loop));
    struct mw_fault fault;
    handshake->task = task;
    if (!mw_tls_start(stream->stream, context, &wish, &fault)) {
        return push_fault(L, stream, &fault);
    }
    handshake->stream = stream;
    stream->reader = stream->writer = task;
    return mw_task_wait(task, &mw_l_tls_wait, handshake, index, finished);
}

int mw_l_tls_begin(lua_State *L, struct mw_tls_settings *settings, bool server, const char *name) {
    struct wish wish = {.server = server, .name = name, .port = mw_l_stream_check(L, 1)->peer.port};
    push_handshake(L)->settings = mw_tls_settings_hold(settings);
    return begin(L, lua_gettop(L), &wish);
}

static int handshake_gc(lua_State *L) {
    struct handshake *handshake = luaL_checkudata(L, 1, TYPE);
    mw_tls_settings_release(handshake->settings);
    handshake->settings = NULL;
    return 0;
}

/* --- start_tls --- */

/* The connection given in the place of options; NULL: there is none. */
static const struct mw_l_stream *model_at(lua_State *L, int index) {
    return lua_isuserdata(L, index) ? mw_l_stream_check(L, index) : NULL;
}

/* Who has opened the connection is its client, unless the script says otherwise. */
static bool is_server(lua_State *L, const struct mw_l_stream *stream) {
    if (lua_isuserdata(L, 2)) {
        return true;
    }
    const char *role = lua_istable(L, 2) ? mw_push_string_option(L, 2, "role") : NULL;
    bool server = role && strcmp(role, "server") == 0;
    luaL_argcheck(L, !role || server || strcmp(role, "client") == 0, 2,
                  "option 'role': \"server\" or \"client\" expected");
    luaL_argcheck(L, role || stream->origin != MW_L_STREAM_OTHER, 2,
                  "option 'role' is needed: neither end has opened this stream to the other");
    lua_settop(L, 2);
    return role ? server : stream->origin == MW_L_STREAM_ACCEPTED;
}

/* Whether the options at 2 say anything but the role. */
static bool says_nothing(lua_State *L) {
    if (!lua_istable(L, 2)) {
        return lua_isnil(L, 2);
    }
    bool nothing = true;
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (nothing && lua_next(L, 2)) {
        lua_pop(L, 1);
        nothing = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "role") == 0;
    }
    lua_settop(L, top);
    return nothing;
}

/* A server that says nothing has what its listener, or the config, says for such streams; one that names another
 * connection has what that one would have. */
static struct mw_tls_settings *choose_settings(lua_State *L, const struct mw_l_stream *stream, bool server,
                                               struct mw_fault *fault) {
    const struct mw_l_stream *model = model_at(L, 2);
    if (!model && (!server || !says_nothing(L))) {
        return mw_l_tls_settings(L, 2, 2, server, true, "role", fault);
    }
    const struct mw_service *service = mw_sched_of(L)->provider;
    struct mw_tls_settings *settings = (model ? model : stream)->profile->tls;
    settings = settings || !service ? settings : service->tls;
    luaL_argcheck(L, settings, 2, "a server needs a certificate and its key, or \"auto\"");
    return mw_tls_settings_hold(settings);
}

/* Pushes the name that the server has to prove: what it was connected to by, unless the script says otherwise. */
static const char *push_server_name(lua_State *L, const struct mw_l_stream *stream) {
    if (!lua_istable(L, 2) || lua_getfield(L, 2, "name") == LUA_TNIL) {
        luaL_argcheck(L, stream->host, 2, "option 'name' is needed: the name of the server");
        lua_pushstring(L, stream->host);
    }
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0, 2,
                  "option 'name': the name of the server expected");
    return lua_tostring(L, -1);
}

/* What stands at 3: behind a model options, else the connection whose session a client resumes. */
static struct wish read_wish(lua_State *L, const struct mw_l_stream *stream) {
    static const char *const known[] = {"tickets", NULL};
    struct wish wish = {.port = stream->peer.port};
    if (model_at(L, 2)) {
        mw_check_options(L, 3, known);
        wish.no_tickets = !mw_option_boolean(L, 3, "tickets", true);
    } else if (!lua_isnoneornil(L, 3)) {
        wish.port = mw_l_stream_check(L, 3)->peer.port;
    }
    lua_settop(L, 2);
    return wish;
}

/* start_tls(options, other) → the stream | nil, err, code */
int mw_l_stream_start_tls(lua_State *L) {
    struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_fault fault;
    struct wish wish = read_wish(L, stream);
    const struct mw_l_stream *model = model_at(L, 2);
    if (!stream->stream || (model && !model->stream)) {
        return mw_push_word(L, "closed");
    }
    if (stream->reader || stream->writer) {
        return mw_push_word(L, "busy");
    }
    wish.server = is_server(L, stream);
    wish.name = wish.server ? NULL : push_server_name(L, stream);
    struct handshake *handshake = push_handshake(L);
    int index = lua_gettop(L);
    handshake->settings = choose_settings(L, stream, wish.server, &fault);
    return handshake->settings ? begin(L, index, &wish) : mw_push_fault(L, &fault);
}

/* --- what came of it --- */

static void set_text(lua_State *L, const char *key, const char *text) {
    if (text) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, key);
    }
}

/* tls() → nil | { version, cipher, protocol, server_name, resumed, verified, lineage, certificate } */
int mw_l_stream_tls(lua_State *L) {
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    struct mw_tls_facts facts = {.version = NULL};
    if (!stream->stream || !mw_tls_describe(stream->stream, &facts)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 8);
    set_text(L, "version", facts.version);
    set_text(L, "cipher", facts.cipher);
    set_text(L, "server_name", facts.server_name);
    if (facts.protocol) {
        lua_pushlstring(L, facts.protocol, facts.protocol_size);
        lua_setfield(L, -2, "protocol");
    }
    lua_pushboolean(L, facts.resumed);
    lua_setfield(L, -2, "resumed");
    lua_pushboolean(L, facts.verified);
    lua_setfield(L, -2, "verified");
    if (facts.lineage) {
        lua_pushlstring(L, (const char *)facts.lineage, facts.lineage_size);
        lua_setfield(L, -2, "lineage");
    }
    if (facts.certificate) {
        mw_l_certificate_push(L, facts.certificate);
        lua_setfield(L, -2, "certificate");
    }
    return 1;
}

/* channel_binding(kind) → bytes | nil, err, code */
int mw_l_stream_channel_binding(lua_State *L) {
    static const char *const kinds[] = {"tls-exporter", "tls-server-end-point", NULL};
    const struct mw_l_stream *stream = mw_l_stream_check(L, 1);
    unsigned char bytes[MW_TLS_BINDING_MOST];
    size_t size;
    enum mw_tls_binding kind = luaL_checkoption(L, 2, NULL, kinds) == 0 ? MW_TLS_EXPORTER : MW_TLS_END_POINT;
    if (!stream->stream) {
        return mw_push_word(L, "closed");
    }
    if (!mw_tls_channel_binding(stream->stream, kind, bytes, &size)) {
        struct mw_fault fault;
        mw_fault_format(&fault, "unsupported", "channel binding: this connection has no %s", kinds[kind]);
        return mw_push_fault(L, &fault);
    }
    lua_pushlstring(L, (const char *)bytes, size);
    return 1;
}

void mw_l_tls_open(lua_State *L) {
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", handshake_gc}, {NULL, NULL}};
    mw_new_type(L, TYPE, methods, metamethods);
}
