/* Digests at once and bit by bit, HMAC, HKDF. */
#include "script/check.h"
#include "script/l_crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

static const char TYPE[] = "moonwire.digest";

struct digest {
    EVP_MD_CTX *context; /* NULL once it is finished */
};

/* digest(name, data) → bytes */
int mw_l_digest(lua_State *L) {
    unsigned char result[EVP_MAX_MD_SIZE];
    unsigned length;
    size_t size;
    const EVP_MD *digest = mw_l_crypto_check_digest(L, 1);
    const char *data = luaL_checklstring(L, 2, &size);
    if (EVP_Digest(data, size, result, &length, digest, NULL) != 1) {
        return mw_l_crypto_push_fault(L, "digest");
    }
    lua_pushlstring(L, (const char *)result, length);
    return 1;
}

/* new_digest(name) → digest */
int mw_l_digest_new(lua_State *L) {
    const EVP_MD *kind = mw_l_crypto_check_digest(L, 1);
    struct digest *digest = lua_newuserdatauv(L, sizeof *digest, 0);
    digest->context = NULL;
    luaL_setmetatable(L, TYPE);
    digest->context = EVP_MD_CTX_new();
    if (!digest->context) {
        return luaL_error(L, "not enough memory");
    }
    return EVP_DigestInit_ex(digest->context, kind, NULL) == 1 ? 1 : mw_l_crypto_push_fault(L, "digest");
}

static struct digest *check_digest(lua_State *L) {
    struct digest *digest = luaL_checkudata(L, 1, TYPE);
    luaL_argcheck(L, digest->context, 1, "a digest that is not finished expected");
    return digest;
}

/* digest:update(data, …) → digest */
static int digest_update(lua_State *L) {
    struct digest *digest = check_digest(L);
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) {
        luaL_checkstring(L, i);
    }
    for (int i = 2; i <= count; i++) {
        size_t size;
        const char *data = lua_tolstring(L, i, &size);
        if (EVP_DigestUpdate(digest->context, data, size) != 1) {
            return luaL_error(L, "not enough memory");
        }
    }
    lua_settop(L, 1);
    return 1;
}

static void forget(struct digest *digest) {
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

/* digest:finish() → bytes */
static int digest_finish(lua_State *L) {
    unsigned char result[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    struct digest *digest = check_digest(L);
    int good = EVP_DigestFinal_ex(digest->context, result, &length);
    forget(digest);
    if (good != 1) {
        return mw_l_crypto_push_fault(L, "digest");
    }
    lua_pushlstring(L, (const char *)result, length);
    return 1;
}

static int digest_gc(lua_State *L) {
    forget(luaL_checkudata(L, 1, TYPE));
    return 0;
}

static int digest_tostring(lua_State *L) {
    struct digest *digest = luaL_checkudata(L, 1, TYPE);
    const char *name = digest->context ? EVP_MD_get0_name(EVP_MD_CTX_get0_md(digest->context)) : "finished";
    lua_pushfstring(L, "%s: %s", TYPE, name);
    return 1;
}

/* hmac(name, key, data) → bytes */
int mw_l_hmac(lua_State *L) {
    unsigned char result[EVP_MAX_MD_SIZE];
    unsigned length;
    size_t key_size, size;
    const EVP_MD *digest = mw_l_crypto_check_digest(L, 1);
    const char *key = mw_l_crypto_check_bytes(L, 2, &key_size);
    const char *data = luaL_checklstring(L, 3, &size);
    if (!HMAC(digest, key, (int)key_size, (const unsigned char *)data, size, result, &length)) {
        return mw_l_crypto_push_fault(L, "hmac");
    }
    lua_pushlstring(L, (const char *)result, length);
    return 1;
}

struct hkdf {
    const EVP_MD *digest;
    const char *key, *salt, *info;
    size_t key_size, salt_size, info_size;
};

static bool derive(const struct hkdf *from, unsigned char *result, size_t length) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    bool good =
        context && EVP_PKEY_derive_init(context) == 1 &&
        EVP_PKEY_CTX_set_hkdf_md(context, from->digest) == 1 &&
        EVP_PKEY_CTX_set1_hkdf_salt(context, (const unsigned char *)from->salt, (int)from->salt_size) == 1 &&
        EVP_PKEY_CTX_set1_hkdf_key(context, (const unsigned char *)from->key, (int)from->key_size) == 1 &&
        EVP_PKEY_CTX_add1_hkdf_info(context, (const unsigned char *)from->info, (int)from->info_size) == 1 &&
        EVP_PKEY_derive(context, result, &length) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}

/* The string option, "" when it is absent. */
static const char *bytes_option(lua_State *L, int index, const char *key, size_t *size) {
    *size = 0;
    if (!mw_option_string(L, index, key)) {
        return "";
    }
    lua_getfield(L, index, key);
    return mw_l_crypto_check_bytes(L, -1, size);
}

/* hkdf(name, key, length, { salt, info }) → bytes */
int mw_l_hkdf(lua_State *L) {
    static const char *const known[] = {"salt", "info", NULL};
    struct hkdf from = {.digest = mw_l_crypto_check_digest(L, 1)};
    from.key = mw_l_crypto_check_bytes(L, 2, &from.key_size);
    luaL_argcheck(L, from.key_size > 0, 2, "an empty key");
    size_t length = mw_check_count(L, 3, 1, 255 * EVP_MD_get_size(from.digest));
    mw_check_options(L, 4, known);
    from.salt = bytes_option(L, 4, "salt", &from.salt_size);
    from.info = bytes_option(L, 4, "info", &from.info_size);
    unsigned char *result = lua_newuserdatauv(L, length, 0);
    if (!derive(&from, result, length)) {
        return mw_l_crypto_push_fault(L, "hkdf");
    }
    lua_pushlstring(L, (const char *)result, length);
    OPENSSL_cleanse(result, length);
    return 1;
}

static const luaL_Reg methods[] = {{"update", digest_update}, {"finish", digest_finish}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", digest_gc}, {"__tostring", digest_tostring}, {NULL, NULL}};

void mw_l_digest_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
