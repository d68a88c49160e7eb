/* What a reverse proxy does for each request in C: heads are written anew without what concerns one connection only, and
 * bodies pass from one connection to the other without Lua. */
#ifndef MW_SCRIPT_L_HTTP_PASS_H
#define MW_SCRIPT_L_HTTP_PASS_H

#include "net/network.h"
#include "script/l_http_internal.h"
#include "script/l_http_reply.h"

enum { MW_HTTP_PASS_NAMES = 32, MW_HTTP_PASS_NETWORKS = 64 };

/* What is done with the fields of heads. Lies in a userdata whose user value keeps the texts alive. */
struct mw_http_pass_rules {
    struct {
        const char *name; /* lower-case */
        size_t size;
    } dropped[MW_HTTP_PASS_NAMES];
    struct mw_network trusted[MW_HTTP_PASS_NETWORKS]; /* whose word about the client is believed */
    int drops, trusts;
    const char *lines; /* that are added */
    size_t lines_size;
    bool x_forwarded, forwarded; /* which fields tell about the client */
};

/* Adds `pass_rules`, `pass_request`, `pass_fields` to the table on top (moonwire.core.http). */
void mw_l_http_pass_open(lua_State *L);

struct mw_http_pass_rules *mw_http_pass_rules_check(lua_State *L, int index);

/* Sets status and fields of the response as the reply has them. False when memory is out. */
bool mw_http_pass_fields(struct mw_http_response *response, const struct mw_http_reply *reply,
                         const struct mw_http_pass_rules *rules);

/* Adds `pass_body`, `pass_answer` to the table on top. */
void mw_l_http_pump_open(lua_State *L);

/* Adds `pass_interim` to the table on top. */
void mw_l_http_interim_open(lua_State *L);

#endif
