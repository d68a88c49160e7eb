/* Options of TLS as scripts write them: `tls = { certificate = "www.pem", key = "www.key" }`. */
#ifndef MW_SCRIPT_L_TLS_OPTIONS_H
#define MW_SCRIPT_L_TLS_OPTIONS_H

#include "script/tls_settings.h"

#include <lua.h>

/* What a listener or a client says of TLS; `value` is the index of a table, of "auto" (a development certificate; of
 * servers only), or of nil: what clients do by default. Raises on misuse, blaming `argument` of the running function.
 * Held, the caller's; NULL and the fault when it cannot be used. Equal options of clients, and of connections that begin TLS
 * in mid-stream (`shared`), share what was made once. `extra` is one more key that the table may have, or NULL. */
struct mw_tls_settings *mw_l_tls_settings(lua_State *L, int argument, int value, bool server, bool shared,
                                          const char *extra, struct mw_fault *fault);

/* The same, of the field `tls` of the options at `argument`, if it is there; false: it could not be used. `*settings` is NULL
 * when there is none. */
bool mw_l_tls_option(lua_State *L, int argument, bool server, struct mw_tls_settings **settings,
                     struct mw_fault *fault);

/* Adds the field `tls` to the table on top of the stack: what the config's judge needs. */
void mw_l_tls_options_open(lua_State *L);

#endif
