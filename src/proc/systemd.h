/* systemd as the one who started us: what it hands over in the environment
 * (sd_listen_fds(3), sd_watchdog_enabled(3)), and what it wants to be told
 * (sd_notify(3)). Without it everything here does nothing. */
#ifndef MW_PROC_SYSTEMD_H
#define MW_PROC_SYSTEMD_H

#include "base/addr.h"
#include "base/fault.h"

#include <stdbool.h>
#include <sys/types.h>

enum { MW_SYSTEMD_NAME = 256 /* bytes of a descriptor's name, its NUL included */ };

struct mw_systemd;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and removes them from
 * the environment, so that no child takes them for its own. Descriptors that were handed over become close-on-exec
 * and non-blocking. Call it once and early: what belongs to another process is left alone. NULL and `fault`:
 * memory is out, or the variables are nonsense. */
struct mw_systemd *mw_systemd_new(struct mw_fault *fault);

/* Closes what nobody has taken, too. */
void mw_systemd_free(struct mw_systemd *systemd);

/* --- descriptors: sockets of a .socket unit, and those that an earlier process has stored --- */

/* How many were handed over and not taken yet. */
int mw_systemd_left(const struct mw_systemd *systemd);

/* The next one that is bound to `addr` and of that type (SOCK_STREAM: it listens, or SOCK_DGRAM), in the order in
 * which they were handed over; it is the caller's from now on. -1: there is none (any more). `name`, unless NULL, gets
 * its name. */
int mw_systemd_take(struct mw_systemd *systemd, const struct mw_addr *addr, int type, char name[MW_SYSTEMD_NAME]);

/* The next one of that name, of any kind. -1: there is none (any more). */
int mw_systemd_take_named(struct mw_systemd *systemd, const char *name);

/* Those that nobody has taken and whose name begins with `prefix`: closes them, and has the manager forget all of their
 * names. As long as a socket is open anywhere, connections to it wait for somebody who accepts them. */
void mw_systemd_drop_rest(struct mw_systemd *systemd, const char *prefix);

/* Has the manager keep duplicates of the descriptors, at most 64 in a call, to be handed to the next process after a
 * restart. Not those of a .socket unit, which it has anyway: they would come twice. `name`: printable ASCII without
 * ':'; several may have the same. False and errno; true without a manager. */
bool mw_systemd_store(const struct mw_systemd *systemd, const char *name, const int *descriptors, int count);

/* Has it forget all of that name. */
bool mw_systemd_unstore(const struct mw_systemd *systemd, const char *name);

/* --- notification: true without a manager; false and errno when it could not be told, which is tried for at most a
 * second. A text of `status` is what `systemctl status` shows; line ends in it become spaces, a long one is cut. --- */

/* Whether there is a manager that listens. */
bool mw_systemd_notifies(const struct mw_systemd *systemd);

/* The daemon serves: after its start, and again after each reload, however it went. NULL: the status stays. */
bool mw_systemd_ready(const struct mw_systemd *systemd, const char *status);

/* A reload begins; mw_systemd_ready ends it. */
bool mw_systemd_reloading(const struct mw_systemd *systemd, const char *status);

bool mw_systemd_stopping(const struct mw_systemd *systemd, const char *status);
bool mw_systemd_status(const struct mw_systemd *systemd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From now on `pid` is the main process. */
bool mw_systemd_main_pid(const struct mw_systemd *systemd, pid_t pid);

/* Seconds between two signs of life, half of what the manager grants; 0: it expects none. */
double mw_systemd_watchdog_interval(const struct mw_systemd *systemd);

/* A sign of life. */
bool mw_systemd_watchdog(const struct mw_systemd *systemd);

#endif
