/* Fields that concern one connection, or the framing of its message, and so are not passed on (RFC 9110 section 7.6.1).
 */
#ifndef MW_SCRIPT_L_HTTP_HOP_H
#define MW_SCRIPT_L_HTTP_HOP_H

#include "proto/http1.h"

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

enum { MW_HTTP_CONNECTIONS = 4 }; /* fields Connection that a head may have, and more at some cost */

/* What the fields Connection of a head name. */
struct mw_http_listed {
    struct mw_http1_field fields[MW_HTTP_CONNECTIONS];
    int count;
    const char *bytes; /* of the head, where further ones may be */
    uint32_t at, end;
};

/* `name` in lower case. */
static inline bool mw_http_is_name(const struct mw_http1_field *field, const char *name, size_t size) {
    return field->name_size == size && strncasecmp(field->name, name, size) == 0;
}

#define MW_HTTP_IS(field, name) mw_http_is_name(field, name, sizeof(name) - 1)

bool mw_http_is_of_hop(const struct mw_http1_field *field);

/* Of the head in `bytes`, whose fields are from `at` to `end`. The bytes stay the caller's. */
void mw_http_find_listed(struct mw_http_listed *listed, const char *bytes, uint32_t at, uint32_t end);

bool mw_http_is_listed(const struct mw_http_listed *listed, const struct mw_http1_field *field);

#endif
