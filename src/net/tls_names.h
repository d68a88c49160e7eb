/* Which certificates serve a name: exact names and wildcards of one label (RFC 6125 section 6.4). Pure. */
#ifndef MW_NET_TLS_NAMES_H
#define MW_NET_TLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct mw_tls_names;

/* Empty. NULL when memory is out. */
struct mw_tls_names *mw_tls_names_new(void);
void mw_tls_names_free(struct mw_tls_names *names); /* NULL is allowed */

/* Adds a name as it stands in a certificate, in any case. Of two that are the same the first counts. False when memory
 * is out. No more once something was looked up. */
bool mw_tls_names_add(struct mw_tls_names *names, const char *name, size_t length, size_t group);

/* Adding is over. */
void mw_tls_names_sort(struct mw_tls_names *names);

/* The group of what a client asks for, -1: none. */
long mw_tls_names_find(const struct mw_tls_names *names, const char *name);

/* All names in order, for what identifies them together: NULL behind the last. */
const char *mw_tls_names_at(const struct mw_tls_names *names, size_t index);

#endif
