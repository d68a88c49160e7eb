#include "script/bus.h"

#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

struct mw_bus {
    struct mw_topics *topics;
    struct mw_list bridges; /* of mw_bus_subscriber */
    mw_bus_outlet *outlet;
    void *outlet_context;
    struct mw_bus_counts counts;
};

struct mw_bus *mw_bus_new(void) {
    struct mw_bus *bus = calloc(1, sizeof *bus);
    if (bus) {
        bus->topics = mw_topics_new();
    }
    if (!bus || !bus->topics) {
        free(bus);
        return NULL;
    }
    mw_list_init(&bus->bridges);
    return bus;
}

void mw_bus_free(struct mw_bus *bus) {
    if (bus) {
        mw_topics_free(bus->topics);
        free(bus);
    }
}

void mw_bus_set_outlet(struct mw_bus *bus, mw_bus_outlet *outlet, void *context) {
    bus->outlet = outlet;
    bus->outlet_context = context;
}

struct mw_bus_counts mw_bus_counts(const struct mw_bus *bus) {
    return bus->counts;
}

/* --- queues --- */

/* Behind the messages that are there. */
static struct mw_bus_message **place_of_next(const struct mw_bus_subscriber *subscriber) {
    return &subscriber->queue[(subscriber->first + subscriber->count) % subscriber->room];
}

static bool has_room(const struct mw_bus_subscriber *subscriber, size_t size) {
    return subscriber->count == 0 ||
           (subscriber->count < subscriber->limit && subscriber->bytes + size <= MW_BUS_BYTES_MOST);
}

static bool widen(struct mw_bus_subscriber *subscriber) {
    size_t room = subscriber->room ? subscriber->room * 2 : FIRST_ROOM;
    if (room > subscriber->limit) {
        room = subscriber->limit;
    }
    struct mw_bus_message **queue = malloc(room * sizeof(struct mw_bus_message *));
    if (!queue) {
        return false;
    }
    for (size_t i = 0; i < subscriber->count; i++) {
        queue[i] = subscriber->queue[(subscriber->first + i) % subscriber->room];
    }
    free(subscriber->queue);
    subscriber->queue = queue;
    subscriber->room = room;
    subscriber->first = 0;
    return true;
}

static struct mw_bus_message *shift(struct mw_bus_subscriber *subscriber) {
    struct mw_bus_message *message = subscriber->queue[subscriber->first];
    subscriber->first = (subscriber->first + 1) % subscriber->room;
    subscriber->count--;
    subscriber->bytes -= message->size;
    return message;
}

static void forget_queue(struct mw_bus_subscriber *subscriber) {
    free(subscriber->queue);
    subscriber->queue = NULL;
    subscriber->room = subscriber->first = 0;
}

static void count_dropped(struct mw_bus_subscriber *subscriber) {
    subscriber->dropped++;
    subscriber->bus->counts.dropped++;
}

/* Whether the message was queued. Makes room first, where that is the policy. */
static bool queue_message(struct mw_bus_subscriber *subscriber, struct mw_bus_message *message) {
    while (subscriber->policy == MW_BUS_DROP_OLDEST && !has_room(subscriber, message->size)) {
        mw_bus_release(shift(subscriber));
        count_dropped(subscriber);
    }
    if (!has_room(subscriber, message->size) || (subscriber->count == subscriber->room && !widen(subscriber))) {
        count_dropped(subscriber);
        return false;
    }
    *place_of_next(subscriber) = message;
    subscriber->count++;
    subscriber->bytes += message->size;
    message->references++;
    return true;
}

/* One that was busy for once need not keep so much. */
struct mw_bus_message *mw_bus_take(struct mw_bus_subscriber *subscriber) {
    if (subscriber->count == 0) {
        return NULL;
    }
    struct mw_bus_message *message = shift(subscriber);
    subscriber->taken++;
    if (subscriber->count == 0 && subscriber->room > FIRST_ROOM) {
        forget_queue(subscriber);
    }
    return message;
}

void mw_bus_release(struct mw_bus_message *message) {
    if (--message->references == 0) {
        free(message);
    }
}

/* --- subscribers --- */

bool mw_bus_subscribe(struct mw_bus *bus, struct mw_bus_subscriber *subscriber, const char *pattern, size_t size) {
    mw_list_init(&subscriber->node);
    mw_list_init(&subscriber->bridge);
    subscriber->bus = bus;
    subscriber->topic = mw_topics_add(bus->topics, pattern, size, &subscriber->node);
    if (subscriber->topic && subscriber->is_bridge) {
        mw_list_append(&bus->bridges, &subscriber->bridge);
    }
    return subscriber->topic != NULL;
}

static void leave(struct mw_bus_subscriber *subscriber) {
    if (subscriber->topic) {
        mw_topics_remove(subscriber->bus->topics, subscriber->topic, &subscriber->node);
        subscriber->topic = NULL;
        mw_list_remove(&subscriber->bridge);
    }
}

void mw_bus_unsubscribe(struct mw_bus_subscriber *subscriber) {
    leave(subscriber);
    while (subscriber->count > 0) {
        mw_bus_release(shift(subscriber));
    }
    forget_queue(subscriber);
}

/* --- publishing --- */

/* One that has ended stays where it is until its owner notices: lists do not change while they are looked at. */
static bool deliver(struct mw_bus_subscriber *subscriber, struct mw_bus_message *message) {
    if (subscriber->overrun) {
        return false;
    }
    bool queued = queue_message(subscriber, message);
    subscriber->overrun = !queued && subscriber->policy == MW_BUS_DISCONNECT;
    if (queued || subscriber->overrun) {
        subscriber->on_news(subscriber);
    }
    return queued;
}

struct delivery {
    const char *bytes;
    size_t size;
    struct mw_bus_message *message; /* a copy, made when somebody is found who wants it */
    size_t reached;
    bool injected; /* it is not for bridges */
    bool failed;   /* memory was out for the copy */
};

/* Whether there is one. */
static bool make_message(struct delivery *delivery) {
    if (delivery->message || delivery->failed) {
        return !delivery->failed;
    }
    struct mw_bus_message *message = malloc(sizeof *message + delivery->size);
    delivery->failed = !message;
    if (message) {
        message->references = 1;
        message->size = delivery->size;
        memcpy(message->bytes, delivery->bytes, delivery->size);
        delivery->message = message;
    }
    return message != NULL;
}

static void give(void *context, const struct mw_list *nodes) {
    struct delivery *delivery = context;
    for (const struct mw_list *node = nodes->next; node != nodes && make_message(delivery); node = node->next) {
        struct mw_bus_subscriber *subscriber = mw_list_owner(node, struct mw_bus_subscriber, node);
        bool is_meant = !delivery->injected || !subscriber->is_bridge;
        if (is_meant && deliver(subscriber, delivery->message)) {
            delivery->reached++;
        }
    }
}

/* False when memory is out. */
static bool deliver_all(struct mw_bus *bus, struct delivery *delivery) {
    mw_topics_match(bus->topics, delivery->bytes + 1, (unsigned char)*delivery->bytes, give, delivery);
    if (delivery->message) {
        mw_bus_release(delivery->message);
    }
    return !delivery->failed;
}

static void send_out(struct mw_bus *bus, const char *bytes, size_t size) {
    if (bus->outlet && !bus->outlet(bus->outlet_context, bytes, size)) {
        bus->counts.dropped++;
    }
}

void mw_bus_address(struct mw_text *text, const char *topic, size_t size) {
    char byte = (char)size;
    mw_text_add(text, &byte, 1);
    mw_text_add(text, topic, size);
}

bool mw_bus_publish(struct mw_bus *bus, const struct mw_text *message, size_t *reached) {
    struct delivery delivery = {.bytes = message->bytes, .size = message->size};
    *reached = 0;
    if (message->failed || !deliver_all(bus, &delivery)) {
        return false;
    }
    *reached = delivery.reached;
    bus->counts.published++;
    send_out(bus, message->bytes, message->size);
    return true;
}

static bool is_message(const char *bytes, size_t size) {
    struct mw_value value;
    size_t head = size ? (size_t)(unsigned char)*bytes + 1 : 0;
    return size > head && !mw_topic_problem(bytes + 1, head - 1, false) &&
           mw_message_read(&value, bytes + head, size - head);
}

bool mw_bus_receive(struct mw_bus *bus, const char *bytes, size_t size) {
    struct delivery delivery = {.bytes = bytes, .size = size};
    if (!is_message(bytes, size)) {
        return false;
    }
    if (!deliver_all(bus, &delivery)) {
        bus->counts.dropped++;
    }
    return true;
}

/* --- bridges --- */

bool mw_bus_inject(struct mw_bus *bus, const char *bytes, size_t size) {
    struct delivery delivery = {.bytes = bytes, .size = size, .injected = true};
    if (!is_message(bytes, size)) {
        return false;
    }
    if (!deliver_all(bus, &delivery)) {
        bus->counts.dropped++;
    }
    send_out(bus, bytes, size);
    return true;
}

const struct mw_bus_subscriber *mw_bus_bridge(const struct mw_bus *bus) {
    return mw_list_empty(&bus->bridges) ? NULL : mw_list_owner(bus->bridges.previous, struct mw_bus_subscriber, bridge);
}
