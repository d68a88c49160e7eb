/* Which fields concern one connection only. */
#include "script/l_http_hop.h"

#include <string.h>

bool mw_http_is_of_hop(const struct mw_http1_field *field) {
    switch (field->name_size) {
    case 2: return MW_HTTP_IS(field, "te");
    case 7: return MW_HTTP_IS(field, "upgrade") || MW_HTTP_IS(field, "trailer");
    case 10: return MW_HTTP_IS(field, "connection") || MW_HTTP_IS(field, "keep-alive");
    case 14: return MW_HTTP_IS(field, "content-length");
    case 16: return MW_HTTP_IS(field, "proxy-connection");
    case 17: return MW_HTTP_IS(field, "transfer-encoding");
    case 18: return MW_HTTP_IS(field, "proxy-authenticate");
    case 19: return MW_HTTP_IS(field, "proxy-authorization");
    default: return false;
    }
}

/* --- what Connection names --- */

static bool lists_more(const struct mw_http1_field *connection) {
    const struct mw_http1_field value = {.name = connection->value, .name_size = connection->value_size};
    return !MW_HTTP_IS(&value, "close") && !MW_HTTP_IS(&value, "keep-alive") && !MW_HTTP_IS(&value, "upgrade");
}

/* The next one that may name others. */
static bool next_connection(struct mw_http_listed *listed, struct mw_http1_field *field) {
    while (mw_http1_find_field(listed->bytes, listed->end, &listed->at, "connection", 10, field)) {
        if (lists_more(field)) {
            return true;
        }
    }
    return false;
}

void mw_http_find_listed(struct mw_http_listed *listed, const char *bytes, uint32_t at, uint32_t end) {
    *listed = (struct mw_http_listed){.bytes = bytes, .at = at, .end = end};
    while (listed->count < MW_HTTP_CONNECTIONS && next_connection(listed, &listed->fields[listed->count])) {
        listed->count++;
    }
}

static bool value_lists(const struct mw_http1_field *connection, const struct mw_http1_field *field) {
    const char *at = connection->value, *end = at + connection->value_size;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end, *last = stop;
        while (at < stop && (*at == ' ' || *at == '\t')) {
            at++;
        }
        while (last > at && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }
        if ((size_t)(last - at) == field->name_size && strncasecmp(at, field->name, field->name_size) == 0) {
            return true;
        }
        at = stop + 1;
    }
    return false;
}

bool mw_http_is_listed(const struct mw_http_listed *listed, const struct mw_http1_field *field) {
    for (int i = 0; i < listed->count; i++) {
        if (value_lists(&listed->fields[i], field)) {
            return true;
        }
    }
    struct mw_http_listed more = *listed; /* more than there was room for */
    struct mw_http1_field connection;
    while (listed->count == MW_HTTP_CONNECTIONS && next_connection(&more, &connection)) {
        if (value_lists(&connection, field)) {
            return true;
        }
    }
    return false;
}
