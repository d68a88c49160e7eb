#include "script/l_crypto.h"

#include "script/check.h"
#include "script/fault.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <string.h>

enum { RANDOM_MOST = 1024 * 1024, BYTES_MOST = 1 << 30 };

static const struct {
    const char *name;
    const EVP_MD *(*digest)(void);
} digests[] = {
    {"md5", EVP_md5},           {"sha1", EVP_sha1},         {"sha224", EVP_sha224},
    {"sha256", EVP_sha256},     {"sha384", EVP_sha384},     {"sha512", EVP_sha512},
    {"sha3-256", EVP_sha3_256}, {"sha3-512", EVP_sha3_512}, {"blake2b512", EVP_blake2b512},
};

enum { DIGESTS = sizeof digests / sizeof *digests };

static const EVP_MD *digest_named(const char *name) {
    for (size_t i = 0; i < DIGESTS; i++) {
        if (strcmp(digests[i].name, name) == 0) {
            return digests[i].digest();
        }
    }
    return NULL;
}

static const EVP_MD *refuse_digest(lua_State *L, int index, const char *name) {
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < DIGESTS; i++) {
        luaL_addstring(&buffer, digests[i].name);
        luaL_addstring(&buffer, i + 1 < DIGESTS ? ", " : "");
    }
    luaL_pushresult(&buffer);
    luaL_argerror(L, index, lua_pushfstring(L, "unknown digest '%s' (known: %s)", name, lua_tostring(L, -1)));
    return NULL;
}

const EVP_MD *mw_l_crypto_check_digest(lua_State *L, int index) {
    const char *name = luaL_checkstring(L, index);
    const EVP_MD *digest = digest_named(name);
    return digest ? digest : refuse_digest(L, index, name);
}

const EVP_MD *mw_l_crypto_digest_option(lua_State *L, int index, const char *key) {
    const char *name = mw_option_string(L, index, key);
    const EVP_MD *digest = digest_named(name ? name : "sha256");
    return digest ? digest : refuse_digest(L, index, name);
}

const char *mw_l_crypto_check_bytes(lua_State *L, int index, size_t *size) {
    const char *bytes = luaL_checklstring(L, index, size);
    luaL_argcheck(L, *size <= BYTES_MOST, index, "longer than 1 GiB");
    return bytes;
}

int mw_l_crypto_refuse(lua_State *L, const char *what, const char *why) {
    struct mw_fault fault;
    mw_fault_format(&fault, "invalid", "%s: %s", what, why);
    return mw_push_fault(L, &fault);
}

int mw_l_crypto_push_fault(lua_State *L, const char *what) {
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return mw_l_crypto_refuse(L, what, why ? why : "failed");
}

/* --- random --- */

static int fill_random(lua_State *L, void *bytes, size_t size) {
    if (RAND_bytes(bytes, (int)size) != 1) {
        ERR_clear_error();
        return luaL_error(L, "the system gives no random bytes");
    }
    return 0;
}

/* random_bytes(count) → bytes */
static int random_bytes(lua_State *L) {
    luaL_Buffer buffer;
    size_t size = mw_check_count(L, 1, 1, RANDOM_MOST);
    fill_random(L, luaL_buffinitsize(L, &buffer, size), size);
    luaL_pushresultsize(&buffer, size);
    return 1;
}

/* random_integer(low, high) → integer, each with the same probability */
static int random_integer(lua_State *L) {
    lua_Integer low = luaL_checkinteger(L, 1), high = luaL_checkinteger(L, 2);
    luaL_argcheck(L, low <= high, 2, "below the lowest");
    uint64_t span = (uint64_t)high - (uint64_t)low, value, mask = span;
    for (unsigned shift = 1; shift < 64; shift *= 2) {
        mask |= mask >> shift;
    }
    do {
        fill_random(L, &value, sizeof value);
        value &= mask;
    } while (value > span);
    value += (uint64_t)low;
    lua_pushinteger(L, (lua_Integer)value);
    return 1;
}

/* equal(a, b) → boolean, in a time that tells nothing but the lengths */
static int equal(lua_State *L) {
    size_t a_size, b_size;
    const char *a = luaL_checklstring(L, 1, &a_size), *b = luaL_checklstring(L, 2, &b_size);
    lua_pushboolean(L, a_size == b_size && CRYPTO_memcmp(a, b, a_size) == 0);
    return 1;
}

static const luaL_Reg functions[] = {
    {"random_bytes", random_bytes},
    {"random_integer", random_integer},
    {"equal", equal},
    {"digest", mw_l_digest},
    {"new_digest", mw_l_digest_new},
    {"hmac", mw_l_hmac},
    {"hkdf", mw_l_hkdf},
    {"pbkdf2", mw_l_pbkdf2},
    {"scrypt", mw_l_scrypt},
    {"seal", mw_l_seal},
    {"open", mw_l_unseal},
    {"generate_key", mw_l_key_generate},
    {"read_key", mw_l_key_read},
    {NULL, NULL},
};

void mw_l_crypto_open(lua_State *L) {
    mw_l_digest_open(L);
    mw_l_key_open(L);
    mw_set_functions(L, "crypto", functions);
}
