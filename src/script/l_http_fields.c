/* The fields of a response that scripts set: lines of text until the head is made of them. */
#include "script/l_http_internal.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_name(const char *name, size_t size, const char *known) {
    return strlen(known) == size && strncasecmp(name, known, size) == 0;
}

/* The text of a field value: strings and numbers. */
static const char *check_value(lua_State *L, int index, size_t *size) {
    const char *value = luaL_checklstring(L, index, size);
    if (!mw_http1_is_value(value, *size)) {
        luaL_argerror(L, index, "a field value has no control characters, and no space around it");
    }
    return value;
}

static const char *check_name(lua_State *L, int index, size_t *size) {
    const char *name = luaL_checklstring(L, index, size);
    if (!mw_http1_is_token(name, *size)) {
        luaL_argerror(L, index, "a field name of letters, digits and - expected");
    }
    return name;
}

void mw_http_fields_add(lua_State *L, struct mw_text *fields, int name_index, int value_index) {
    size_t name_size, value_size;
    const char *name = check_name(L, name_index, &name_size);
    const char *value = check_value(L, value_index, &value_size);
    if (!mw_text_reserve(fields, name_size + value_size + 4)) {
        luaL_error(L, "not enough memory");
        return;
    }
    mw_text_add(fields, name, name_size);
    mw_text_add(fields, ": ", 2);
    mw_text_add(fields, value, value_size);
    mw_text_add(fields, "\r\n", 2);
}

static void remove_lines(struct mw_text *fields, const char *name, size_t size) {
    size_t at = 0;
    while (at < fields->size) {
        char *line = fields->bytes + at;
        char *end = memchr(line, '\n', fields->size - at);
        size_t length = (size_t)(end - line) + 1;
        if (length > size && line[size] == ':' && strncasecmp(line, name, size) == 0) {
            memmove(line, line + length, fields->size - at - length);
            fields->size -= length;
        } else {
            at += length;
        }
    }
}

static bool is_close(const char *value, size_t size) {
    return mw_http1_has_token(value, size, "close");
}

/* Fields that are not lines of text but facts for us. True: it is one of these. */
static bool set_fact(lua_State *L, struct mw_http_response *response, const char *name, size_t size, bool is_nil) {
    size_t length;
    if (is_name(name, size, "content-length")) {
        response->has_length = !is_nil;
        if (!is_nil) {
            lua_Integer bytes = luaL_checkinteger(L, 3);
            luaL_argcheck(L, bytes >= 0, 3, "a length of 0 or more expected");
            response->length = (uint64_t)bytes;
        }
        return true;
    }
    if (is_name(name, size, "connection")) {
        const char *value = is_nil ? "" : check_value(L, 3, &length);
        luaL_argcheck(L, is_nil || is_close(value, length), 3, "only 'close' can be set: the server keeps connections itself");
        response->closes = !is_nil;
        return true;
    }
    if (is_name(name, size, "transfer-encoding")) {
        luaL_argerror(L, 2, "the server chooses the transfer coding");
    }
    return false;
}

static void check_fresh(lua_State *L, const struct mw_http_response *response) {
    luaL_argcheck(L, response->phase == MW_HTTP_FRESH, 1, "the head was sent already");
}

static void note(struct mw_http_response *response, const char *name, size_t size, bool is_there) {
    if (is_name(name, size, "content-type")) {
        response->has_type = is_there;
    } else if (is_name(name, size, "date")) {
        response->has_date = is_there;
    }
}

static int read_header(lua_State *L, const struct mw_http_response *response, const char *name, size_t size) {
    if (is_name(name, size, "content-length") && response->has_length) {
        lua_pushinteger(L, (lua_Integer)response->length);
        lua_tostring(L, -1);
        return 1;
    }
    mw_l_http_push_field(L, response->fields.bytes, 0, (uint32_t)response->fields.size, name, size);
    return 1;
}

int mw_http_response_header(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    const char *name = check_name(L, 2, &size);
    if (lua_gettop(L) < 3) {
        return read_header(L, response, name, size);
    }
    check_fresh(L, response);
    bool is_nil = lua_isnil(L, 3);
    if (!set_fact(L, response, name, size, is_nil)) {
        if (!is_nil) {
            size_t length;
            check_value(L, 3, &length);
        }
        remove_lines(&response->fields, name, size);
        if (!is_nil) {
            mw_http_fields_add(L, &response->fields, 2, 3);
        }
        note(response, name, size, !is_nil);
    }
    lua_settop(L, 1);
    return 1;
}

int mw_http_response_add_header(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    const char *name = check_name(L, 2, &size);
    check_fresh(L, response);
    if (!set_fact(L, response, name, size, false)) {
        mw_http_fields_add(L, &response->fields, 2, 3);
        note(response, name, size, true);
    }
    lua_settop(L, 1);
    return 1;
}

int mw_http_begin_fields(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    size_t size;
    const char *lines = luaL_checklstring(L, 2, &size);
    bool is_first = response->phase == MW_HTTP_FRESH && response->fields.size == 0 && !response->has_type;
    if (is_first) {
        mw_text_add(&response->fields, lines, size);
        response->has_type = response->fields.size == size;
    }
    lua_pushboolean(L, is_first && response->has_type);
    return 1;
}
