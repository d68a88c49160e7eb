/* Sessions of a client, one for each server, so that the next connection resumes: the servers that were used last. */
#ifndef MW_NET_TLS_SESSIONS_H
#define MW_NET_TLS_SESSIONS_H

#include <openssl/ssl.h>

struct mw_tls_sessions;

/* For at most `most` servers, at least 1. NULL when memory is out. */
struct mw_tls_sessions *mw_tls_sessions_new(unsigned most);
void mw_tls_sessions_free(struct mw_tls_sessions *sessions); /* NULL is allowed */

/* Keeps a session that is the store's from now on, in place of the one that the key had. Without memory it is let go. */
void mw_tls_sessions_keep(struct mw_tls_sessions *sessions, const char *key, SSL_SESSION *session);

/* The session of a server, borrowed; NULL when there is none that can be resumed. */
SSL_SESSION *mw_tls_sessions_find(struct mw_tls_sessions *sessions, const char *key);

#endif
