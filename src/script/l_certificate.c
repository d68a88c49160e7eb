#include "script/l_certificate.h"

#include <lauxlib.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <time.h>

static const char TYPE[] = "moonwire.certificate.text";

/* A memory BIO in a userdata: whatever raises while it is read, the collector frees it. */
static int free_bio(lua_State *L) {
    BIO **bio = lua_touserdata(L, 1);
    BIO_free(*bio);
    *bio = NULL;
    return 0;
}

static BIO *push_bio(lua_State *L) {
    BIO **bio = lua_newuserdatauv(L, sizeof *bio, 0);
    *bio = NULL;
    if (luaL_newmetatable(L, TYPE)) {
        lua_pushcfunction(L, free_bio);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *bio = BIO_new(BIO_s_mem());
    if (!*bio) {
        luaL_error(L, "not enough memory");
    }
    return *bio;
}

/* Replaces the BIO on top by what was written into it. */
static void take_text(lua_State *L, BIO *bio) {
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    lua_pushlstring(L, size > 0 ? bytes : "", size > 0 ? (size_t)size : 0);
    lua_replace(L, -2);
}

static void push_name(lua_State *L, const X509_NAME *name) {
    BIO *bio = push_bio(L);
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    take_text(L, bio);
}

static void push_pem(lua_State *L, X509 *certificate) {
    BIO *bio = push_bio(L);
    PEM_write_bio_X509(bio, certificate);
    take_text(L, bio);
}

static void push_serial(lua_State *L, X509 *certificate) {
    BIO *bio = push_bio(L);
    i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate));
    take_text(L, bio);
}

static void push_time(lua_State *L, const ASN1_TIME *moment) {
    struct tm parts;
    if (ASN1_TIME_to_tm(moment, &parts)) {
        lua_pushinteger(L, (lua_Integer)timegm(&parts));
    } else {
        lua_pushnil(L);
    }
}

static void push_fingerprint(lua_State *L, X509 *certificate) {
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    luaL_Buffer buffer;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    luaL_buffinit(L, &buffer);
    for (unsigned i = 0; i < size; i++) {
        luaL_addchar(&buffer, digits[digest[i] >> 4]);
        luaL_addchar(&buffer, digits[digest[i] & 15]);
    }
    luaL_pushresult(&buffer);
}

/* Pushes a name that the certificate is for; false: it is of a kind that has no text. */
static bool push_alternative(lua_State *L, const GENERAL_NAME *name) {
    char text[INET6_ADDRSTRLEN];
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI) {
        lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        return true;
    }
    if (type != GEN_IPADD || (ASN1_STRING_length(value) != 4 && ASN1_STRING_length(value) != 16)) {
        return false;
    }
    int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
    lua_pushstring(L, inet_ntop(family, ASN1_STRING_get0_data(value), text, sizeof text));
    return true;
}

/* In a userdata for the same reason as the BIOs. */
static int free_names(lua_State *L) {
    GENERAL_NAMES **names = lua_touserdata(L, 1);
    GENERAL_NAMES_free(*names);
    *names = NULL;
    return 0;
}

static void push_names(lua_State *L, X509 *certificate) {
    lua_newtable(L);
    GENERAL_NAMES **names = lua_newuserdatauv(L, sizeof *names, 0);
    *names = NULL;
    if (luaL_newmetatable(L, "moonwire.certificate.names")) {
        lua_pushcfunction(L, free_names);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    lua_Integer count = 0;
    for (int i = 0; *names && i < sk_GENERAL_NAME_num(*names); i++) {
        if (push_alternative(L, sk_GENERAL_NAME_value(*names, i))) {
            lua_rawseti(L, -3, ++count);
        }
    }
    lua_pop(L, 1);
}

void mw_l_certificate_push(lua_State *L, void *certificate) {
    X509 *x509 = certificate;
    lua_createtable(L, 0, 8);
    push_name(L, X509_get_subject_name(x509));
    lua_setfield(L, -2, "subject");
    push_name(L, X509_get_issuer_name(x509));
    lua_setfield(L, -2, "issuer");
    push_names(L, x509);
    lua_setfield(L, -2, "names");
    push_serial(L, x509);
    lua_setfield(L, -2, "serial");
    push_time(L, X509_get0_notBefore(x509));
    lua_setfield(L, -2, "not_before");
    push_time(L, X509_get0_notAfter(x509));
    lua_setfield(L, -2, "not_after");
    push_fingerprint(L, x509);
    lua_setfield(L, -2, "fingerprint");
    push_pem(L, x509);
    lua_setfield(L, -2, "pem");
    ERR_clear_error();
}
