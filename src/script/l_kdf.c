/* Keys from passwords: slow on purpose, therefore on the threads of the pool. */
#include "script/check.h"
#include "script/fault.h"
#include "script/l_crypto.h"
#include "script/l_job.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdint.h>
#include <string.h>

enum {
    LENGTH_DEFAULT = 32,
    LENGTH_MOST = 1024,
    SECRET_MOST = 64 * 1024, /* bytes of a password or salt */
    ITERATIONS_DEFAULT = 600000,
    SCRYPT_N_DEFAULT = 32768,
    SCRYPT_R_DEFAULT = 8,
    SCRYPT_P_DEFAULT = 3,
    SCRYPT_N_MOST = 1 << 24,
    FACTOR_MOST = 1024,
};

static const lua_Integer ROUNDS_MOST = 50000000;            /* of a digest: about half a minute */
static const lua_Integer SCRYPT_MEMORY_MOST = 256L << 20;    /* bytes */
static const lua_Integer SCRYPT_WORK_MOST = (lua_Integer)1 << 26; /* blocks of 128 bytes: about half a minute */

/* What goes in and what comes out; all that is secret is in `bytes`. */
struct deriving {
    struct mw_l_job job;
    const EVP_MD *digest; /* NULL: scrypt */
    lua_Integer iterations;
    uint64_t n, r, p;
    size_t password_size, salt_size, length;
    bool good;
    unsigned char bytes[]; /* the password, the salt, the result */
};

static void work(struct mw_l_job *job) {
    struct deriving *deriving = mw_list_owner(job, struct deriving, job);
    const char *password = (const char *)deriving->bytes;
    const unsigned char *salt = deriving->bytes + deriving->password_size;
    unsigned char *result = deriving->bytes + deriving->password_size + deriving->salt_size;
    if (deriving->digest) {
        deriving->good = PKCS5_PBKDF2_HMAC(password, (int)deriving->password_size, salt, (int)deriving->salt_size,
                                           (int)deriving->iterations, deriving->digest, (int)deriving->length,
                                           result) == 1;
    } else {
        deriving->good = EVP_PBE_scrypt(password, deriving->password_size, salt, deriving->salt_size, deriving->n,
                                        deriving->r, deriving->p, (uint64_t)SCRYPT_MEMORY_MOST * 2, result,
                                        deriving->length) == 1;
    }
    ERR_clear_error();
}

static int push(lua_State *L, struct mw_l_job *job) {
    struct deriving *deriving = mw_list_owner(job, struct deriving, job);
    if (!deriving->good) {
        struct mw_fault fault;
        mw_fault_format(&fault, "memory", "%s: not enough memory", job->kind->wait.name);
        return mw_push_fault(L, &fault);
    }
    const unsigned char *result = deriving->bytes + deriving->password_size + deriving->salt_size;
    lua_pushlstring(L, (const char *)result, deriving->length);
    return 1;
}

static void release(struct mw_l_job *job) {
    struct deriving *deriving = mw_list_owner(job, struct deriving, job);
    OPENSSL_cleanse(deriving->bytes, deriving->password_size + deriving->salt_size + deriving->length);
}

static const struct mw_l_job_kind pbkdf2_kind = {
    .wait = MW_L_JOB_WAIT("pbkdf2"), .work = work, .push = push, .release = release};
static const struct mw_l_job_kind scrypt_kind = {
    .wait = MW_L_JOB_WAIT("scrypt"), .work = work, .push = push, .release = release};

/* A job with the password at index 1 and the salt at index 2 in it. */
static struct deriving *push_deriving(lua_State *L, const struct mw_l_job_kind *kind, size_t length) {
    size_t password_size, salt_size;
    const char *password = luaL_checklstring(L, 1, &password_size);
    const char *salt = luaL_checklstring(L, 2, &salt_size);
    struct deriving *deriving = mw_l_job_push(L, kind, sizeof *deriving + password_size + salt_size + length);
    deriving->password_size = password_size;
    deriving->salt_size = salt_size;
    deriving->length = length;
    memcpy(deriving->bytes, password, password_size);
    memcpy(deriving->bytes + password_size, salt, salt_size);
    return deriving;
}

static void check_secrets(lua_State *L) {
    size_t size;
    for (int i = 1; i <= 2; i++) {
        luaL_checklstring(L, i, &size);
        luaL_argcheck(L, size <= SECRET_MOST, i, "longer than 64 KiB");
    }
}

/* pbkdf2(password, salt, { digest, iterations, length }) → bytes | nil, err, code */
int mw_l_pbkdf2(lua_State *L) {
    static const char *const known[] = {"digest", "iterations", "length", NULL};
    check_secrets(L);
    mw_check_options(L, 3, known);
    const EVP_MD *digest = mw_l_crypto_digest_option(L, 3, "digest");
    lua_Integer iterations = mw_option_integer(L, 3, "iterations", 1, ROUNDS_MOST, ITERATIONS_DEFAULT);
    lua_Integer length = mw_option_integer(L, 3, "length", 1, LENGTH_MOST, LENGTH_DEFAULT);
    lua_Integer blocks = (length - 1) / EVP_MD_get_size(digest) + 1;
    luaL_argcheck(L, iterations <= ROUNDS_MOST / blocks, 3, "option 'iterations': too many for this 'length'");
    struct deriving *deriving = push_deriving(L, &pbkdf2_kind, (size_t)length);
    deriving->digest = digest;
    deriving->iterations = iterations;
    return mw_l_job_run(L, &deriving->job);
}

/* scrypt(password, salt, { n, r, p, length }) → bytes | nil, err, code */
int mw_l_scrypt(lua_State *L) {
    static const char *const known[] = {"n", "r", "p", "length", NULL};
    check_secrets(L);
    mw_check_options(L, 3, known);
    lua_Integer n = mw_option_integer(L, 3, "n", 2, SCRYPT_N_MOST, SCRYPT_N_DEFAULT);
    lua_Integer r = mw_option_integer(L, 3, "r", 1, FACTOR_MOST, SCRYPT_R_DEFAULT);
    lua_Integer p = mw_option_integer(L, 3, "p", 1, FACTOR_MOST, SCRYPT_P_DEFAULT);
    lua_Integer length = mw_option_integer(L, 3, "length", 1, LENGTH_MOST, LENGTH_DEFAULT);
    luaL_argcheck(L, (n & (n - 1)) == 0, 3, "option 'n': a power of 2 expected");
    luaL_argcheck(L, 128 * r * (n + p) <= SCRYPT_MEMORY_MOST, 3, "options 'n' and 'r': more than 256 MiB of memory");
    luaL_argcheck(L, n * r * p <= SCRYPT_WORK_MOST, 3, "options 'n', 'r' and 'p': more work than is allowed");
    struct deriving *deriving = push_deriving(L, &scrypt_kind, (size_t)length);
    deriving->n = (uint64_t)n;
    deriving->r = (uint64_t)r;
    deriving->p = (uint64_t)p;
    return mw_l_job_run(L, &deriving->job);
}
