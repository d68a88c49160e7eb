#include "proc/confine.h"

#include "base/privilege_linux.h"
#include "proc/offspring.h"
#include "proc/seccomp_linux.h"

#include <string.h>
#include <unistd.h>

static const char *or_null(const char *name) {
    return name[0] ? name : NULL;
}

/* Another user's process has no parent whose end would end it: that is said again. */
bool mw_confine_worker(const struct mw_settings *settings, struct mw_fault *fault) {
    pid_t parent = getppid();
    const char *user = or_null(settings->user);
    if (!mw_privilege_drop(user, or_null(settings->group), fault) || !mw_privilege_is_without_root(user, fault) ||
        !mw_privilege_confine(fault)) {
        return false;
    }
    if (!mw_offspring_bind_life(parent)) {
        mw_fault_format(fault, "closed", "the supervisor is gone");
        return false;
    }
    return mw_seccomp_confine(settings->processes, fault) || strcmp(fault->code, "unavailable") == 0;
}
