#include "net/tls_tickets.h"

#include "base/shared.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>

enum {
    PLACES = 4,   /* newest, the one before, and two that nobody looks at while the next is made */
    IV_SIZE = 16, /* of AES-256-CBC */
};

/* A process that died in the midst of making a key holds the others up for so long, seconds. */
#define CLAIM_SECONDS 10.0

struct place {
    double made;
    struct mw_tls_ticket_key key;
};

struct mw_tls_tickets {
    double interval;
    atomic_uint newest;        /* its number, from 1; its place is that modulo PLACES */
    _Atomic double claimed_at; /* when somebody began to make the next */
    struct place places[PLACES];
};

/* Goes on while the machine sleeps, and is the same in all processes. */
double mw_tls_tickets_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void mw_tls_tickets_free(struct mw_tls_tickets *tickets) {
    mw_shared_unmap(tickets, sizeof *tickets);
}

static bool fill_randomly(void *bytes, size_t size) {
    return getrandom(bytes, size, 0) == (ssize_t)size;
}

/* The next key comes to the place of the oldest, which nobody reads any more; keys that are too old to open anything
 * are wiped with it. */
static void make_next(struct mw_tls_tickets *tickets, unsigned newest, double now) {
    struct place *place = &tickets->places[(newest + 1) % PLACES];
    OPENSSL_cleanse(&tickets->places[(newest + 2) % PLACES].key, sizeof place->key);
    if (fill_randomly(&place->key, sizeof place->key)) {
        place->made = now;
        atomic_store(&tickets->newest, newest + 1);
    }
}

/* Whether this process is the one that makes the key after that one. */
static bool claim(struct mw_tls_tickets *tickets, unsigned newest, double now) {
    double since = atomic_load(&tickets->claimed_at);
    return now - since >= CLAIM_SECONDS && atomic_compare_exchange_strong(&tickets->claimed_at, &since, now) &&
           atomic_load(&tickets->newest) == newest;
}

static double age(const struct mw_tls_tickets *tickets, unsigned number, double now) {
    return now - tickets->places[number % PLACES].made;
}

static unsigned turn(struct mw_tls_tickets *tickets, double now) {
    unsigned newest = atomic_load(&tickets->newest);
    if (age(tickets, newest, now) >= tickets->interval && claim(tickets, newest, now)) {
        make_next(tickets, newest, now);
        newest = atomic_load(&tickets->newest);
        atomic_store(&tickets->claimed_at, -CLAIM_SECONDS);
    }
    return newest;
}

struct mw_tls_tickets *mw_tls_tickets_new(double interval) {
    struct mw_tls_tickets *tickets = mw_shared_map(sizeof *tickets);
    if (!tickets) {
        return NULL;
    }
    tickets->interval = interval;
    atomic_store(&tickets->claimed_at, -CLAIM_SECONDS);
    make_next(tickets, 0, mw_tls_tickets_clock());
    if (atomic_load(&tickets->newest) == 0) {
        mw_tls_tickets_free(tickets);
        return NULL;
    }
    return tickets;
}

/* While somebody else makes the next key, or nobody can, the old one still does. */
void mw_tls_tickets_seal(struct mw_tls_tickets *tickets, double now, struct mw_tls_ticket_key *key) {
    *key = tickets->places[turn(tickets, now) % PLACES].key;
}

bool mw_tls_tickets_open(struct mw_tls_tickets *tickets, double now, const unsigned char name[MW_TLS_TICKET_NAME],
                         struct mw_tls_ticket_key *key, bool *newest_key) {
    unsigned newest = turn(tickets, now);
    for (unsigned number = newest; number > 0 && newest - number < 2; number--) {
        const struct place *place = &tickets->places[number % PLACES];
        if (CRYPTO_memcmp(place->key.name, name, MW_TLS_TICKET_NAME) == 0) {
            *key = place->key;
            *newest_key = number == newest;
            return age(tickets, number, now) < 2 * tickets->interval;
        }
    }
    return false;
}

/* --- what OpenSSL asks --- */

static bool prepare_mac(EVP_MAC_CTX *mac, struct mw_tls_ticket_key *key) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}

static int seal(struct mw_tls_tickets *tickets, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                EVP_MAC_CTX *mac) {
    struct mw_tls_ticket_key key;
    mw_tls_tickets_seal(tickets, mw_tls_tickets_clock(), &key);
    memcpy(name, key.name, sizeof key.name);
    bool sealed = RAND_bytes(iv, IV_SIZE) == 1 && prepare_mac(mac, &key) &&
                  EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv);
    OPENSSL_cleanse(&key, sizeof key);
    return sealed ? 1 : -1;
}

/* 1: good, 2: good, and the client should get a new one, 0: a full handshake. A ticket of TLS 1.3 is used once. */
static int unseal(struct mw_tls_tickets *tickets, const SSL *ssl, const unsigned char *name, const unsigned char *iv,
                  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
    struct mw_tls_ticket_key key;
    bool newest;
    if (!mw_tls_tickets_open(tickets, mw_tls_tickets_clock(), name, &key, &newest)) {
        return 0;
    }
    bool unsealed = prepare_mac(mac, &key) && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv);
    OPENSSL_cleanse(&key, sizeof key);
    return !unsealed ? -1 : newest && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int sealing) {
    struct mw_tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return sealing ? seal(tickets, name, iv, cipher, mac) : unseal(tickets, ssl, name, iv, cipher, mac);
}

/* --- which sessions go on from each other --- */

bool mw_tls_tickets_lineage(const SSL *ssl, const unsigned char **name, size_t *size) {
    SSL_SESSION *session = SSL_get_session(ssl);
    void *bytes = NULL;
    *size = 0;
    if (!session || !SSL_SESSION_get0_ticket_appdata(session, &bytes, size)) {
        return false;
    }
    *name = bytes;
    return *size == MW_TLS_LINEAGE;
}

/* Before a ticket is sealed: a session that went on from none gets a name. It travels within the ticket. */
static int on_session(SSL *ssl, void *context) {
    unsigned char name[MW_TLS_LINEAGE];
    const unsigned char *known;
    size_t size;
    (void)context;
    if (mw_tls_tickets_lineage(ssl, &known, &size)) {
        return 1;
    }
    return RAND_bytes(name, sizeof name) == 1 &&
           SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), name, sizeof name);
}

void mw_tls_tickets_serve(struct mw_tls_tickets *tickets, SSL_CTX *ctx) {
    SSL_CTX_set_app_data(ctx, tickets);
    SSL_CTX_set_timeout(ctx, tickets->interval < 1 ? 1 : (long)tickets->interval);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_session_ticket_cb(ctx, on_session, NULL, NULL);
}
