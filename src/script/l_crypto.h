/* moonwire.core.crypto: what OpenSSL computes, for scripts. Each part has a file. */
#ifndef MW_SCRIPT_L_CRYPTO_H
#define MW_SCRIPT_L_CRYPTO_H

#include <lua.h>
#include <openssl/evp.h>

/* Registers the types and adds the field `crypto` to the table on top of the stack. */
void mw_l_crypto_open(lua_State *L);
void mw_l_digest_open(lua_State *L);
void mw_l_key_open(lua_State *L);

/* The digest that the name at `index`, or the option `key` of the table there,
 * names; SHA-256 when the option is absent. Raises for others. */
const EVP_MD *mw_l_crypto_check_digest(lua_State *L, int index);
const EVP_MD *mw_l_crypto_digest_option(lua_State *L, int index, const char *key);

/* A string of bytes at `index`, short enough for OpenSSL's lengths. */
const char *mw_l_crypto_check_bytes(lua_State *L, int index, size_t *size);

/* Pushes nil, "WHAT: reason", "invalid", the reason being OpenSSL's, and forgets it. */
int mw_l_crypto_push_fault(lua_State *L, const char *what);

/* The same with its reason in the words of the caller. */
int mw_l_crypto_refuse(lua_State *L, const char *what, const char *why);

int mw_l_digest(lua_State *L);
int mw_l_digest_new(lua_State *L);
int mw_l_hmac(lua_State *L);
int mw_l_hkdf(lua_State *L);
int mw_l_pbkdf2(lua_State *L);
int mw_l_scrypt(lua_State *L);
int mw_l_seal(lua_State *L);
int mw_l_unseal(lua_State *L);
int mw_l_key_generate(lua_State *L);
int mw_l_key_read(lua_State *L);

#endif
