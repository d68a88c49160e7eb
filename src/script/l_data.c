#include "script/l_data.h"

#include "proto/message.h"
#include "script/bounds.h"
#include "script/check.h"
#include "script/fault.h"
#include "script/l_json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS_SHOWN = 6,   /* the last ones of the way to what is refused */
    KEY_SHOWN = 24,    /* bytes of each */
    TABLE_WEIGHT = 48, /* bytes that a table counts for besides its own: it takes as many where it is read */
    ROOM_KEPT = 64 * 1024,
};

#define SCRATCH "moonwire.data.scratch"

/* A table that is being written: its keys are at a place of the stack. */
struct level {
    const struct level *above; /* NULL: the outermost */
    const void *table;
    int key;
    unsigned depth;
};

struct encoding {
    lua_State *L;
    const char *name;
    struct mw_text *text;
    size_t start; /* of it in the text */
    size_t most;  /* bytes */
    size_t tables;
    struct mw_fault *fault;
};

/* Where the registry has the metatable of json.array: to be found without an allocation. */
static const char mark_of_lists;

/* --- what is refused --- */

static bool is_name(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '_') {
            return false;
        }
    }
    return size > 0 && !isdigit((unsigned char)*text);
}

/* ".name" or "["other text"]", cut, and with '?' for what cannot be shown. */
static void add_name(struct mw_text *way, const char *text, size_t size) {
    bool plain = is_name(text, size), cut = size > KEY_SHOWN;
    mw_text_puts(way, plain ? "." : "[\"");
    for (size_t i = 0; i < size && i < KEY_SHOWN; i++) {
        mw_text_add(way, isprint((unsigned char)text[i]) ? text + i : "?", 1);
    }
    mw_text_puts(way, cut ? "..." : "");
    mw_text_puts(way, plain ? "" : "\"]");
}

static void add_step(lua_State *L, struct mw_text *way, int key) {
    size_t size;
    const char *text;
    switch (lua_type(L, key)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, key, &size);
        add_name(way, text, size);
        break;
    case LUA_TBOOLEAN:
        mw_text_puts(way, lua_toboolean(L, key) ? "[true]" : "[false]");
        break;
    default:
        if (lua_isinteger(L, key)) {
            mw_text_format(way, "[%lld]", (long long)lua_tointeger(L, key));
        } else {
            mw_text_format(way, "[%.14g]", lua_tonumber(L, key));
        }
    }
}

/* The steps down to `level`, the last few of them. */
static void add_steps(lua_State *L, struct mw_text *way, const struct level *level, int left) {
    if (!level) {
        return;
    }
    if (left == 0) {
        mw_text_puts(way, "...");
        return;
    }
    add_steps(L, way, level->above, left - 1);
    add_step(L, way, level->key);
}

/* Sets the fault: the way to the value, and what is wrong there. */
static bool refuse(const struct encoding *from, const struct level *level, const char *code,
                   const char *why) {
    struct mw_text way = {.bytes = NULL};
    mw_text_puts(&way, from->name);
    add_steps(from->L, &way, level, STEPS_SHOWN);
    mw_fault_format(from->fault, code, "%s%s", mw_text_string(&way), why);
    mw_text_free(&way);
    return false;
}

static bool refuse_kind(const struct encoding *from, const struct level *level, const char *relation,
                        int type) {
    char why[100];
    snprintf(why, sizeof why, " %s a %s; only plain data can be passed on", relation,
             lua_typename(from->L, type));
    return refuse(from, level, "invalid", why);
}

static bool refuse_size(const struct encoding *from) {
    char why[100];
    snprintf(why, sizeof why, " is too large: more than %zu MiB cannot be passed on", from->most >> 20);
    return refuse(from, NULL, "too_large", why);
}

static bool judge_size(const struct encoding *to) {
    if (to->text->failed) {
        return refuse(to, NULL, "memory", " is too large: out of memory");
    }
    if (to->text->size - to->start + to->tables * TABLE_WEIGHT > to->most) {
        return refuse_size(to);
    }
    return true;
}

/* --- Lua to bytes --- */

static bool encode_string(struct encoding *to, int index) {
    size_t size;
    const char *bytes = lua_tolstring(to->L, index, &size);
    if (size > to->most) {
        return refuse_size(to);
    }
    mw_message_string(to->text, bytes, size);
    return true;
}

static void encode_number(struct encoding *to, int index) {
    if (lua_isinteger(to->L, index)) {
        mw_message_integer(to->text, lua_tointeger(to->L, index));
    } else {
        mw_message_number(to->text, lua_tonumber(to->L, index));
    }
}

/* `level` is that of the table which has the key. */
static bool encode_key(struct encoding *to, int index, const struct level *level) {
    int type = lua_type(to->L, index);
    switch (type) {
    case LUA_TSTRING:
        return encode_string(to, index);
    case LUA_TNUMBER:
        encode_number(to, index);
        return true;
    case LUA_TBOOLEAN:
        mw_message_boolean(to->text, lua_toboolean(to->L, index));
        return true;
    default:
        return refuse_kind(to, level->above, "has a key that is", type);
    }
}

/* Whether the table has no metatable, or is marked as a list. */
static bool look_at_metatable(lua_State *L, int index, bool *is_list) {
    if (!lua_getmetatable(L, index)) {
        return true;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_of_lists);
    *is_list = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return *is_list;
}

/* Whether it may be written; `above` is the level of the table that it is in. */
static bool judge_table(struct encoding *to, int index, const struct level *above, bool *is_list) {
    const void *table = lua_topointer(to->L, index);
    for (const struct level *level = above; level; level = level->above) {
        if (level->table == table) {
            return refuse(to, above, "invalid",
                          " is a table that it is within (a cycle); only plain data can be passed on");
        }
    }
    if (above && above->depth == MW_MESSAGE_DEPTH_MOST) {
        return refuse(to, above, "too_large",
                      " is nested more than 100 tables deep, too deep to be passed on");
    }
    if (!lua_checkstack(to->L, 4)) {
        return refuse(to, above, "memory", " gets no stack: out of memory");
    }
    return look_at_metatable(to->L, index, is_list) ||
           refuse(to, above, "invalid", " is a table with a metatable; only plain data can be passed on");
}

static bool encode_value(struct encoding *to, int index, const struct level *above);

/* The size is looked at again and again: tables that occur in each other many times may be without end. */
static bool encode_table(struct encoding *to, int index, const struct level *above) {
    lua_State *L = to->L;
    bool is_list = false;
    if (!judge_table(to, index, above, &is_list)) {
        return false;
    }
    to->tables++;
    size_t opened = is_list ? mw_message_open_list(to->text) : mw_message_open(to->text);
    int key = lua_gettop(L) + 1;
    struct level level = {above, lua_topointer(L, index), key, above ? above->depth + 1 : 1};
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!encode_key(to, key, &level) || !encode_value(to, key + 1, &level)) {
            return false;
        }
        if (!judge_size(to)) {
            return false;
        }
        lua_pop(L, 1);
    }
    mw_message_close(to->text, opened);
    return true;
}

static bool encode_value(struct encoding *to, int index, const struct level *above) {
    int type = lua_type(to->L, index);
    switch (type) {
    case LUA_TNONE:
    case LUA_TNIL:
        mw_message_nil(to->text);
        return true;
    case LUA_TBOOLEAN:
        mw_message_boolean(to->text, lua_toboolean(to->L, index));
        return true;
    case LUA_TNUMBER:
        encode_number(to, index);
        return true;
    case LUA_TSTRING:
        return encode_string(to, index);
    case LUA_TTABLE:
        return encode_table(to, index, above);
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(to->L, index)) { /* json.null */
            mw_message_nil(to->text);
            return true;
        }
        break;
    default:
        break;
    }
    return refuse_kind(to, above, "is", type);
}

bool mw_data_encode(lua_State *L, int index, const char *name, struct mw_text *text, struct mw_fault *fault) {
    size_t bound = mw_bound_bytes(L);
    struct encoding to = {.L = L, .name = name, .text = text, .start = text->size, .fault = fault};
    to.most = bound < MW_MESSAGE_SIZE_MOST ? bound : MW_MESSAGE_SIZE_MOST;
    int top = lua_gettop(L);
    bool good = encode_value(&to, lua_absindex(L, index), NULL) && judge_size(&to);
    lua_settop(L, top);
    return good;
}

/* --- bytes to Lua --- */

/* How many of its keys are 1, 2, 3, …, and how many are others. */
static void count_pairs(const struct mw_value *table, int *listed, int *others) {
    struct mw_value key, value;
    for (size_t at = 0; mw_value_next(table, &at, &key, &value);) {
        if (key.type == MW_VALUE_INTEGER && key.integer == *listed + 1) {
            ++*listed;
        } else {
            ++*others;
        }
    }
}

static void push_value(lua_State *L, const struct mw_value *value);

static void push_table(lua_State *L, const struct mw_value *table) {
    struct mw_value key, value;
    int listed = 0, others = 0;
    luaL_checkstack(L, 4, "data");
    count_pairs(table, &listed, &others);
    lua_createtable(L, listed, others);
    for (size_t at = 0; mw_value_next(table, &at, &key, &value);) {
        push_value(L, &key);
        if (value.type == MW_VALUE_NIL) {
            lua_pushlightuserdata(L, NULL); /* json.null: of nil there would be no pair */
        } else {
            push_value(L, &value);
        }
        lua_rawset(L, -3);
    }
    if (table->boolean) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_of_lists);
        lua_setmetatable(L, -2);
    }
}

static void push_value(lua_State *L, const struct mw_value *value) {
    switch (value->type) {
    case MW_VALUE_NIL:
        lua_pushnil(L);
        break;
    case MW_VALUE_BOOLEAN:
        lua_pushboolean(L, value->boolean);
        break;
    case MW_VALUE_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case MW_VALUE_NUMBER:
        lua_pushnumber(L, value->number);
        break;
    case MW_VALUE_STRING:
        lua_pushlstring(L, value->bytes, value->size);
        break;
    case MW_VALUE_TABLE:
        push_table(L, value);
        break;
    }
}

bool mw_data_push(lua_State *L, const void *bytes, size_t size) {
    struct mw_value value;
    if (!mw_message_read(&value, bytes, size)) {
        return false;
    }
    luaL_checkstack(L, 1, "data");
    push_value(L, &value);
    return true;
}

/* --- for scripts --- */

/* encode(value, name = "value", level = 1) → bytes. The text is that of the state, and stays
 * so when the string gets no memory. */
static int data_encode(lua_State *L) {
    struct mw_text *text = lua_touserdata(L, lua_upvalueindex(1));
    struct mw_fault fault;
    luaL_checkany(L, 1);
    const char *name = luaL_optstring(L, 2, "value");
    int level = (int)luaL_optinteger(L, 3, 1);
    text->size = 0;
    bool good = mw_data_encode(L, 1, name, text, &fault);
    if (good) {
        lua_pushlstring(L, text->bytes, text->size);
    }
    if (text->failed || text->room > ROOM_KEPT) {
        mw_text_free(text);
    }
    if (!good) {
        luaL_where(L, level);
        lua_pushstring(L, fault.message);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return 1;
}

/* decode(bytes) → value | nil, err, code */
static int data_decode(lua_State *L) {
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    if (mw_data_push(L, bytes, size)) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "decode data: these bytes are no whole message of data");
    lua_pushliteral(L, "invalid");
    return 3;
}

static int scratch_free(lua_State *L) {
    mw_text_free(luaL_checkudata(L, 1, SCRATCH));
    return 0;
}

void mw_l_data_open(lua_State *L) {
    static const luaL_Reg methods[] = {{NULL, NULL}}, metamethods[] = {{"__gc", scratch_free}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"encode", data_encode}, {"decode", data_decode}, {NULL, NULL}};
    luaL_getmetatable(L, MW_L_JSON_ARRAY);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_of_lists);
    mw_new_type(L, SCRATCH, methods, metamethods);
    lua_createtable(L, 0, 2);
    struct mw_text *text = lua_newuserdatauv(L, sizeof *text, 0);
    *text = (struct mw_text){.bytes = NULL};
    luaL_setmetatable(L, SCRATCH);
    luaL_setfuncs(L, functions, 1);
    lua_setfield(L, -2, "data");
}
