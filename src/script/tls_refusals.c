#include "script/tls_refusals.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

static const double QUIET_SECONDS = 1;

void mw_tls_refusals_note(struct mw_tls_refusals *refusals, double now, const char *service, const struct mw_addr *peer,
                          const struct mw_fault *fault) {
    char text[MW_ADDR_TEXT], more[64] = "";
    refusals->total++;
    if (now < refusals->next) {
        refusals->silent++;
        return;
    }
    if (refusals->silent) {
        snprintf(more, sizeof more, ", as had %" PRIu64 " before it", refusals->silent);
    }
    refusals->next = now + QUIET_SECONDS;
    refusals->silent = 0;
    mw_log(MW_LOG_INFO, "service %s: connection of %s came to nothing%s: %s", service,
           peer && peer->length ? mw_addr_format(peer, text) : "nobody", more, fault->message);
}
