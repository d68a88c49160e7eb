/* Giving up rights, for good. */
#ifndef MW_BASE_PRIVILEGE_LINUX_H
#define MW_BASE_PRIVILEGE_LINUX_H

#include "base/fault.h"

#include <stdbool.h>

/* Becomes `user` with its groups, or with `group` alone when that is not NULL; both are names or numbers. `user` NULL:
 * nothing to do. Needs to be root, unless the process is that user already; looks whether the way back is closed.
 * Threads that are there already keep their rights: call it before any is started. */
bool mw_privilege_drop(const char *user, const char *group, struct mw_fault *fault);

/* Gives a file of ours to `user` and `group` as above; nothing to do unless root calls and `user` is not NULL. */
bool mw_privilege_give(int fd, const char *user, const char *group, struct mw_fault *fault);

/* Whether this process is not root; `user`, who it was to become, or NULL, is for the fault. */
bool mw_privilege_is_without_root(const char *user, struct mw_fault *fault);

/* Who does what root must not, when nobody else was named: "moonwire" where there is such an account, or "nobody". */
const char *mw_privilege_stand_in(void);

/* Nothing that this process or its children execute gains a right any more (no_new_privs), all capabilities are gone,
 * of the bounding and the ambient set, too, and others of the same user can neither trace it nor read its memory
 * from a core dump. */
bool mw_privilege_confine(struct mw_fault *fault);

#endif
