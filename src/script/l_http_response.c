/* Responses for scripts: status and fields, and the head that is made of them. */
#include "script/l_http_internal.h"

#include "script/check.h"
#include "script/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

const char mw_http_response_type[] = "moonwire.http.response";
#define TYPE mw_http_response_type

struct mw_http_response *mw_http_response_push(lua_State *L, struct mw_http_request *request, int type) {
    struct mw_http_response *response = lua_newuserdatauv(L, sizeof *response, 0);
    *response = (struct mw_http_response){.type = TYPE, .request = request, .status = 200};
    lua_pushvalue(L, type);
    lua_setmetatable(L, -2);
    return response;
}

void mw_http_response_close(struct mw_http_response *response) {
    response->request = NULL;
    if (response->fields.bytes) {
        mw_text_free(&response->fields);
    }
}

/* Other methods may shadow ours for one response: the metatable does not tell what it is. */
struct mw_http_response *mw_http_response_test(lua_State *L, int index) {
    struct mw_http_response *response = lua_touserdata(L, index);
    bool is_one = response && lua_rawlen(L, index) == sizeof *response; /* that of a light userdata is 0 */
    return is_one && response->type == TYPE ? response : NULL;
}

struct mw_http_response *mw_http_response_check(lua_State *L) {
    struct mw_http_response *response = mw_http_response_test(L, 1);
    if (!response) {
        luaL_typeerror(L, 1, TYPE);
    }
    return response;
}

/* --- the head --- */

enum { HEAD_MAX = 512 }; /* bytes of all that comes below, whatever comes */

/* Each writes at `end` and returns the new end. */
static char *add(char *end, const char *bytes, size_t size) {
    memcpy(end, bytes, size);
    return end + size;
}

#define ADD(end, text) add(end, text, sizeof(text) - 1)

static char *add_number(char *end, uint64_t number) {
    char digits[20], *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
    } while (number /= 10);
    return add(end, first, (size_t)(digits + sizeof digits - first));
}

static char *add_status(char *end, int status) {
    if (status == 200) {
        return ADD(end, "HTTP/1.1 200 OK\r\n");
    }
    const char *reason = mw_http1_reason(status);
    end = ADD(end, "HTTP/1.1 ");
    end = add_number(end, (uint64_t)status);
    end = ADD(end, " ");
    end = add(end, reason, strlen(reason));
    return ADD(end, "\r\n");
}

/* The text is made once a second. */
static char *add_date(char *end) {
    static char line[] = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    static time_t last;
    time_t now = time(NULL);
    if (now != last) {
        char date[MW_HTTP1_DATE];
        last = now;
        mw_http1_date(date, now);
        memcpy(line + 6, date, sizeof date - 1);
    }
    return add(end, line, sizeof line - 1);
}

/* Responses that never have a body (RFC 9110 sections 6.4.1 and 15.3.6), whatever the request was. */
static bool is_bodiless(int status) {
    return status < 200 || status == 204 || status == 205 || status == 304;
}

/* How the body will be delimited, once: see RFC 9112 section 6.3. */
static void choose_framing(struct mw_http_response *response, bool is_all, size_t size) {
    const struct mw_http_request *request = response->request;
    if (is_bodiless(response->status)) {
        response->framing = MW_HTTP1_EMPTY;
        return;
    }
    if (is_all && !(request->is_head && response->has_length)) {
        response->has_length = true;
        response->length = size;
    }
    if (response->has_length) {
        response->framing = MW_HTTP1_LENGTH;
    } else if (request->head.minor) {
        response->framing = MW_HTTP1_CHUNKED;
    } else {
        response->framing = MW_HTTP1_UNTIL_END;
        response->closes = true;
    }
}

static char *add_framing(char *end, const struct mw_http_response *response) {
    if (response->framing == MW_HTTP1_LENGTH || (response->status == 304 && response->has_length)) {
        end = ADD(end, "Content-Length: ");
        end = add_number(end, response->length);
        return ADD(end, "\r\n");
    }
    if (response->status == 205) { /* for its reader it might have a body */
        return ADD(end, "Content-Length: 0\r\n");
    }
    return response->framing == MW_HTTP1_CHUNKED ? ADD(end, "Transfer-Encoding: chunked\r\n") : end;
}

static char *add_connection(char *end, struct mw_http_response *response) {
    response->closes = response->closes || !mw_http_goes_on(response->request);
    if (response->closes) {
        return ADD(end, "Connection: close\r\n");
    }
    return response->request->head.minor == 0 ? ADD(end, "Connection: keep-alive\r\n") : end;
}

/* All lines but those of the script. */
static char *add_head(char *end, struct mw_http_response *response, bool has_body) {
    end = add_status(end, response->status);
    if (!response->has_date) {
        end = add_date(end);
    }
    if (has_body && !response->has_type) {
        end = ADD(end, "Content-Type: text/plain; charset=utf-8\r\n");
    }
    end = add_framing(end, response);
    return add_connection(end, response);
}

static struct iovec piece_of(const char *bytes, size_t size) {
    return (struct iovec){.iov_base = (char *)(uintptr_t)bytes, .iov_len = size};
}

/* The pieces of the head at `bytes`, which has room for its last line. Their number. */
static int add_fields(struct iovec *pieces, char *bytes, char *end, const struct mw_text *fields) {
    if (fields->size == 0) {
        pieces[0] = piece_of(bytes, (size_t)(ADD(end, "\r\n") - bytes));
        return 1;
    }
    pieces[0] = piece_of(bytes, (size_t)(end - bytes));
    pieces[1] = piece_of(fields->bytes, fields->size);
    pieces[2] = piece_of("\r\n", 2);
    return 3;
}

int mw_http_response_begin(struct mw_http_response *response, const char *bytes, size_t size, bool is_all) {
    struct mw_stream *transport = response->request->stream.stream;
    struct iovec pieces[6];
    char head[HEAD_MAX], line[MW_HTTP1_CHUNK_LINE];
    choose_framing(response, is_all, size);
    int count = add_fields(pieces, head, add_head(head, response, size > 0), &response->fields);
    if (size && !response->request->is_head && response->framing != MW_HTTP1_EMPTY) {
        bool is_chunk = response->framing == MW_HTTP1_CHUNKED;
        if (is_chunk) {
            pieces[count++] = piece_of(line, mw_http1_chunk_line(line, size));
        }
        pieces[count++] = piece_of(bytes, size);
        if (is_chunk) {
            pieces[count++] = piece_of("\r\n", 2);
        }
    }
    int error = mw_stream_queue_pieces(transport, pieces, count);
    response->phase = is_all ? MW_HTTP_FINISHED : MW_HTTP_STREAMING;
    response->sent = error ? 0 : size;
    response->closes = response->closes || error;
    return error;
}

int mw_http_response_complete(struct mw_http_response *response, const char *trailer, size_t size) {
    struct mw_stream *transport = response->request->stream.stream;
    bool has_room = !response->request->is_head && response->framing != MW_HTTP1_EMPTY;
    if (has_room && response->framing == MW_HTTP1_LENGTH && response->sent != response->length) {
        response->closes = response->failed = true;
        return EMSGSIZE;
    }
    response->phase = MW_HTTP_FINISHED;
    if (!has_room || response->framing != MW_HTTP1_CHUNKED) {
        return 0;
    }
    struct iovec pieces[3] = {{.iov_base = (char *)(uintptr_t) "0\r\n", .iov_len = 3},
                              {.iov_base = (char *)(uintptr_t)(size ? trailer : ""), .iov_len = size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    int error = mw_stream_queue_pieces(transport, pieces, 3);
    response->closes = response->closes || error;
    return error;
}

/* --- what scripts see --- */

/* response:status(code) → response; response:status() → code */
static int response_status(lua_State *L) {
    struct mw_http_response *response = mw_http_response_check(L);
    if (lua_isnoneornil(L, 2)) {
        lua_pushinteger(L, response->status);
        return 1;
    }
    lua_Integer status = luaL_checkinteger(L, 2);
    luaL_argcheck(L, status >= 200 && status <= 599, 2, "a status from 200 to 599 expected");
    luaL_argcheck(L, response->phase == MW_HTTP_FRESH, 1, "the head was sent already");
    response->status = (uint16_t)status;
    lua_settop(L, 1);
    return 1;
}

static int response_is_started(lua_State *L) {
    lua_pushboolean(L, mw_http_response_check(L)->phase != MW_HTTP_FRESH);
    return 1;
}

static int response_is_finished(lua_State *L) {
    lua_pushboolean(L, mw_http_response_check(L)->phase == MW_HTTP_FINISHED);
    return 1;
}

/* Bytes of the body, as they are counted for HEAD, too. */
static int response_bytes_sent(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)mw_http_response_check(L)->sent);
    return 1;
}

/* Whether the request came over TLS. */
static int response_is_secure(lua_State *L) {
    const struct mw_http_response *response = mw_http_response_check(L);
    lua_pushboolean(L, response->request && response->request->secure);
    return 1;
}

static int response_tostring(lua_State *L) {
    static const char *const phases[] = {"not started", "streaming", "finished"};
    const struct mw_http_response *response = mw_http_response_check(L);
    lua_pushfstring(L, "%s: %d %s", TYPE, (int)response->status, phases[response->phase]);
    return 1;
}

static const luaL_Reg methods[] = {
    {"status", response_status},
    {"header", mw_http_response_header},
    {"add_header", mw_http_response_add_header},
    {"send", mw_http_response_send},
    {"write", mw_http_response_write},
    {"flush", mw_http_response_flush},
    {"finish", mw_http_response_finish},
    {"send_file", mw_http_response_send_file},
    {"upgrade", mw_http_response_upgrade},
    {"is_started", response_is_started},
    {"is_finished", response_is_finished},
    {"bytes_sent", response_bytes_sent},
    {"is_secure", response_is_secure},
    {NULL, NULL},
};

/* override(response, methods) → table of the methods so far: calls on this response go to the functions of the
 * table, which looks up in the other one what it has not. */
static int override(lua_State *L) {
    mw_http_response_check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_getmetafield(L, 1, "__index");
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, response_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushstring(L, TYPE);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, 1);
    return 1;
}

/* Adds response_methods, override and begin_fields to the table on top. */
void mw_http_response_open(lua_State *L) {
    static const luaL_Reg metamethods[] = {{"__tostring", response_tostring}, {NULL, NULL}};
    mw_new_type(L, TYPE, methods, metamethods);
    luaL_getmetatable(L, TYPE);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "response_methods");
    lua_pop(L, 1);
    lua_pushcfunction(L, override);
    lua_setfield(L, -2, "override");
    lua_pushcfunction(L, mw_http_begin_fields);
    lua_setfield(L, -2, "begin_fields");
}
