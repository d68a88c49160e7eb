/* Topics and patterns of the bus, and who subscribed to what. A topic is words with
 * dots between ("chat.room.7"); in a pattern the word * stands for any one word and
 * > at the end for one or more. No Lua here. */
#ifndef MW_SCRIPT_BUS_TOPICS_H
#define MW_SCRIPT_BUS_TOPICS_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

enum { MW_TOPIC_SIZE_MOST = 255 };

struct mw_topics;

/* What one pattern leads to: those who subscribed to it. */
struct mw_topic;

/* Why that is no topic, or no pattern: "is empty", "has an empty word", …; NULL: it is one. */
const char *mw_topic_problem(const char *bytes, size_t size, bool is_pattern);

/* NULL when memory is out, or the kernel gives no random bytes. */
struct mw_topics *mw_topics_new(void);

/* Nobody is subscribed any more. */
void mw_topics_free(struct mw_topics *topics);

/* Puts a node of the caller's behind those of that pattern, which is one. NULL when memory is out. */
struct mw_topic *mw_topics_add(struct mw_topics *topics, const char *pattern, size_t size, struct mw_list *node);

/* Takes the node off what mw_topics_add returned for it, which may be gone afterwards. */
void mw_topics_remove(struct mw_topics *topics, struct mw_topic *topic, struct mw_list *node);

/* Calls `give` for each list of nodes whose pattern matches the topic. It may look at the nodes, and neither
 * adds nor removes any. */
void mw_topics_match(const struct mw_topics *topics, const char *topic, size_t size,
                     void (*give)(void *context, const struct mw_list *nodes), void *context);

#endif
