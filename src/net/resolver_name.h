/* Names as the resolver takes them. */
#ifndef MW_NET_RESOLVER_NAME_H
#define MW_NET_RESOLVER_NAME_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes, the NUL included, of a reverse name and of a key. */
enum { MW_NAME_REVERSE = 80, MW_NAME_KEY = 1 + MW_HOST_MAX + 1 };

/* What is wrong with a name, as the end of a sentence; NULL when it may be asked for. */
const char *mw_name_check(const char *name, size_t length);

/* Whether the name is a numeric address (a zone may follow), and which. */
bool mw_name_numeric(struct mw_addr *addr, const char *name, size_t length, uint16_t port);

/* The name under which PTR records of an address stand: "1.0.0.127.in-addr.arpa". */
void mw_name_reverse(const struct mw_addr *addr, char text[MW_NAME_REVERSE]);

/* The kind of a question and the name in lower case, in one string. */
void mw_name_key(char key[MW_NAME_KEY], char kind, const char *name);

/* A copy for messages: cut at MW_HOST_MAX bytes, bytes that are not printable as '?'. */
void mw_name_printable(char text[MW_HOST_MAX + 1], const char *name, size_t length);

#endif
