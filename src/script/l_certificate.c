#include "script/l_certificate.h"

#include "net/tls_certificate.h"

#include <lauxlib.h>

static const char TYPE[] = "moonwire.certificate";

static int certificate_gc(lua_State *L) {
    mw_tls_certificate_free(lua_touserdata(L, 1));
    return 0;
}

/* In a userdata: whatever raises, the collector frees it. */
static const struct mw_tls_certificate *push_read(lua_State *L, void *x509) {
    struct mw_tls_certificate *certificate = lua_newuserdatauv(L, sizeof *certificate, 0);
    if (!mw_tls_certificate_read(certificate, x509)) {
        luaL_error(L, "not enough memory to read a certificate");
        return NULL;
    }
    if (luaL_newmetatable(L, TYPE)) {
        lua_pushcfunction(L, certificate_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return certificate;
}

static void set_text(lua_State *L, const char *key, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void set_names(lua_State *L, char *const *names) {
    lua_newtable(L);
    for (lua_Integer i = 1; *names; i++) {
        lua_pushstring(L, *names++);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "names");
}

static void set_fingerprint(lua_State *L, const unsigned char *digest) {
    static const char digits[] = "0123456789abcdef";
    char text[2 * MW_TLS_FINGERPRINT];
    for (size_t i = 0; i < MW_TLS_FINGERPRINT; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    lua_pushlstring(L, text, sizeof text);
    lua_setfield(L, -2, "fingerprint");
}

void mw_l_certificate_push(lua_State *L, void *x509) {
    const struct mw_tls_certificate *certificate = push_read(L, x509);
    lua_createtable(L, 0, 9);
    set_text(L, "subject", certificate->subject);
    set_text(L, "issuer", certificate->issuer);
    set_text(L, "common_name", certificate->common_name);
    set_names(L, certificate->names);
    set_text(L, "serial", certificate->serial);
    lua_pushinteger(L, (lua_Integer)certificate->not_before);
    lua_setfield(L, -2, "not_before");
    lua_pushinteger(L, (lua_Integer)certificate->not_after);
    lua_setfield(L, -2, "not_after");
    set_fingerprint(L, certificate->fingerprint);
    set_text(L, "pem", certificate->pem);
    lua_remove(L, -2);
}
