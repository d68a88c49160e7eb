/* Keys that session tickets are sealed with (RFC 8446 section 4.6.1, RFC 5077): in memory that processes share, so that
 * a session that one worker began goes on in another. A key seals for one interval and opens for one more; whoever finds
 * the newest too old makes the next. */
#ifndef MW_NET_TLS_TICKETS_H
#define MW_NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>

struct mw_tls_tickets;
struct ssl_st; /* OpenSSL's SSL and SSL_CTX */
struct ssl_ctx_st;

enum { MW_TLS_TICKET_NAME = 16, MW_TLS_TICKET_SECRET = 32 };
#define MW_TLS_TICKETS_INTERVAL 3600.0 /* seconds */

/* In shared memory: made before the processes are forked that are to share it. NULL and errno. */
struct mw_tls_tickets *mw_tls_tickets_new(double interval);
void mw_tls_tickets_free(struct mw_tls_tickets *tickets); /* in this process; NULL is allowed */

/* Servers of this context give and take tickets. `tickets` must outlive it. */
void mw_tls_tickets_serve(struct mw_tls_tickets *tickets, struct ssl_ctx_st *ctx);

/* The name that a connection of a server shares with those that its session went on from, and that go on from it.
 * False: it has none, for no ticket was given. Borrowed. */
enum { MW_TLS_LINEAGE = 16 }; /* bytes */
bool mw_tls_tickets_lineage(const struct ssl_st *ssl, const unsigned char **name, size_t *size);

/* --- for those callbacks, and tests --- */

struct mw_tls_ticket_key {
    unsigned char name[MW_TLS_TICKET_NAME];
    unsigned char cipher[MW_TLS_TICKET_SECRET], mac[MW_TLS_TICKET_SECRET];
};

/* Seconds on the clock that the moments are of: it goes on while the machine sleeps. */
double mw_tls_tickets_clock(void);

/* A copy of the key to seal with at this moment. To be wiped by the caller. */
void mw_tls_tickets_seal(struct mw_tls_tickets *tickets, double now, struct mw_tls_ticket_key *key);

/* A copy of the key of that name. False when there is none, or it is too old. `*newest`: it is still the one to seal with. */
bool mw_tls_tickets_open(struct mw_tls_tickets *tickets, double now, const unsigned char name[MW_TLS_TICKET_NAME],
                         struct mw_tls_ticket_key *key, bool *newest);

#endif
