/* Two ends of a connection that speak TLS, and certificates for them. */
#ifndef SUPPORT_TLS_ENDS_H
#define SUPPORT_TLS_ENDS_H

#include "net/tls.h"
#include "support/certificates.h"
#include "support/world.h"

/* An end, and what its handshake came to. */
struct end {
    struct witness witness;
    struct mw_tls_context *context;
    uint16_t port; /* that a client keeps its session under */
    int done;      /* calls of on_done */
    bool closes;   /* within on_done */
    struct mw_fault fault;
};

/* `site` is of `authority`, for localhost, *.site.test and 127.0.0.1. */
extern struct identity authority, site;
extern struct end client, server;

int ends_make_identities(void **state);
int ends_free_identities(void **state);

/* Setup and teardown: contexts with the above, no connection yet. */
int ends_open(void **state);
int ends_close(void **state);

/* Fails the test when the rules are refused. */
struct mw_tls_context *ends_context(const struct mw_tls_rules *rules);

/* Puts another context in place of the end's. */
void ends_replace(struct end *end, const struct mw_tls_rules *rules);

/* Rules of a client that trusts `authority`. */
struct mw_tls_rules ends_client_rules(void);

void ends_connect_memory(void);
void ends_connect_sockets(void);
void ends_disconnect(void);

bool ends_start(struct end *end, const char *name, struct mw_fault *fault);
void ends_begin(struct end *end, const char *name); /* must succeed */

/* Runs both handshakes to their end, whatever that is. */
void ends_meet(const char *name);

/* The same, and both must succeed. */
void ends_shake_hands(const char *name);

/* What both sides must say of it in the end: a code and a part of the message; NULL: nothing is wrong. */
void ends_expect(const struct end *end, const char *code, const char *part);

#endif
