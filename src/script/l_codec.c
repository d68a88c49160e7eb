#include "script/l_codec.h"

#include "base/codec.h"
#include "script/check.h"
#include "script/fault.h"

enum { LINE_MOST = 996 }; /* characters, of base64: what mail allows */

/* The data at index 1; encoding may take three times as much room and more. */
static const char *check_data(lua_State *L, size_t *size) {
    const char *data = luaL_checklstring(L, 1, size);
    luaL_argcheck(L, *size < (size_t)1 << 30, 1, "longer than 1 GiB");
    return data;
}

/* nil, err, code and the place: "decode base64 at byte 5: …" */
static int push_refusal(lua_State *L, const char *name, const struct mw_codec_fault *fault) {
    lua_pushnil(L);
    lua_pushfstring(L, "decode %s at byte %I: %s", name, (LUAI_UACINT)fault->at + 1, fault->why);
    lua_pushliteral(L, "invalid");
    lua_pushinteger(L, (lua_Integer)fault->at + 1);
    return 4;
}

static bool push_decoded(lua_State *L, luaL_Buffer *buffer, bool good, size_t size) {
    luaL_pushresultsize(buffer, good ? size : 0);
    if (!good) {
        lua_pop(L, 1);
    }
    return good;
}

/* --- base64 --- */

/* base64_encode(data, { line = characters }) → text */
static int base64_encode(lua_State *L) {
    static const char *const known[] = {"line", NULL};
    static const struct mw_base64 kind = {.padded = true};
    luaL_Buffer buffer;
    size_t size;
    const char *data = check_data(L, &size);
    mw_check_options(L, 2, known);
    size_t line = (size_t)mw_option_integer(L, 2, "line", 4, LINE_MOST, 0);
    luaL_argcheck(L, line % 4 == 0, 2, "option 'line': a multiple of 4 expected");
    size_t step = line ? line / 4 * 3 : size + 1;
    size_t room = mw_base64_room(size) + (line ? (size / step + 1) * 2 : 0);
    char *text = luaL_buffinitsize(L, &buffer, room);
    size_t written = 0;
    for (size_t at = 0; at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        written += mw_base64_encode(&kind, data + at, piece, text + written);
        if (line) {
            text[written++] = '\r';
            text[written++] = '\n';
        }
    }
    luaL_pushresultsize(&buffer, written);
    return 1;
}

static int decode_base64(lua_State *L, const char *name, const struct mw_base64 *kind) {
    luaL_Buffer buffer;
    struct mw_codec_fault fault;
    size_t length, size = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    char *data = luaL_buffinitsize(L, &buffer, length);
    bool good = mw_base64_decode(kind, text, length, data, &size, &fault);
    return push_decoded(L, &buffer, good, size) ? 1 : push_refusal(L, name, &fault);
}

/* base64_decode(text, { spaced = true }) → data | nil, err, code, place */
static int base64_decode(lua_State *L) {
    static const char *const known[] = {"spaced", NULL};
    mw_check_options(L, 2, known);
    struct mw_base64 kind = {.padded = true, .spaced = mw_option_boolean(L, 2, "spaced", false)};
    return decode_base64(L, "base64", &kind);
}

/* base64url_encode(data) → text */
static int base64url_encode(lua_State *L) {
    static const struct mw_base64 kind = {.url = true};
    luaL_Buffer buffer;
    size_t size;
    const char *data = check_data(L, &size);
    char *text = luaL_buffinitsize(L, &buffer, mw_base64_room(size));
    luaL_pushresultsize(&buffer, mw_base64_encode(&kind, data, size, text));
    return 1;
}

/* base64url_decode(text) → data | nil, err, code, place */
static int base64url_decode(lua_State *L) {
    static const struct mw_base64 kind = {.url = true};
    return decode_base64(L, "base64url", &kind);
}

/* --- hex --- */

/* hex_encode(data) → text */
static int hex_encode(lua_State *L) {
    luaL_Buffer buffer;
    size_t size;
    const char *data = check_data(L, &size);
    mw_hex_encode(data, size, luaL_buffinitsize(L, &buffer, size * 2));
    luaL_pushresultsize(&buffer, size * 2);
    return 1;
}

/* hex_decode(text) → data | nil, err, code, place */
static int hex_decode(lua_State *L) {
    luaL_Buffer buffer;
    struct mw_codec_fault fault;
    size_t length, size = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    char *data = luaL_buffinitsize(L, &buffer, length / 2 + 1);
    bool good = mw_hex_decode(text, length, data, &size, &fault);
    return push_decoded(L, &buffer, good, size) ? 1 : push_refusal(L, "hex", &fault);
}

/* --- percent encoding --- */

static bool check_plus(lua_State *L) {
    static const char *const known[] = {"plus", NULL};
    mw_check_options(L, 2, known);
    return mw_option_boolean(L, 2, "plus", false);
}

/* url_encode(data, { plus = true }) → text */
static int url_encode(lua_State *L) {
    luaL_Buffer buffer;
    size_t size;
    const char *data = check_data(L, &size);
    bool plus = check_plus(L);
    char *text = luaL_buffinitsize(L, &buffer, size * 3);
    luaL_pushresultsize(&buffer, mw_url_encode(plus, data, size, text));
    return 1;
}

/* url_decode(text, { plus = true }) → data | nil, err, code, place */
static int url_decode(lua_State *L) {
    luaL_Buffer buffer;
    struct mw_codec_fault fault;
    size_t length, size = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    bool plus = check_plus(L);
    char *data = luaL_buffinitsize(L, &buffer, length);
    bool good = mw_url_decode(plus, text, length, data, &size, &fault);
    return push_decoded(L, &buffer, good, size) ? 1 : push_refusal(L, "url", &fault);
}

/* --- quoted-printable --- */

/* quoted_printable_encode(data, { binary = true }) → text */
static int qp_encode(lua_State *L) {
    static const char *const known[] = {"binary", NULL};
    luaL_Buffer buffer;
    size_t size;
    const char *data = check_data(L, &size);
    mw_check_options(L, 2, known);
    bool binary = mw_option_boolean(L, 2, "binary", false);
    char *text = luaL_buffinitsize(L, &buffer, mw_qp_room(size));
    luaL_pushresultsize(&buffer, mw_qp_encode(binary, data, size, text));
    return 1;
}

/* quoted_printable_decode(text) → data | nil, err, code, place */
static int qp_decode(lua_State *L) {
    luaL_Buffer buffer;
    struct mw_codec_fault fault;
    size_t length, size = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    char *data = luaL_buffinitsize(L, &buffer, length);
    bool good = mw_qp_decode(text, length, data, &size, &fault);
    return push_decoded(L, &buffer, good, size) ? 1 : push_refusal(L, "quoted-printable", &fault);
}

static const luaL_Reg functions[] = {
    {"base64_encode", base64_encode},
    {"base64_decode", base64_decode},
    {"base64url_encode", base64url_encode},
    {"base64url_decode", base64url_decode},
    {"hex_encode", hex_encode},
    {"hex_decode", hex_decode},
    {"url_encode", url_encode},
    {"url_decode", url_decode},
    {"quoted_printable_encode", qp_encode},
    {"quoted_printable_decode", qp_decode},
    {NULL, NULL},
};

void mw_l_codec_open(lua_State *L) {
    mw_set_functions(L, "codec", functions);
}
