/* layers: proto script base */
/* wrap: getrandom */
/* The hub of the bus: who gets what, in which order, and what becomes of what nobody takes. */
#include "proto/message.h"
#include "script/bus.h"
#include "support/alloc_failure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

static bool without_random;

ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__wrap_getrandom");
ssize_t libc_getrandom(void *bytes, size_t size, unsigned flags) __asm__("__real_getrandom");

ssize_t wrapped_getrandom(void *bytes, size_t size, unsigned flags) {
    if (without_random) {
        errno = ENOSYS;
        return -1;
    }
    return libc_getrandom(bytes, size, flags);
}

static struct mw_bus *bus;

struct listener {
    struct mw_bus_subscriber subscriber;
    int news;
};

static int open_bus(void **state) {
    (void)state;
    bus = mw_bus_new();
    return bus ? 0 : -1;
}

static int close_bus(void **state) {
    (void)state;
    mw_bus_free(bus);
    return 0;
}

static void on_news(struct mw_bus_subscriber *subscriber) {
    mw_list_owner(subscriber, struct listener, subscriber)->news++;
}

static bool try_to_listen(struct listener *listener, const char *pattern, size_t limit, enum mw_bus_policy policy) {
    *listener = (struct listener){.subscriber = {.limit = limit, .policy = policy, .on_news = on_news}};
    return mw_bus_subscribe(bus, &listener->subscriber, pattern, strlen(pattern));
}

static void listen_to(struct listener *listener, const char *pattern) {
    assert_true(try_to_listen(listener, pattern, 10, MW_BUS_DROP_OLDEST));
}

static void stop(struct listener *listener) {
    mw_bus_unsubscribe(&listener->subscriber);
}

static void write_message(struct mw_text *text, const char *topic, int64_t value) {
    mw_bus_address(text, topic, strlen(topic));
    mw_message_integer(text, value);
}

static bool try_to_publish(const char *topic, int64_t value, size_t *reached) {
    struct mw_text text = {.bytes = NULL};
    write_message(&text, topic, value);
    bool published = mw_bus_publish(bus, &text, reached);
    mw_text_free(&text);
    return published;
}

static size_t publish(const char *topic, int64_t value) {
    size_t reached;
    assert_true(try_to_publish(topic, value, &reached));
    return reached;
}

/* The next value, if its topic is that one; -1: there is none. */
static int64_t take(struct listener *listener, const char *topic) {
    struct mw_value value;
    size_t size;
    struct mw_bus_message *message = mw_bus_take(&listener->subscriber);
    if (!message) {
        return -1;
    }
    const char *bytes = mw_bus_topic(message, &size);
    assert_int_equal(size, strlen(topic));
    assert_memory_equal(bytes, topic, size);
    bytes = mw_bus_value(message, &size);
    assert_true(mw_message_read(&value, bytes, size));
    mw_bus_release(message);
    return value.integer;
}

static void topics_and_patterns_are_judged(void **state) {
    char long_one[MW_TOPIC_SIZE_MOST + 2];
    (void)state;
    static const char *const topics[] = {"a", "chat.room.7", "\xc3\xa9t\xc3\xa9.x y", "-"};
    static const char *const patterns[] = {"*", ">", "a.*", "*.a.*", "a.>", "*.>", "a"};
    static const char *const never[] = {"", ".", "a.", ".a", "a..b", "a\n", "a.\x7f", "a*", ">a", ">.a", "a.>.b"};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        assert_null(mw_topic_problem(topics[i], strlen(topics[i]), false));
    }
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const char *problem = mw_topic_problem(patterns[i], strlen(patterns[i]), false);
        assert_null(mw_topic_problem(patterns[i], strlen(patterns[i]), true));
        assert_true((problem != NULL) == (strpbrk(patterns[i], "*>") != NULL));
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        assert_non_null(mw_topic_problem(never[i], strlen(never[i]), true));
        assert_non_null(mw_topic_problem(never[i], strlen(never[i]), false));
    }
    assert_non_null(mw_topic_problem("a\0b", 3, false));
    memset(long_one, 'x', sizeof long_one);
    assert_null(mw_topic_problem(long_one, MW_TOPIC_SIZE_MOST, false));
    assert_non_null(mw_topic_problem(long_one, MW_TOPIC_SIZE_MOST + 1, false));
}

static void patterns_match_words(void **state) {
    static const struct {
        const char *pattern, *yes[4], *no[4];
    } cases[] = {
        {"a.b", {"a.b"}, {"a", "a.b.c", "a.c", "ab"}},
        {"a.*", {"a.b", "a.c"}, {"a", "a.b.c", "b.a"}},
        {"*.b", {"a.b", "b.b"}, {"b", "a.b.b"}},
        {"*", {"a", "b"}, {"a.b"}},
        {"*.*", {"a.b", "c.d"}, {"a", "a.b.c"}},
        {"a.>", {"a.b", "a.b.c", "a.b.c.d"}, {"a", "b.a"}},
        {">", {"a", "a.b", "a.b.c"}, {NULL}},
        {"*.b.>", {"a.b.c", "x.b.c.d"}, {"a.b", "a.c.b", "b.c"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listener listener;
        listen_to(&listener, cases[i].pattern);
        for (int j = 0; j < 4 && cases[i].yes[j]; j++) {
            assert_int_equal(publish(cases[i].yes[j], j), 1);
            assert_int_equal(take(&listener, cases[i].yes[j]), j);
        }
        for (int j = 0; j < 4 && cases[i].no[j]; j++) {
            assert_int_equal(publish(cases[i].no[j], j), 0);
        }
        stop(&listener);
    }
    assert_int_equal(publish("a.b", 1), 0);
}

static void everybody_gets_it_once(void **state) {
    static const char *const patterns[] = {"a.b.c", "a.b.c", "a.*.c", "*.b.*", "a.>", ">", "*.*.*", "a.b.>"};
    struct listener listeners[8];
    (void)state;
    for (int i = 0; i < 8; i++) {
        listen_to(&listeners[i], patterns[i]);
    }
    assert_int_equal(publish("a.b.c", 5), 8);
    assert_int_equal(publish("a.b.c", 6), 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(listeners[i].news, 2);
        assert_int_equal(take(&listeners[i], "a.b.c"), 5);
        assert_int_equal(take(&listeners[i], "a.b.c"), 6);
        assert_int_equal(take(&listeners[i], "a.b.c"), -1);
    }
    for (int i = 0; i < 8; i++) {
        stop(&listeners[i]);
        assert_int_equal(publish("a.b.c", 7), 7 - i);
    }
}

static void topics_of_many_words_are_no_different(void **state) {
    char topic[MW_TOPIC_SIZE_MOST + 1], pattern[MW_TOPIC_SIZE_MOST + 1];
    struct listener exact, loose;
    (void)state;
    for (size_t i = 0; i < MW_TOPIC_SIZE_MOST; i++) {
        topic[i] = i % 2 ? '.' : 'a';
        pattern[i] = i % 2 ? '.' : '*';
    }
    topic[MW_TOPIC_SIZE_MOST] = pattern[MW_TOPIC_SIZE_MOST] = '\0';
    listen_to(&exact, topic);
    listen_to(&loose, pattern);
    assert_int_equal(publish(topic, 1), 2);
    stop(&exact);
    assert_int_equal(publish(topic, 1), 1);
    stop(&loose);
    assert_int_equal(publish(topic, 1), 0);
}

static void many_topics_are_kept_apart(void **state) {
    enum { MANY = 1000 };
    struct listener *listeners = calloc(MANY, sizeof *listeners);
    char topic[32];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(topic, sizeof topic, "room.%d.%d", i / 10, i);
        listen_to(&listeners[i], topic);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(topic, sizeof topic, "room.%d.%d", i / 10, i);
        assert_int_equal(publish(topic, i), 1);
        assert_int_equal(take(&listeners[i], topic), i);
    }
    for (int i = 0; i < MANY; i += 2) {
        stop(&listeners[i]);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(topic, sizeof topic, "room.%d.%d", i / 10, i);
        assert_int_equal(publish(topic, i), i % 2);
    }
    for (int i = 1; i < MANY; i += 2) {
        stop(&listeners[i]);
    }
    free(listeners);
}

static void a_full_queue_drops_the_oldest(void **state) {
    struct listener listener;
    (void)state;
    assert_true(try_to_listen(&listener, "a", 3, MW_BUS_DROP_OLDEST));
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(publish("a", i), 1);
    }
    assert_int_equal(listener.subscriber.dropped, 2);
    assert_int_equal(mw_bus_counts(bus).dropped, 2);
    for (int i = 3; i <= 5; i++) {
        assert_int_equal(take(&listener, "a"), i);
    }
    assert_int_equal(listener.subscriber.taken, 3);
    stop(&listener);
}

static void or_the_newest(void **state) {
    struct listener listener;
    (void)state;
    assert_true(try_to_listen(&listener, "a", 3, MW_BUS_DROP_NEWEST));
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(publish("a", i), i <= 3);
    }
    assert_int_equal(listener.subscriber.dropped, 2);
    assert_int_equal(take(&listener, "a"), 1);
    assert_int_equal(publish("a", 6), 1);
    assert_int_equal(take(&listener, "a"), 2);
    assert_int_equal(take(&listener, "a"), 3);
    assert_int_equal(take(&listener, "a"), 6);
    stop(&listener);
}

static void or_ends_the_subscription(void **state) {
    struct listener listener;
    (void)state;
    assert_true(try_to_listen(&listener, "a", 2, MW_BUS_DISCONNECT));
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(publish("a", i), i <= 2);
    }
    assert_true(listener.subscriber.overrun);
    assert_int_equal(listener.news, 3);
    assert_int_equal(listener.subscriber.dropped, 1);
    assert_int_equal(take(&listener, "a"), 1);
    assert_int_equal(publish("a", 5), 0);
    assert_int_equal(take(&listener, "a"), 2);
    assert_int_equal(take(&listener, "a"), -1);
    stop(&listener);
    stop(&listener);
}

static void bytes_of_a_queue_are_limited(void **state) {
    struct listener listener;
    struct mw_text text = {.bytes = NULL};
    size_t reached, size = MW_BUS_VALUE_MOST - 100, fit = MW_BUS_BYTES_MOST / size;
    char *value = calloc(1, size);
    (void)state;
    assert_true(try_to_listen(&listener, "a", 1000, MW_BUS_DROP_NEWEST));
    mw_bus_address(&text, "a", 1);
    mw_message_string(&text, value, size);
    for (size_t i = 0; i < fit + 5; i++) {
        assert_true(mw_bus_publish(bus, &text, &reached));
    }
    assert_int_equal(listener.subscriber.count, fit);
    assert_int_equal(listener.subscriber.dropped, 5);
    stop(&listener);
    mw_text_free(&text);
    free(value);
}

/* A queue that goes round and grows on the way. */
static void order_is_kept(void **state) {
    struct listener listener;
    int64_t in = 0, out = 0;
    (void)state;
    assert_true(try_to_listen(&listener, "a", 1000, MW_BUS_DROP_NEWEST));
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < round; i++) {
            publish("a", in++);
        }
        for (int i = 0; i < round / 2; i++) {
            assert_int_equal(take(&listener, "a"), out++);
        }
    }
    while (out < in) {
        assert_int_equal(take(&listener, "a"), out++);
    }
    assert_int_equal(take(&listener, "a"), -1);
    stop(&listener);
}

/* --- other processes --- */

static struct {
    struct mw_text text;
    int count;
    bool refuses;
} gone_out;

static bool outlet(void *context, const char *bytes, size_t size) {
    assert_ptr_equal(context, &gone_out);
    gone_out.count++;
    gone_out.text.size = 0;
    mw_text_add(&gone_out.text, bytes, size);
    return !gone_out.refuses;
}

static void what_is_published_goes_out_and_comes_in(void **state) {
    struct listener listener;
    (void)state;
    mw_bus_set_outlet(bus, outlet, &gone_out);
    listen_to(&listener, "a.b");
    assert_int_equal(publish("a.b", 77), 1);
    assert_int_equal(gone_out.count, 1);
    assert_int_equal(take(&listener, "a.b"), 77);
    assert_true(mw_bus_receive(bus, gone_out.text.bytes, gone_out.text.size));
    assert_int_equal(gone_out.count, 1);
    assert_int_equal(take(&listener, "a.b"), 77);
    gone_out.refuses = true;
    assert_int_equal(publish("x", 1), 0);
    assert_int_equal(mw_bus_counts(bus).published, 2);
    assert_int_equal(mw_bus_counts(bus).dropped, 1);
    mw_bus_set_outlet(bus, NULL, NULL);
    publish("x", 1);
    assert_int_equal(gone_out.count, 2);
    mw_text_free(&gone_out.text);
    stop(&listener);
}

static void listen_as_bridge(struct listener *listener) {
    *listener = (struct listener){.subscriber = {.limit = 10, .is_bridge = true, .on_news = on_news}};
    assert_true(mw_bus_subscribe(bus, &listener->subscriber, ">", 1));
}

/* What was published or has come in goes over bridges, what was injected to all others. */
static void what_is_injected_goes_over_no_bridge(void **state) {
    struct listener listener, bridge, second;
    (void)state;
    gone_out.count = 0;
    gone_out.refuses = false;
    mw_bus_set_outlet(bus, outlet, &gone_out);
    listen_to(&listener, "a");
    listen_as_bridge(&bridge);
    listen_as_bridge(&second);
    assert_int_equal(publish("a", 1), 3);
    assert_int_equal(take(&bridge, "a"), 1);
    assert_int_equal(take(&second, "a"), 1);
    assert_true(mw_bus_receive(bus, gone_out.text.bytes, gone_out.text.size));
    assert_int_equal(take(&bridge, "a"), 1);
    assert_int_equal(take(&second, "a"), 1);
    assert_true(mw_bus_inject(bus, "\1a\0", 3));
    assert_int_equal(take(&bridge, "a"), -1);
    assert_int_equal(take(&second, "a"), -1);
    assert_int_equal(gone_out.count, 2);
    assert_int_equal(listener.news, 3);
    assert_false(mw_bus_inject(bus, "\1*\0", 3));
    assert_int_equal(gone_out.count, 2);
    stop(&listener);
    stop(&bridge);
    stop(&second);
    mw_text_free(&gone_out.text);
    gone_out.text = (struct mw_text){.bytes = NULL};
}

static void the_last_bridge_serves(void **state) {
    struct listener first, second;
    (void)state;
    assert_null(mw_bus_bridge(bus));
    listen_as_bridge(&first);
    listen_as_bridge(&second);
    assert_ptr_equal(mw_bus_bridge(bus), &second.subscriber);
    stop(&second);
    assert_ptr_equal(mw_bus_bridge(bus), &first.subscriber);
    stop(&first);
    assert_null(mw_bus_bridge(bus));
}

static void nonsense_is_refused(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{"", 0},         {"\0", 1},       {"\1a", 2},        {"\5a\0", 3},
                 {"\1*\0", 3}, {"\1a\77", 3}, {"\1a\0\0", 4}, {"\377", 1}};
    struct listener listener;
    (void)state;
    listen_to(&listener, ">");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(mw_bus_receive(bus, cases[i].bytes, cases[i].size));
    }
    assert_int_equal(take(&listener, ""), -1);
    assert_true(mw_bus_receive(bus, "\1a\0", 3));
    assert_int_equal(take(&listener, "a"), 0);
    stop(&listener);
}

/* --- without memory --- */

static void nothing_is_half_done_without_memory(void **state) {
    (void)state;
    bool complete = false;
    size_t reached = 0;
    for (int nth = 1; !complete; nth++) {
        struct listener listener;
        alloc_failure_arm(nth);
        complete = try_to_listen(&listener, "one.*.three.>", 10, MW_BUS_DROP_OLDEST);
        alloc_failure_disarm();
        assert_int_equal(publish("one.two.three.four", 1), complete);
        stop(&listener);
    }
    for (int nth = 1; reached == 0; nth++) {
        struct listener listener;
        listen_to(&listener, "a");
        alloc_failure_arm(nth);
        bool published = try_to_publish("a", 9, &reached);
        alloc_failure_disarm();
        assert_true(published || reached == 0);
        assert_int_equal(take(&listener, "a"), reached ? 9 : -1);
        stop(&listener);
    }
}

static void what_comes_in_is_dropped_without_memory(void **state) {
    struct listener listener;
    (void)state;
    assert_true(try_to_listen(&listener, "a", 10, MW_BUS_DISCONNECT));
    alloc_failure_arm(1);
    assert_true(mw_bus_receive(bus, "\1a\0", 3));
    alloc_failure_disarm();
    assert_int_equal(mw_bus_counts(bus).dropped, 1);
    assert_false(listener.subscriber.overrun);
    alloc_failure_arm(2);
    assert_true(mw_bus_receive(bus, "\1a\0", 3));
    alloc_failure_disarm();
    assert_int_equal(mw_bus_counts(bus).dropped, 2);
    assert_true(listener.subscriber.overrun);
    assert_int_equal(listener.news, 1);
    stop(&listener);
}

static void a_table_that_cannot_grow_still_works(void **state) {
    enum { MANY = 200 };
    struct listener *listeners = calloc(MANY, sizeof *listeners);
    char topic[32];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(topic, sizeof topic, "room%d", i);
        alloc_failure_arm(2); /* the first is for the step itself */
        listen_to(&listeners[i], topic);
        alloc_failure_disarm();
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(topic, sizeof topic, "room%d", i);
        assert_int_equal(publish(topic, i), 1);
        stop(&listeners[i]);
    }
    free(listeners);
}

static void there_may_be_none(void **state) {
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        alloc_failure_arm(nth);
        assert_null(mw_bus_new());
        assert_true(alloc_failure_disarm());
    }
    without_random = true;
    assert_null(mw_bus_new());
    without_random = false;
    mw_bus_free(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bus, close_bus)
    const struct CMUnitTest tests[] = {
        TEST(topics_and_patterns_are_judged),
        TEST(patterns_match_words),
        TEST(everybody_gets_it_once),
        TEST(topics_of_many_words_are_no_different),
        TEST(many_topics_are_kept_apart),
        TEST(a_full_queue_drops_the_oldest),
        TEST(or_the_newest),
        TEST(or_ends_the_subscription),
        TEST(bytes_of_a_queue_are_limited),
        TEST(order_is_kept),
        TEST(what_is_published_goes_out_and_comes_in),
        TEST(what_is_injected_goes_over_no_bridge),
        TEST(the_last_bridge_serves),
        TEST(nonsense_is_refused),
        TEST(nothing_is_half_done_without_memory),
        TEST(what_comes_in_is_dropped_without_memory),
        TEST(a_table_that_cannot_grow_still_works),
        TEST(there_may_be_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
