/* What opening a socket of any kind has in common. */
#ifndef MW_NET_SOCKET_H
#define MW_NET_SOCKET_H

#include "base/addr.h"

#include <stdbool.h>

/* A socket of the family of `addr`, close-on-exec and non-blocking; -1 with
 * errno. Where the kernel has no v6 and `dual` is set, `[::]` becomes 0.0.0.0. */
int mw_socket_open(struct mw_addr *addr, int type, bool dual);

/* Sets an integer option; false with errno. */
bool mw_socket_set(int fd, int level, int option, int value);

/* Makes a descriptor that was inherited close-on-exec and non-blocking. */
void mw_socket_adopt(int fd);

/* The address it is bound to, length 0 when there is none. */
void mw_socket_local(int fd, struct mw_addr *local);

#endif
