#include "net/resolver_fault.h"

#include <ares.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* c-ares does not tell why it could not open a socket: a trial shows. */
static int descriptors_out(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    return errno == EMFILE || errno == ENFILE ? errno : 0;
}

static void explain_unavailable(struct mw_fault *fault, int status, const char *name) {
    int error = descriptors_out();
    if (error) {
        mw_fault_set(fault, error, "resolve", name);
    } else if (status == ARES_ECONNREFUSED) {
        mw_fault_format(fault, "unavailable", "resolve %s: the name servers fail or cannot be reached", name);
    } else {
        mw_fault_format(fault, "unavailable", "resolve %s: the name servers fail: %s", name,
                        ares_strerror(status));
    }
}

void mw_resolver_explain(struct mw_fault *fault, int status, const char *name, const char *noun) {
    switch (status) {
    case ARES_EBADNAME: /* the name itself was good, but not with a domain of the search list behind it */
    case ARES_ENOTFOUND:
        mw_fault_format(fault, "not_found", "resolve %s: no such name", name);
        break;
    case ARES_ENODATA:
        mw_fault_format(fault, "not_found", "resolve %s: it has no %s", name, noun);
        break;
    case ARES_ETIMEOUT:
        mw_fault_set(fault, ETIMEDOUT, "resolve", name);
        break;
    case ARES_ENOMEM:
        mw_fault_set(fault, ENOMEM, "resolve", name);
        break;
    default:
        explain_unavailable(fault, status, name);
    }
}

void mw_resolver_explain_opening(struct mw_fault *fault, int status,
                                 const struct mw_resolver_options *options) {
    if (status != ARES_EBADSTR) {
        mw_fault_set(fault, ENOMEM, "open", "the resolver");
        return;
    }
    mw_fault_format(fault, "invalid",
                    "open the resolver: name servers \"%.100s\": write up to %d numeric addresses, "
                    "as in 127.0.0.1:53,[::1]:53",
                    options->servers, MW_SERVERS_MAX);
}
