#include "base/privilege_linux.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRY_MOST = 64 * 1024 /* bytes of a line of passwd or group */ };

struct identity {
    char name[LOGIN_NAME_MAX]; /* of the user; empty: it has none */
    uid_t uid;
    gid_t gid;
    bool alone; /* no groups besides */
};

/* --- who to become --- */

static bool parse_id(const char *text, unsigned *id) {
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *id = (unsigned)number;
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && number < UINT_MAX;
}

/* `error`: of the look-up; several of them, and 0, say that there is no such name. */
static bool unknown(struct mw_fault *fault, int error, const char *kind, const char *name) {
    if (error == ENOMEM || error == EMFILE || error == ENFILE || error == EIO || error == ERANGE) {
        mw_fault_set(fault, error, "look up the user or group", name);
    } else {
        mw_fault_format(fault, "not_found", "there is no %s \"%s\": create it, or name another", kind, name);
    }
    return false;
}

static bool find_user(struct identity *identity, const char *user, bool needs_group, struct mw_fault *fault) {
    char room[ENTRY_MOST];
    struct passwd entry, *found = NULL;
    unsigned number;
    bool numeric = parse_id(user, &number);
    int error = numeric ? getpwuid_r(number, &entry, room, sizeof room, &found)
                        : getpwnam_r(user, &entry, room, sizeof room, &found);
    if (found) {
        *identity = (struct identity){.uid = entry.pw_uid, .gid = entry.pw_gid};
        snprintf(identity->name, sizeof identity->name, "%s", entry.pw_name);
        return true;
    }
    if (!numeric) {
        return unknown(fault, error, "user", user);
    }
    if (needs_group) {
        mw_fault_format(fault, "invalid", "user %s is not in the list of users: name a group as well", user);
        return false;
    }
    *identity = (struct identity){.uid = number};
    return true;
}

static bool find_group(struct identity *identity, const char *group, struct mw_fault *fault) {
    char room[ENTRY_MOST];
    struct group entry, *found = NULL;
    unsigned number;
    identity->alone = true;
    if (parse_id(group, &number)) {
        identity->gid = number;
        return true;
    }
    int error = getgrnam_r(group, &entry, room, sizeof room, &found);
    if (!found) {
        return unknown(fault, error, "group", group);
    }
    identity->gid = entry.gr_gid;
    return true;
}

/* --- becoming it --- */

static bool is_identity(const struct identity *identity) {
    uid_t user[3];
    gid_t group[3];
    if (getresuid(&user[0], &user[1], &user[2]) != 0 || getresgid(&group[0], &group[1], &group[2]) != 0) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (user[i] != identity->uid || group[i] != identity->gid) {
            return false;
        }
    }
    return true;
}

/* The capabilities that an executed program could get at most. Without the right to change them that is refused, and
 * then no_new_privs must do. */
static bool empty_bounding_set(void) {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM) {
            return false;
        }
    }
    return true;
}

static bool become(const struct identity *identity) {
    bool grouped = identity->alone ? setgroups(0, NULL) == 0
                                   : identity->name[0] && initgroups(identity->name, identity->gid) == 0;
    return grouped && empty_bounding_set() && setresgid(identity->gid, identity->gid, identity->gid) == 0 &&
           setresuid(identity->uid, identity->uid, identity->uid) == 0;
}

static bool can_go_back(const struct identity *identity) {
    return (identity->uid != 0 && setuid(0) == 0) || (identity->uid != 0 && identity->gid != 0 && setgid(0) == 0);
}

bool mw_privilege_drop(const char *user, const char *group, struct mw_fault *fault) {
    struct identity identity;
    if (!user) {
        return true;
    }
    if (!find_user(&identity, user, group == NULL, fault) || (group && !find_group(&identity, group, fault))) {
        return false;
    }
    if (geteuid() != 0) {
        if (is_identity(&identity)) {
            return true;
        }
        mw_fault_format(fault, "denied", "become user %s: only root may; start as root, or as that user", user);
        return false;
    }
    if (!become(&identity)) {
        mw_fault_set(fault, errno, "become user", user);
        return false;
    }
    if (!is_identity(&identity) || can_go_back(&identity)) {
        mw_fault_format(fault, "denied", "become user %s: the rights of root could be had again", user);
        return false;
    }
    return true;
}

bool mw_privilege_give(int fd, const char *user, const char *group, struct mw_fault *fault) {
    struct identity identity;
    if (!user || geteuid() != 0) {
        return true;
    }
    if (!find_user(&identity, user, group == NULL, fault) || (group && !find_group(&identity, group, fault))) {
        return false;
    }
    if (fchown(fd, identity.uid, identity.gid) != 0) {
        mw_fault_set(fault, errno, "give a file to user", user);
        return false;
    }
    return true;
}

bool mw_privilege_is_without_root(const char *user, struct mw_fault *fault) {
    if (getuid() != 0 && geteuid() != 0) {
        return true;
    }
    mw_fault_format(fault, "denied", "user \"%s\" is root: name another one; scripts do not run as root",
                    user ? user : "root");
    return false;
}

const char *mw_privilege_stand_in(void) {
    static const char ours[] = "moonwire";
    struct identity identity;
    struct mw_fault fault;
    return find_user(&identity, ours, false, &fault) ? ours : "nobody";
}

/* --- no rights at all --- */

static bool has_none(void) {
    static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct found[_LINUX_CAPABILITY_U32S_3];
    return syscall(SYS_capget, &header, found) == 0 && memcmp(none, found, sizeof none) == 0;
}

/* capset(2) and capget(2) have no wrappers in the C library. Where there is nothing to give up it may be forbidden. */
static bool drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    if (has_none()) {
        return true;
    }
    memset(none, 0, sizeof none);
    if (syscall(SYS_capset, &header, none) != 0) {
        return false;
    }
    errno = EPERM;
    return has_none();
}

/* The leak check of AddressSanitizer traces its own process. */
#ifdef __SANITIZE_ADDRESS__
enum { DUMPABLE = 1 };
#else
enum { DUMPABLE = 0 };
#endif

bool mw_privilege_confine(struct mw_fault *fault) {
    bool done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && empty_bounding_set() &&
                drop_capabilities() && prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) == 0;
    if (!done) {
        mw_fault_set(fault, errno, "give up rights", NULL);
    }
    return done;
}
