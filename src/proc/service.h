/* A service of a generation: what a worker needs to serve it. And the services that a
 * generation consists of. Both never change, and are shared by those who hold them. */
#ifndef MW_PROC_SERVICE_H
#define MW_PROC_SERVICE_H

#include "proc/plan.h"
#include "proc/sockets.h"

struct mw_keys;

enum { MW_SERVICE_NAME = 64, MW_SERVICE_LISTENERS = 64 };

struct mw_service_listener {
    struct mw_listening listening;
    struct mw_socket_set *sockets;
};

struct mw_service {
    unsigned holders;
    int64_t generation; /* that brought it */
    double drain;       /* seconds that its connections may take at the end; 0: as the daemon says */
    char name[MW_SERVICE_NAME];
    int blob; /* sealed memory file: the message that the probe made of it */
    struct mw_keys *keys; /* held, and renewed meanwhile; NULL: it has no certificates */
    bool on[MW_WORKERS_MOST]; /* the workers that serve it */
    int count;
    struct mw_service_listener listeners[];
};

struct mw_services {
    unsigned holders;
    int64_t generation;
    int count;
    struct mw_service *list[];
};

/* The services of a generation: all of the plan, or, when `only` is not NULL, those of `old` with that one replaced.
 * Their sockets are open when this returns. Held by the caller. NULL and `fault`: nothing was opened, and sockets that
 * were there before are as they were. */
struct mw_services *mw_services_new(const struct mw_plan *plan, const char *only, const struct mw_services *old,
                                    struct mw_sockets *sockets, int64_t generation, char fault[MW_PLAN_FAULT]);

struct mw_services *mw_services_hold(struct mw_services *services);
void mw_services_release(struct mw_services *services); /* NULL is ignored */

/* The service of that name, or NULL. `services` may be NULL. */
struct mw_service *mw_services_find(const struct mw_services *services, const char *name);

/* These are the services now: their sockets take on their options, and those of workers that do not serve them close. */
void mw_services_settle(const struct mw_services *services);

#endif
