/* The bus of a process: what is published to a topic reaches all who subscribed to it,
 * in every Lua state of the process, and through the outlet those of other processes.
 * No Lua here: messages are bytes, shared by all who have yet to take them. */
#ifndef MW_SCRIPT_BUS_H
#define MW_SCRIPT_BUS_H

#include "base/list.h"
#include "base/text.h"
#include "script/bus_topics.h"

#include <stdint.h>

enum {
    MW_BUS_VALUE_MOST = 1024 * 1024,       /* bytes of one message, without its topic */
    MW_BUS_QUEUE_MOST = 1000 * 1000,       /* messages that a subscription may be told to keep */
    MW_BUS_BYTES_MOST = 16 * 1024 * 1024, /* of the messages in one queue; a single one fits always */
};

/* What becomes of a message for which a queue has no room. */
enum mw_bus_policy {
    MW_BUS_DROP_OLDEST, /* it takes the place of the oldest */
    MW_BUS_DROP_NEWEST, /* it is not queued */
    MW_BUS_DISCONNECT,  /* nor is any after it: the subscription has ended */
};

/* As it goes from process to process: a byte with the size of the topic, the topic, and a
 * value (proto/message.h). */
struct mw_bus_message {
    size_t references;
    size_t size;
    char bytes[];
};

/* Embedded by its owner, who sets what is above the line and zeroes the rest. */
struct mw_bus_subscriber {
    size_t limit; /* messages, from 1 to MW_BUS_QUEUE_MOST */
    enum mw_bus_policy policy;
    bool is_bridge; /* to other daemons: it gets what this one publishes, but nothing that was injected */
    /* A message was queued, or the subscription has ended. Within it nobody subscribes, unsubscribes or publishes. */
    void (*on_news)(struct mw_bus_subscriber *subscriber);
    /* --- */
    struct mw_list node;
    struct mw_list bridge; /* in the list of the bus; on none: it is no bridge */
    struct mw_bus *bus;
    struct mw_topic *topic;        /* NULL: it gets nothing any more */
    struct mw_bus_message **queue; /* a ring */
    size_t room, first, count, bytes;
    uint64_t taken, dropped; /* messages, so far */
    bool overrun;            /* it has ended by its policy: what is queued is the last it gets */
};

struct mw_bus_counts {
    uint64_t published; /* in this process */
    uint64_t dropped;   /* for want of room or memory: in queues of this process, and at its outlet */
};

/* Takes a message for the other processes: false when it is dropped. */
typedef bool mw_bus_outlet(void *context, const char *bytes, size_t size);

struct mw_bus;

/* NULL when memory is out, or the kernel gives no random bytes. */
struct mw_bus *mw_bus_new(void);

/* There is no subscriber any more. NULL is allowed. */
void mw_bus_free(struct mw_bus *bus);

/* NULL, as at first: there are no other processes. */
void mw_bus_set_outlet(struct mw_bus *bus, mw_bus_outlet *outlet, void *context);

struct mw_bus_counts mw_bus_counts(const struct mw_bus *bus);

/* From now on the subscriber gets what is published to topics of the pattern, which is one. False when memory
 * is out. */
bool mw_bus_subscribe(struct mw_bus *bus, struct mw_bus_subscriber *subscriber, const char *pattern, size_t size);

/* Ends it and drops what is queued; on_news is not called. May be called again, and for one that never was
 * subscribed. */
void mw_bus_unsubscribe(struct mw_bus_subscriber *subscriber);

/* The oldest message of the queue, to be released. NULL: there is none. */
struct mw_bus_message *mw_bus_take(struct mw_bus_subscriber *subscriber);
void mw_bus_release(struct mw_bus_message *message);

/* The parts of a message. */
static inline const char *mw_bus_topic(const struct mw_bus_message *message, size_t *size) {
    *size = (unsigned char)message->bytes[0];
    return message->bytes + 1;
}
static inline const char *mw_bus_value(const struct mw_bus_message *message, size_t *size) {
    size_t head = (size_t)(unsigned char)message->bytes[0] + 1;
    *size = message->size - head;
    return message->bytes + head;
}

/* Begins a message to that topic, which is one; a value is appended to it. */
void mw_bus_address(struct mw_text *text, const char *topic, size_t size);

/* Publishes such a message, here and through the outlet. `*reached` is the number of subscriptions that have
 * queued it. False when memory is out: nobody has got it. */
bool mw_bus_publish(struct mw_bus *bus, const struct mw_text *message, size_t *reached);

/* The bytes of a message that comes from another process: for the subscribers here. False when they are none. */
bool mw_bus_receive(struct mw_bus *bus, const char *bytes, size_t size);

/* The bytes of a message that comes from another daemon: for the subscribers here but bridges, and through the
 * outlet. False when they are none. */
bool mw_bus_inject(struct mw_bus *bus, const char *bytes, size_t size);

/* The bridge that was subscribed last, of those that are. NULL: there is none. */
const struct mw_bus_subscriber *mw_bus_bridge(const struct mw_bus *bus);

#endif
