/* Authenticated encryption. A sealed text is nonce, ciphertext and tag, or the
 * last two when the script names the nonce. */
#include "script/check.h"
#include "script/l_crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

enum { NONCE = 12, TAG = 16 }; /* bytes */

struct box {
    const EVP_CIPHER *cipher;
    const char *name;
    const unsigned char *key, *nonce, *aad;
    size_t aad_size;
    bool own_nonce; /* it was not named: it stands before the text */
};

static const struct {
    const char *name;
    const EVP_CIPHER *(*cipher)(void);
} ciphers[] = {
    {"aes-256-gcm", EVP_aes_256_gcm},
    {"aes-128-gcm", EVP_aes_128_gcm},
    {"chacha20-poly1305", EVP_chacha20_poly1305},
};

static void choose_cipher(lua_State *L, int index, struct box *box) {
    const char *name = mw_option_string(L, index, "cipher");
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        if (!name || strcmp(ciphers[i].name, name) == 0) {
            box->name = ciphers[i].name;
            box->cipher = ciphers[i].cipher();
            return;
        }
    }
    luaL_argerror(L, index,
                  lua_pushfstring(L, "unknown cipher '%s' (known: aes-256-gcm, aes-128-gcm, chacha20-poly1305)", name));
}

/* The string option, NULL when it is absent; its value stays on the stack. */
static const unsigned char *bytes_option(lua_State *L, int index, const char *key, size_t *size) {
    if (!mw_option_string(L, index, key)) {
        return NULL;
    }
    lua_getfield(L, index, key);
    return (const unsigned char *)mw_l_crypto_check_bytes(L, -1, size);
}

/* Reads the key at index 1 and the options at index 3. */
static void check_box(lua_State *L, struct box *box) {
    static const char *const known[] = {"cipher", "nonce", "aad", NULL};
    size_t key_size, nonce_size = 0;
    mw_check_options(L, 3, known);
    choose_cipher(L, 3, box);
    box->key = (const unsigned char *)luaL_checklstring(L, 1, &key_size);
    int wanted = EVP_CIPHER_get_key_length(box->cipher);
    if (key_size != (size_t)wanted) {
        luaL_argerror(L, 1, lua_pushfstring(L, "a key of %d bytes expected for %s, got %d", wanted, box->name,
                                            (int)key_size));
    }
    box->nonce = bytes_option(L, 3, "nonce", &nonce_size);
    box->own_nonce = !box->nonce;
    luaL_argcheck(L, box->own_nonce || nonce_size == NONCE, 3, "option 'nonce': 12 bytes expected");
    box->aad = bytes_option(L, 3, "aad", &box->aad_size);
}

static bool encrypt(const struct box *box, const unsigned char *data, size_t size, unsigned char *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int length;
    bool good = context && EVP_EncryptInit_ex(context, box->cipher, NULL, box->key, box->nonce) == 1 &&
                (!box->aad_size || EVP_EncryptUpdate(context, NULL, &length, box->aad, (int)box->aad_size) == 1) &&
                (!size || EVP_EncryptUpdate(context, out, &length, data, (int)size) == 1) &&
                EVP_EncryptFinal_ex(context, out + size, &length) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + size) == 1;
    EVP_CIPHER_CTX_free(context);
    return good;
}

static bool decrypt(const struct box *box, const unsigned char *data, size_t size, unsigned char *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char tag[TAG];
    int length;
    memcpy(tag, data + size, TAG);
    bool good = context && EVP_DecryptInit_ex(context, box->cipher, NULL, box->key, box->nonce) == 1 &&
                (!box->aad_size || EVP_DecryptUpdate(context, NULL, &length, box->aad, (int)box->aad_size) == 1) &&
                (!size || EVP_DecryptUpdate(context, out, &length, data, (int)size) == 1) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
                EVP_DecryptFinal_ex(context, out + size, &length) == 1;
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* seal(key, data, { cipher, nonce, aad }) → sealed */
int mw_l_seal(lua_State *L) {
    struct box box = {.aad_size = 0};
    size_t size;
    const char *data = mw_l_crypto_check_bytes(L, 2, &size);
    check_box(L, &box);
    luaL_Buffer buffer;
    size_t before = box.own_nonce ? NONCE : 0;
    unsigned char *out = (unsigned char *)luaL_buffinitsize(L, &buffer, before + size + TAG);
    if (box.own_nonce) {
        box.nonce = out;
        if (RAND_bytes(out, NONCE) != 1) {
            return mw_l_crypto_push_fault(L, "seal");
        }
    }
    if (!encrypt(&box, (const unsigned char *)data, size, out + before)) {
        return mw_l_crypto_push_fault(L, "seal");
    }
    luaL_pushresultsize(&buffer, before + size + TAG);
    return 1;
}

/* open(key, sealed, { cipher, nonce, aad }) → data | nil, err, code */
int mw_l_unseal(lua_State *L) {
    struct box box = {.aad_size = 0};
    size_t size;
    const unsigned char *sealed = (const unsigned char *)mw_l_crypto_check_bytes(L, 2, &size);
    check_box(L, &box);
    size_t before = box.own_nonce ? NONCE : 0;
    if (size < before + TAG) {
        return mw_l_crypto_refuse(L, "open", "shorter than a sealed text can be");
    }
    if (box.own_nonce) {
        box.nonce = sealed;
    }
    size_t length = size - before - TAG;
    unsigned char *out = lua_newuserdatauv(L, length + 1, 0);
    bool good = decrypt(&box, sealed + before, length, out);
    if (good) {
        lua_pushlstring(L, (const char *)out, length);
    }
    OPENSSL_cleanse(out, length);
    return good ? 1 : mw_l_crypto_refuse(L, "open", "not sealed with this key, or changed since");
}
