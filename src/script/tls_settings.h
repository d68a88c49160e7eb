/* What is said of TLS somewhere — by a listener, a service, a client — and the context made of it. Settings begin as
 * plain data (proto/message.h), the same from scripts and from the config:
 *   pairs = { { certificate, key, staple (names of files), or certificate_pem, key_pem (texts) }, … }
 *   authorities (a file) or authorities_pem, verify = "none" | "optional" | "required", protocols = { name, … },
 *   least_version = 12 | 13, handshake_timeout (seconds), handshakes (at a time)
 * All of it may be absent, but the pairs of a server. */
#ifndef MW_SCRIPT_TLS_SETTINGS_H
#define MW_SCRIPT_TLS_SETTINGS_H

#include "base/text.h"
#include "net/tls.h"
#include "net/tls_files.h"

#include <stdint.h>

#define MW_TLS_HANDSHAKE_SECONDS 10.0
enum { MW_TLS_HANDSHAKES = 1000 };

/* Counted references. */
struct mw_tls_settings {
    unsigned references;
    struct mw_text options; /* the message */
    bool server;
    struct mw_tls_tickets *tickets; /* of a server; must outlive it; NULL: none */
    struct mw_tls_files files;
    struct mw_tls_context *context;
    double handshake_timeout; /* seconds */
    unsigned handshakes;
    double looked; /* the clock when files were looked at */
};

/* Takes the options over, whatever comes of it. Reads the files that they name, unless `files` has them, which are then
 * taken over too and never read again. NULL and the fault. */
struct mw_tls_settings *mw_tls_settings_new(struct mw_text *options, bool server, struct mw_tls_tickets *tickets,
                                            struct mw_tls_files *files, struct mw_fault *fault);
struct mw_tls_settings *mw_tls_settings_hold(struct mw_tls_settings *settings);
void mw_tls_settings_release(struct mw_tls_settings *settings); /* NULL is ignored */

/* From a message { options = string of a message, files = { name → text } }, as the supervisor sends it. */
struct mw_tls_settings *mw_tls_settings_read(const void *bytes, size_t size, struct mw_tls_tickets *tickets,
                                             struct mw_fault *fault);

/* Gives `settings` all that `newer` has; that is released. What handshakes are under way is not touched. */
void mw_tls_settings_renew(struct mw_tls_settings *settings, struct mw_tls_settings *newer);

/* The context for the next connection; borrowed. Files are looked at for that, every two seconds at most: changed ones
 * are read anew; what cannot be used stays unused, and the log says why. `now` is the loop's. */
struct mw_tls_context *mw_tls_settings_context(struct mw_tls_settings *settings, double now);

#endif
