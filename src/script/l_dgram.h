/* Datagram sockets for scripts. */
#ifndef MW_SCRIPT_L_DGRAM_H
#define MW_SCRIPT_L_DGRAM_H

#include "net/dgram.h"
#include "script/task.h"

/* A datagram that has just come; valid while the task that waited for it takes it. */
struct mw_l_dgram_arrival {
    const char *bytes; /* NULL: none */
    size_t size;
    const struct mw_addr *peer;
    int error; /* what came instead of a datagram: errno */
};

struct mw_l_dgram {
    struct mw_dgram *dgram; /* NULL once closed */
    struct mw_sched *sched;
    struct mw_resource resource;
    struct mw_task *receiver, *sender;
    double read_timeout, write_timeout; /* seconds; MW_TIMER_NEVER: none */
    double send_due;                    /* when the present send times out */
    struct mw_addr peer;                /* the fixed peer; length 0: none */
    struct mw_l_dgram_arrival arrival;
};

/* Registers the types. */
void mw_l_dgram_open(lua_State *L);

/* datagram(address, options) → socket | nil, err, code: bound to the address. */
int mw_l_datagram(lua_State *L);

/* connect_datagram(address, options) → socket | nil, err, code: with a fixed peer. */
int mw_l_connect_datagram(lua_State *L);

/* Pushes a socket that owns nothing yet. */
struct mw_l_dgram *mw_l_dgram_push(lua_State *L);

/* Gives the socket on top of the stack its descriptor, which is closed when that
 * fails, and to the running task; `peer` may be NULL. 1, or 3 with nil, err,
 * code pushed. */
int mw_l_dgram_start(lua_State *L, struct mw_l_dgram *socket, int fd, const struct mw_addr *peer);

/* The socket at `index`; raises for anything else. It may be closed. */
struct mw_l_dgram *mw_l_dgram_check(lua_State *L, int index);

/* The methods that wait, in a file of their own, and what wakes them. */
int mw_l_dgram_receive(lua_State *L);
int mw_l_dgram_datagrams(lua_State *L);
int mw_l_dgram_send(lua_State *L);
extern const struct mw_dgram_events mw_l_dgram_events;

#endif
