/* The listening sockets of the daemon. They belong to the supervisor, so that a worker's
 * death loses no connection that waits: each worker has its own for an address (SO_REUSEPORT), and its
 * successor gets the same. Unix sockets, and those that others opened, are shared by the workers.
 *
 * Sockets have a key: what kind they are of and where they are bound. As long as somebody
 * holds what is under a key it stays as it is, from generation to generation. */
#ifndef MW_PROC_SOCKETS_H
#define MW_PROC_SOCKETS_H

#include "base/addr.h"
#include "base/fault.h"
#include "proto/message.h"

enum { MW_SOCKET_TEXT = MW_HOST_MAX + 32, MW_SOCKET_NAME = 256, MW_SOCKET_DOOR = 16 };

#define MW_SOCKET_KEPT "moonwire/" /* what the names of those that are kept begin with */

/* A listener as the config has it. */
struct mw_listening {
    char text[MW_SOCKET_TEXT]; /* its address */
    char door[MW_SOCKET_DOOR]; /* which of the script's; empty: the one without a name */
    struct mw_address address;
    bool datagram;
    int backlog, mode; /* 0: the usual one, -1: as the umask leaves it */
    bool v6_only, no_delay, keep_alive;
};

/* From an entry of "listeners" in a plan. */
bool mw_listening_read(struct mw_listening *listening, const struct mw_value *entry, struct mw_fault *fault);

struct mw_sockets;    /* all of them */
struct mw_socket_set; /* those under one key */

/* Who has sockets for us that were opened before, and keeps them for the process after this one. */
struct mw_sockets_keeper {
    /* The next one bound to `addr`, of SOCK_STREAM or SOCK_DGRAM, and its name: that under which it was kept, or any
     * other when somebody else has opened it. -1: none (any more). */
    int (*take)(void *context, const struct mw_addr *addr, int type, char name[MW_SOCKET_NAME]);
    /* Keeps duplicates under a name of printable characters without ':'. False: there is no keeper. */
    bool (*keep)(void *context, const char *name, const int *descriptors, int count);
    /* All of that name. */
    void (*forget)(void *context, const char *name);
    void *context;
};

/* For that many workers. NULL when memory is out. */
struct mw_sockets *mw_sockets_new(int workers, const struct mw_sockets_keeper *keeper);

/* The process ends: what is kept stays so, Unix paths with it. So it does until the first set is settled, that is, when
 * the start fails. */
void mw_sockets_leave(struct mw_sockets *sockets);

/* Every set was released. */
void mw_sockets_free(struct mw_sockets *sockets);

/* The set of that key, whose sockets for the workers (true in `on`, from the first worker) are open when this returns.
 * An address with port 0 is that service's own, `place` its place among the listeners. To be released. NULL and `fault`. */
struct mw_socket_set *mw_sockets_take(struct mw_sockets *sockets, const char *service, int place,
                                      const struct mw_listening *listening, const bool *on, struct mw_fault *fault);

/* With the last holder the sockets close, and the Unix path that was made is removed. */
void mw_socket_set_release(struct mw_socket_set *set);

/* The set is that service's now: takes on the options, as far as a socket that is open can, and closes sockets of
 * workers that are not on it. The first time the log says where it listens. The keeper gets the sockets, but for those
 * that others have opened and those on a port that the kernel chose, and gets them anew when they have changed: it
 * never has one that nobody accepts from. */
void mw_socket_set_settle(struct mw_socket_set *set, const char *service, const struct mw_listening *listening,
                          const bool *on);

/* Of a worker, from 1; -1: it has none. The set's. */
int mw_socket_set_descriptor(const struct mw_socket_set *set, int worker);

/* The address as in the config, with the port that the kernel chose. */
const char *mw_socket_set_address(const struct mw_socket_set *set);

#endif
