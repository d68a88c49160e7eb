/* The answer of a server, as a client has it: its head, and what reads its body. */
#ifndef MW_SCRIPT_L_HTTP_REPLY_H
#define MW_SCRIPT_L_HTTP_REPLY_H

#include "script/l_http_body.h"

struct mw_http_reply {
    struct mw_l_http_body body; /* first, see there */
    struct mw_http1_head head;
    const char *bytes;  /* of the head: a user value */
    double due;         /* when the head must be complete */
    struct mw_http1_limits limits;
    bool to_head, to_connect;
};

/* Adds `reply` to the table on top of the stack (moonwire.core.http), and registers the type. */
void mw_l_http_reply_open(lua_State *L);

/* The reply at `index`; raises for anything else. */
struct mw_http_reply *mw_http_reply_check(lua_State *L, int index);

#endif
