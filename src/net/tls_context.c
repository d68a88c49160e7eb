/* Certificates, keys and rules, in the form that OpenSSL wants. */
#include "net/tls_internal.h"
#include "net/tls_pair.h"
#include "net/tls_staple.h"
#include "net/tls_tickets.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* TLS 1.2 with forward secrecy and authenticated encryption only. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"

static bool refuse(struct mw_fault *fault, const char *what) {
    bool memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
    mw_fault_format(fault, memory ? "memory" : "invalid", "tls: %.100s: %.100s", what, mw_tls_last_reason());
    return false;
}

static bool refuse_memory(struct mw_fault *fault) {
    ERR_clear_error();
    mw_fault_format(fault, "memory", "tls: out of memory");
    return false;
}

/* --- what OpenSSL asks while a handshake goes on --- */

static int on_server_name(SSL *ssl, int *alert, void *argument) {
    const struct mw_tls_context *context = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    long group = mw_tls_names_find(context->names, name);
    if (group < 0 && context->name_required) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (group > 0 && !SSL_set_SSL_CTX(ssl, context->groups[group].ctx)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                        const unsigned char *offered, unsigned offered_size, void *argument) {
    const struct mw_tls_context *context = argument;
    unsigned char *name;
    (void)ssl;
    if (SSL_select_next_proto(&name, chosen_size, context->protocols, context->protocols_size, offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
    }
    *chosen = name;
    return SSL_TLSEXT_ERR_OK;
}

/* For servers that want a protocol to be chosen. */
static int on_client_hello(SSL *ssl, int *alert, void *argument) {
    const unsigned char *bytes;
    size_t size;
    (void)argument;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes, &size)) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_status(SSL *ssl, void *argument) {
    const struct mw_tls_group *group = argument;
    return mw_tls_staple_send(group->staples, ssl);
}

/* A client has got a session. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
    const struct mw_tls *tls = mw_tls_of(ssl);
    if (!tls->session_key) {
        return 0;
    }
    mw_tls_sessions_keep(tls->context->sessions, tls->session_key, session);
    return 1;
}

/* --- rules --- */

/* "h2", "http/1.1" → 2 h 2 8 h t t p / 1 . 1 */
static bool pack_protocols(struct mw_tls_context *context, const char *const *protocols, struct mw_fault *fault) {
    size_t size = 0;
    for (size_t i = 0; protocols[i]; i++) {
        size_t length = strlen(protocols[i]);
        if (length == 0 || length > 255) {
            mw_fault_format(fault, "invalid", "tls: the name of a protocol (ALPN) has 1 to 255 bytes");
            return false;
        }
        size += length + 1;
    }
    if (size == 0) {
        return true;
    }
    unsigned char *at = context->protocols = malloc(size);
    if (!at) {
        return refuse_memory(fault);
    }
    context->protocols_size = (unsigned)size;
    for (size_t i = 0; protocols[i]; i++) {
        size_t length = strlen(protocols[i]);
        *at = (unsigned char)length;
        memcpy(at + 1, protocols[i], length);
        at += length + 1;
    }
    return true;
}

/* Only suites that authenticate what they encrypt, whoever wrote the list. */
static bool check_ciphers(SSL_CTX *ctx, struct mw_fault *fault) {
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (!SSL_CIPHER_is_aead(cipher)) {
            mw_fault_format(fault, "invalid", "tls: the cipher suite %s is no AEAD suite", SSL_CIPHER_get_name(cipher));
            return false;
        }
    }
    return true;
}

static bool set_versions(SSL_CTX *ctx, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    if (rules->least_version != 0 && rules->least_version != 12 && rules->least_version != 13) {
        mw_fault_format(fault, "invalid", "tls: the least version is 12 or 13");
        return false;
    }
    int version = rules->least_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (!SSL_CTX_set_min_proto_version(ctx, version) || !SSL_CTX_set1_groups_list(ctx, GROUPS)) {
        return refuse(fault, "version");
    }
    if (!SSL_CTX_set_cipher_list(ctx, rules->ciphers ? rules->ciphers : CIPHERS)) {
        return refuse(fault, "cipher suites");
    }
    return check_ciphers(ctx, fault);
}

static bool set_authorities(SSL_CTX *ctx, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    if (!rules->authorities) {
        return rules->server || SSL_CTX_set_default_verify_paths(ctx) || refuse(fault, "the system's authorities");
    }
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN); /* each of them is trusted as it is */
    STACK_OF(X509_NAME) *names = rules->server ? sk_X509_NAME_new_null() : NULL;
    if (rules->server && !names) {
        return refuse_memory(fault);
    }
    bool loaded = mw_tls_authorities_load(SSL_CTX_get_cert_store(ctx), names, rules->authorities,
                                          rules->authorities_size, rules->authorities_name, fault);
    if (loaded && names) {
        SSL_CTX_set_client_CA_list(ctx, names);
    } else {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    }
    return loaded;
}

static bool set_verify(SSL_CTX *ctx, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    int mode = SSL_VERIFY_NONE;
    if (rules->server && rules->verify != MW_TLS_VERIFY_NONE && !rules->authorities) {
        mw_fault_format(fault, "invalid", "tls: a server that verifies its clients needs the authorities it trusts");
        return false;
    }
    if (rules->verify != MW_TLS_VERIFY_NONE) {
        mode = SSL_VERIFY_PEER;
    }
    if (rules->verify == MW_TLS_VERIFY_REQUIRED) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ctx, mode, mw_tls_on_verified);
    return set_authorities(ctx, rules, fault);
}

static bool set_protocols(struct mw_tls_context *context, SSL_CTX *ctx, struct mw_fault *fault) {
    if (!context->protocols) {
        return true;
    }
    if (!context->server) {
        return SSL_CTX_set_alpn_protos(ctx, context->protocols, context->protocols_size) == 0 || refuse_memory(fault);
    }
    SSL_CTX_set_alpn_select_cb(ctx, on_protocols, context);
    if (context->protocol_required) {
        SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    }
    return true;
}

static void set_sessions(struct mw_tls_context *context, SSL_CTX *ctx) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (context->sessions) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    }
    if (!context->server) {
        return;
    }
    if (context->tickets) {
        mw_tls_tickets_serve(context->tickets, ctx);
    } else {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
}

/* What all connections have in common. */
static SSL_CTX *make_ctx(struct mw_tls_context *context, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    SSL_CTX *ctx = SSL_CTX_new(context->server ? TLS_server_method() : TLS_client_method());
    if (!ctx) {
        refuse(fault, "context");
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    set_sessions(context, ctx);
    if (set_versions(ctx, rules, fault) && set_verify(ctx, rules, fault) && set_protocols(context, ctx, fault)) {
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

/* --- certificates --- */

static bool use(struct mw_tls_group *group, const struct mw_tls_loaded *loaded, const struct mw_tls_pair *pair,
                struct mw_fault *fault) {
    STACK_OF(X509) *chain = sk_X509_num(loaded->chain) > 0 ? loaded->chain : NULL; /* each connection gets a copy */
    if (!SSL_CTX_use_cert_and_key(group->ctx, loaded->certificate, loaded->key, chain, 1)) {
        return refuse(fault, pair->certificate_name ? pair->certificate_name : "certificate");
    }
    return mw_tls_staple_keep(&group->staples, loaded->certificate, pair) || refuse_memory(fault);
}

/* Calls `visit` with each name of a server that the certificate is for; false when that is. */
static bool visit_names(const X509 *certificate, bool (*visit)(void *argument, const char *name, size_t length),
                        void *argument) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false, going = true;
    for (int i = 0; going && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            const ASN1_STRING *text = name->d.dNSName;
            found = true;
            going = visit(argument, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
        }
    }
    GENERAL_NAMES_free(names);
    if (!found) {
        char text[256];
        int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
        going = length <= 0 || visit(argument, text, (size_t)length);
    }
    ERR_clear_error();
    return going;
}

/* Where a certificate belongs: the first group that has one of its names, but no key of its kind. */
struct placing {
    struct mw_tls_context *context;
    size_t group;
};

static bool add_name(void *argument, const char *name, size_t length) {
    const struct placing *placing = argument;
    return mw_tls_names_add(placing->context->names, name, length, placing->group);
}

struct names_text {
    char *bytes;
    size_t size;
};

static bool join_name(void *argument, const char *name, size_t length) {
    struct names_text *text = argument;
    char *bytes = realloc(text->bytes, text->size + length + 1);
    if (!bytes) {
        return false;
    }
    memcpy(bytes + text->size, name, length);
    bytes[text->size + length] = '\n';
    text->bytes = bytes;
    text->size += length + 1;
    return true;
}

/* Whether both certificates are for the same names. */
static bool same_names(const X509 *one, const X509 *other) {
    struct names_text a = {0}, b = {0};
    bool read = visit_names(one, join_name, &a) && visit_names(other, join_name, &b);
    bool same = read && a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
    free(a.bytes);
    free(b.bytes);
    return same;
}

/* Whether the group has a certificate with a key of that kind. */
static bool has_kind(const struct mw_tls_group *group, const EVP_PKEY *key) {
    long more = SSL_CTX_set_current_cert(group->ctx, SSL_CERT_SET_FIRST);
    while (more) {
        const EVP_PKEY *its = SSL_CTX_get0_privatekey(group->ctx);
        if (its && EVP_PKEY_get_base_id(its) == EVP_PKEY_get_base_id(key)) {
            return true;
        }
        more = SSL_CTX_set_current_cert(group->ctx, SSL_CERT_SET_NEXT);
    }
    return false;
}

/* The group whose certificates have the same names and other keys; else the next one, which is not there yet. */
static size_t place(const struct mw_tls_context *context, const struct mw_tls_loaded *loaded) {
    for (size_t i = 0; i < context->group_count; i++) {
        SSL_CTX_set_current_cert(context->groups[i].ctx, SSL_CERT_SET_FIRST);
        const X509 *first = SSL_CTX_get0_certificate(context->groups[i].ctx);
        if (first && !has_kind(&context->groups[i], loaded->key) && same_names(first, loaded->certificate)) {
            return i;
        }
    }
    return context->group_count;
}

static void note_end(struct mw_tls_context *context, const X509 *certificate) {
    struct tm parts;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts)) {
        time_t end = timegm(&parts);
        if (!context->not_after || end < context->not_after) {
            context->not_after = end;
        }
    }
}

static bool add_pair(struct mw_tls_context *context, const struct mw_tls_rules *rules, const struct mw_tls_pair *pair,
                     struct mw_fault *fault) {
    struct mw_tls_loaded loaded;
    if (!mw_tls_pair_load(&loaded, pair, fault)) {
        return false;
    }
    struct placing placing = {context, context->server ? place(context, &loaded) : 0};
    struct mw_tls_group *group = &context->groups[placing.group];
    bool added = group->ctx || (group->ctx = make_ctx(context, rules, fault)) != NULL;
    if (added && placing.group == context->group_count) {
        context->group_count++;
    }
    added = added && use(group, &loaded, pair, fault);
    if (added && context->names) {
        added = visit_names(loaded.certificate, add_name, &placing) || refuse_memory(fault);
    }
    if (added) {
        note_end(context, loaded.certificate);
    }
    mw_tls_pair_unload(&loaded);
    return added;
}

/* --- what sessions are good for --- */

/* A session of one server must not open another that shares its keys of tickets but has other names or trusts other
 * clients. New certificates for the same names change nothing. */
static bool name_sessions(struct mw_tls_context *context, const struct mw_tls_rules *rules) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool made = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(hash, &rules->verify, sizeof rules->verify) &&
                EVP_DigestUpdate(hash, rules->authorities, rules->authorities ? rules->authorities_size : 0);
    const char *name;
    for (size_t i = 0; made && (name = mw_tls_names_at(context->names, i)) != NULL; i++) {
        made = EVP_DigestUpdate(hash, name, strlen(name) + 1);
    }
    made = made && EVP_DigestFinal_ex(hash, digest, &size);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; made && i < context->group_count; i++) {
        made = SSL_CTX_set_session_id_context(context->groups[i].ctx, digest, SSL_MAX_SID_CTX_LENGTH);
    }
    return made;
}

/* --- all of it --- */

static bool fill_server(struct mw_tls_context *context, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    if (rules->pair_count == 0) {
        mw_fault_format(fault, "invalid", "tls: a server needs a certificate");
        return false;
    }
    context->names = mw_tls_names_new();
    if (!context->names) {
        return refuse_memory(fault);
    }
    for (size_t i = 0; i < rules->pair_count; i++) {
        if (!add_pair(context, rules, &rules->pairs[i], fault)) {
            return false;
        }
    }
    mw_tls_names_sort(context->names);
    for (size_t i = 0; i < context->group_count; i++) {
        struct mw_tls_group *group = &context->groups[i];
        SSL_CTX_set_current_cert(group->ctx, SSL_CERT_SET_FIRST);
        SSL_CTX_set_tlsext_status_cb(group->ctx, on_status);
        SSL_CTX_set_tlsext_status_arg(group->ctx, group);
    }
    SSL_CTX_set_tlsext_servername_callback(context->groups[0].ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context->groups[0].ctx, context);
    return name_sessions(context, rules) || refuse_memory(fault);
}

static bool fill_client(struct mw_tls_context *context, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    if (rules->pair_count > 1) {
        mw_fault_format(fault, "invalid", "tls: a client has one certificate at most");
        return false;
    }
    if (rules->sessions) {
        context->sessions = mw_tls_sessions_new(rules->sessions);
        if (!context->sessions) {
            return refuse_memory(fault);
        }
    }
    context->groups[0].ctx = make_ctx(context, rules, fault);
    context->group_count = context->groups[0].ctx != NULL;
    return context->group_count && (rules->pair_count == 0 || add_pair(context, rules, rules->pairs, fault));
}

static bool fill(struct mw_tls_context *context, const struct mw_tls_rules *rules, struct mw_fault *fault) {
    context->groups = calloc(rules->pair_count ? rules->pair_count : 1, sizeof *context->groups);
    if (!context->groups) {
        return refuse_memory(fault);
    }
    if (rules->protocols && !pack_protocols(context, rules->protocols, fault)) {
        return false;
    }
    return context->server ? fill_server(context, rules, fault) : fill_client(context, rules, fault);
}

struct mw_tls_context *mw_tls_context_new(const struct mw_tls_rules *rules, struct mw_fault *fault) {
    struct mw_tls_context *context = calloc(1, sizeof *context);
    if (!context) {
        refuse_memory(fault);
        return NULL;
    }
    ERR_clear_error();
    context->references = 1;
    context->server = rules->server;
    context->verify = rules->verify;
    context->name_required = rules->name_required;
    context->protocol_required = rules->protocol_required;
    context->tickets = rules->tickets;
    context->bio = mw_tls_bio_new();
    if (!context->bio) {
        refuse_memory(fault);
        mw_tls_context_release(context);
        return NULL;
    }
    if (!fill(context, rules, fault)) {
        mw_tls_context_release(context);
        return NULL;
    }
    return context;
}

struct mw_tls_context *mw_tls_context_hold(struct mw_tls_context *context) {
    context->references++;
    return context;
}

static void free_group(struct mw_tls_group *group) {
    SSL_CTX_free(group->ctx);
    mw_tls_staples_free(&group->staples);
}

void mw_tls_context_release(struct mw_tls_context *context) {
    if (!context || --context->references > 0) {
        return;
    }
    for (size_t i = 0; i < context->group_count; i++) {
        free_group(&context->groups[i]);
    }
    free(context->groups);
    BIO_free(context->bio);
    mw_tls_names_free(context->names);
    mw_tls_sessions_free(context->sessions);
    free(context->protocols);
    free(context);
}

time_t mw_tls_context_not_after(const struct mw_tls_context *context) {
    return context->not_after;
}
