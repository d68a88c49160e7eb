/* c-ares on the loop: its sockets as watchers, its timeouts as one timer. The
 * timer is libev's own: there is one a channel, c-ares reads the real clock
 * itself, and setting it cannot fail for want of memory. */
#ifndef MW_NET_RESOLVER_CHANNEL_H
#define MW_NET_RESOLVER_CHANNEL_H

#include "net/resolver.h"

#include <ares.h>

struct mw_resolver_channel;

/* `on_progress` is called after c-ares has handled input or timeouts, never
 * from inside c-ares; it may free the channel. NULL, with a fault, when the servers are no list of
 * addresses or memory is out. */
struct mw_resolver_channel *mw_resolver_channel_new(struct mw_loop *loop, const struct mw_resolver_options *options,
                                  void (*on_progress)(void *context), void *context, struct mw_fault *fault);

/* A second channel like this one, which reads resolv.conf as it is now. NULL when that fails. */
struct mw_resolver_channel *mw_resolver_channel_new_again(const struct mw_resolver_channel *channel);

/* Queries under way end with ARES_EDESTRUCTION. */
void mw_resolver_channel_free(struct mw_resolver_channel *channel);

ares_channel mw_resolver_channel_ares(const struct mw_resolver_channel *channel);

/* To be called after queries were started or cancelled: sets the timer to what
 * c-ares wants; `soon`: on_progress is wanted in the next tick. */
void mw_resolver_channel_arm(struct mw_resolver_channel *channel, bool soon);

/* Whether resolv.conf is another file than the one that was read. Looks at
 * most once a second. */
bool mw_resolver_channel_outdated(struct mw_resolver_channel *channel);

#endif
