/* Private and public keys: signatures, PEM. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_crypto.h"
#include "script/l_job.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

static const char TYPE[] = "moonwire.key";

enum {
    PEM_MOST = 64 * 1024,       /* bytes */
    PEM_WRITTEN_MOST = 16384,   /* bytes */
    PASSWORD_MOST = 1024,       /* bytes */
    SIGNATURE_MOST = 16384 / 8, /* bytes, of the largest RSA key that OpenSSL takes */
    RSA_BITS_LEAST = 2048,
    RSA_BITS_DEFAULT = 3072,
    RSA_BITS_MOST = 8192,
};

struct key {
    EVP_PKEY *pkey;
    bool is_private;
};

static struct key *check_key(lua_State *L) {
    return luaL_checkudata(L, 1, TYPE);
}

static struct key *check_private_key(lua_State *L) {
    struct key *key = check_key(L);
    luaL_argcheck(L, key->is_private, 1, "a private key expected, got a public one");
    return key;
}

/* Pushes a key without a value yet. */
static struct key *push_key(lua_State *L) {
    struct key *key = lua_newuserdatauv(L, sizeof *key, 0);
    *key = (struct key){.pkey = NULL};
    luaL_setmetatable(L, TYPE);
    return key;
}

static int key_gc(lua_State *L) {
    struct key *key = check_key(L);
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
    return 0;
}

/* NULL: none that is known here. */
static const char *kind_of(const EVP_PKEY *pkey) {
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_ED25519:
        return "ed25519";
    case EVP_PKEY_RSA:
        return "rsa";
    case EVP_PKEY_EC:
        return "ec";
    default:
        return NULL;
    }
}

/* key:kind() → "ed25519", "rsa", "ec" */
static int key_kind(lua_State *L) {
    lua_pushstring(L, kind_of(check_key(L)->pkey));
    return 1;
}

/* key:is_private() → boolean */
static int key_is_private(lua_State *L) {
    lua_pushboolean(L, check_key(L)->is_private);
    return 1;
}

static int key_tostring(lua_State *L) {
    const struct key *key = check_key(L);
    const char *kind = kind_of(key->pkey);
    lua_pushfstring(L, "%s: %s %s", TYPE, kind ? kind : "unknown", key->is_private ? "private" : "public");
    return 1;
}

/* --- signatures --- */

struct scheme {
    const EVP_MD *digest; /* NULL: the key has its own */
    bool pss, pkcs1;
};

static struct scheme check_scheme(lua_State *L, int index, const EVP_PKEY *pkey) {
    static const char *const known[] = {"digest", "padding", NULL};
    mw_check_options(L, index, known);
    const char *padding = mw_option_string(L, index, "padding");
    bool rsa = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA, pkcs1 = padding && strcmp(padding, "pkcs1") == 0;
    luaL_argcheck(L, !padding || pkcs1 || strcmp(padding, "pss") == 0, index,
                  "option 'padding': \"pss\" or \"pkcs1\" expected");
    luaL_argcheck(L, rsa || !padding, index, "option 'padding' is for RSA keys");
    struct scheme scheme = {.digest = mw_l_crypto_digest_option(L, index, "digest"), .pss = rsa && !pkcs1, .pkcs1 = pkcs1};
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
        luaL_argcheck(L, !mw_option_string(L, index, "digest"), index, "option 'digest' is not for Ed25519 keys");
        scheme.digest = NULL;
    }
    return scheme;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct scheme *scheme) {
    if (scheme->pss) {
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    return !scheme->pkcs1 || EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
}

/* key:sign(data, { digest, padding }) → signature | nil, err, code */
static int key_sign(lua_State *L) {
    const struct key *key = check_private_key(L);
    size_t size, length = SIGNATURE_MOST;
    unsigned char signature[SIGNATURE_MOST];
    const char *data = luaL_checklstring(L, 2, &size);
    struct scheme scheme = check_scheme(L, 3, key->pkey);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    bool good = context && EVP_DigestSignInit(context, &inner, scheme.digest, NULL, key->pkey) == 1 &&
                set_padding(inner, &scheme) &&
                EVP_DigestSign(context, signature, &length, (const unsigned char *)data, size) == 1;
    EVP_MD_CTX_free(context);
    if (!good) {
        return mw_l_crypto_push_fault(L, "sign");
    }
    lua_pushlstring(L, (const char *)signature, length);
    return 1;
}

/* key:verify(data, signature, { digest, padding }) → boolean */
static int key_verify(lua_State *L) {
    const struct key *key = check_key(L);
    size_t size, length;
    const char *data = luaL_checklstring(L, 2, &size);
    const char *signature = luaL_checklstring(L, 3, &length);
    struct scheme scheme = check_scheme(L, 4, key->pkey);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    bool good = context && EVP_DigestVerifyInit(context, &inner, scheme.digest, NULL, key->pkey) == 1 &&
                set_padding(inner, &scheme) &&
                EVP_DigestVerify(context, (const unsigned char *)signature, length, (const unsigned char *)data,
                                 size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    lua_pushboolean(L, good);
    return 1;
}

/* --- PEM --- */

/* Pushes what was written, if that went well, wipes and frees it. */
static int push_pem(lua_State *L, BIO *bio, bool good, const char *what) {
    char text[PEM_WRITTEN_MOST], *written = NULL;
    long length = bio ? BIO_get_mem_data(bio, &written) : 0;
    good = good && length > 0 && length <= PEM_WRITTEN_MOST;
    if (good) {
        memcpy(text, written, (size_t)length);
    }
    if (length > 0) {
        OPENSSL_cleanse(written, (size_t)length);
    }
    BIO_free(bio);
    if (!good) {
        return mw_l_crypto_push_fault(L, what);
    }
    lua_pushlstring(L, text, (size_t)length);
    OPENSSL_cleanse(text, sizeof text);
    return 1;
}

/* key:public_pem() → text */
static int key_public_pem(lua_State *L) {
    const struct key *key = check_key(L);
    BIO *bio = BIO_new(BIO_s_mem());
    return push_pem(L, bio, bio && PEM_write_bio_PUBKEY(bio, key->pkey) == 1, "public_pem");
}

/* The option `password`; NULL when it is absent. */
static const char *check_password(lua_State *L, int index, size_t *size) {
    static const char *const known[] = {"password", NULL};
    *size = 0;
    mw_check_options(L, index, known);
    if (!mw_option_string(L, index, "password")) {
        return NULL;
    }
    lua_getfield(L, index, "password");
    const char *password = lua_tolstring(L, -1, size);
    luaL_argcheck(L, *size > 0 && *size <= PASSWORD_MOST, index, "option 'password': 1 to 1024 bytes expected");
    return password;
}

/* key:private_pem({ password }) → text */
static int key_private_pem(lua_State *L) {
    const struct key *key = check_private_key(L);
    size_t size;
    const char *password = check_password(L, 2, &size);
    const EVP_CIPHER *cipher = password ? EVP_aes_256_cbc() : NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, cipher, password, (int)size, NULL, NULL) == 1;
    return push_pem(L, bio, good, "private_pem");
}

struct secret {
    const char *text; /* NULL: there is none */
    size_t size;
    bool asked; /* set when the key is encrypted */
};

/* OpenSSL asks for the password; nobody at a terminal is asked instead. */
static int give_password(char *buffer, int room, int writing, void *context) {
    struct secret *secret = context;
    (void)writing;
    secret->asked = true;
    if (!secret->text || secret->size > (size_t)room) {
        return -1;
    }
    memcpy(buffer, secret->text, secret->size);
    return (int)secret->size;
}

static EVP_PKEY *read_pem(const char *text, size_t length, struct secret *secret, bool *is_private) {
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_password, secret) : NULL;
    *is_private = pkey != NULL;
    BIO_free(bio);
    if (!pkey && memmem(text, length, "-----BEGIN PUBLIC KEY-----", 26)) {
        ERR_clear_error();
        bio = BIO_new_mem_buf(text, (int)length);
        pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, give_password, secret) : NULL;
        BIO_free(bio);
    }
    return pkey;
}

static int refuse_pem(lua_State *L, const struct secret *secret) {
    ERR_clear_error();
    if (secret->asked) {
        return mw_l_crypto_refuse(L, "read_key",
                                  secret->text ? "the password is wrong" : "it is encrypted, and there is no password");
    }
    return mw_l_crypto_refuse(L, "read_key", "there is neither a private nor a public key in PEM");
}

/* read_key(pem, { password }) → key | nil, err, code */
int mw_l_key_read(lua_State *L) {
    size_t length;
    struct secret secret = {.asked = false};
    const char *text = luaL_checklstring(L, 1, &length);
    secret.text = check_password(L, 2, &secret.size);
    if (length > PEM_MOST) {
        return mw_push_word(L, "too_large");
    }
    struct key *key = push_key(L);
    key->pkey = read_pem(text, length, &secret, &key->is_private);
    if (!key->pkey) {
        return refuse_pem(L, &secret);
    }
    ERR_clear_error();
    return kind_of(key->pkey) ? 1 : mw_l_crypto_refuse(L, "read_key", "neither Ed25519 nor RSA nor EC");
}

/* --- new keys, on a thread: a large RSA key takes seconds --- */

struct generating {
    struct mw_l_job job;
    int type, bits;
    const char *curve; /* static */
    EVP_PKEY *pkey;
};

static bool configure(EVP_PKEY_CTX *context, const struct generating *generating) {
    if (generating->type == EVP_PKEY_RSA) {
        return EVP_PKEY_CTX_set_rsa_keygen_bits(context, generating->bits) == 1;
    }
    return generating->type != EVP_PKEY_EC || EVP_PKEY_CTX_set_group_name(context, generating->curve) == 1;
}

static void generate(struct mw_l_job *job) {
    struct generating *generating = mw_list_owner(job, struct generating, job);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(generating->type, NULL);
    if (!context || EVP_PKEY_keygen_init(context) != 1 || !configure(context, generating) ||
        EVP_PKEY_keygen(context, &generating->pkey) != 1) {
        generating->pkey = NULL;
    }
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
}

static int push_generated(lua_State *L, struct mw_l_job *job) {
    struct generating *generating = mw_list_owner(job, struct generating, job);
    if (!generating->pkey) {
        return mw_l_crypto_refuse(L, "generate_key", "failed");
    }
    struct key *key = push_key(L);
    key->pkey = generating->pkey;
    key->is_private = true;
    generating->pkey = NULL;
    return 1;
}

static void release_generated(struct mw_l_job *job) {
    EVP_PKEY_free(mw_list_owner(job, struct generating, job)->pkey);
}

static const struct mw_l_job_kind generate_kind = {.wait = MW_L_JOB_WAIT("generate_key"),
                                                   .work = generate,
                                                   .push = push_generated,
                                                   .release = release_generated};

static const char *check_curve(lua_State *L, int index) {
    static const char *const names[] = {"p-256", "p-384", "p-521"}, *const theirs[] = {"P-256", "P-384", "P-521"};
    const char *name = mw_option_string(L, index, "curve");
    for (int i = 0; i < 3; i++) {
        if (!name || strcmp(name, names[i]) == 0) {
            return theirs[i];
        }
    }
    luaL_argerror(L, index, "option 'curve': \"p-256\", \"p-384\" or \"p-521\" expected");
    return NULL;
}

/* generate_key(kind, { bits, curve }) → key | nil, err, code */
int mw_l_key_generate(lua_State *L) {
    static const char *const kinds[] = {"ed25519", "rsa", "ec", NULL};
    static const int types[] = {EVP_PKEY_ED25519, EVP_PKEY_RSA, EVP_PKEY_EC};
    static const char *const known[] = {"bits", "curve", NULL};
    int type = types[luaL_checkoption(L, 1, NULL, kinds)];
    mw_check_options(L, 2, known);
    lua_Integer bits = mw_option_integer(L, 2, "bits", RSA_BITS_LEAST, RSA_BITS_MOST, 0);
    luaL_argcheck(L, bits == 0 || type == EVP_PKEY_RSA, 2, "option 'bits' is for RSA keys");
    luaL_argcheck(L, type == EVP_PKEY_EC || !mw_option_string(L, 2, "curve"), 2, "option 'curve' is for EC keys");
    const char *curve = type == EVP_PKEY_EC ? check_curve(L, 2) : NULL;
    struct generating *generating = mw_l_job_push(L, &generate_kind, sizeof *generating);
    generating->type = type;
    generating->bits = bits ? (int)bits : RSA_BITS_DEFAULT;
    generating->curve = curve;
    return mw_l_job_run(L, &generating->job);
}

static const luaL_Reg methods[] = {
    {"kind", key_kind},
    {"is_private", key_is_private},
    {"sign", key_sign},
    {"verify", key_verify},
    {"public_pem", key_public_pem},
    {"private_pem", key_private_pem},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{"__gc", key_gc}, {"__tostring", key_tostring}, {NULL, NULL}};

void mw_l_key_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
}
