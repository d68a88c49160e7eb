#include "net/resolver.h"

#include "net/resolver_addresses.h"
#include "net/resolver_cache.h"
#include "net/resolver_channel.h"
#include "net/resolver_fault.h"
#include "net/resolver_name.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Questions under way at once are bounded, because what a burst gets back has
 * to fit into the receive buffer of one socket, and c-ares has 16 bits for the
 * numbers of its queries. Others wait their turn. */
enum { UNDER_WAY = 256, DEFAULT_ENTRIES = 1024, KEPT_BYTES_MAX = 8192, BUCKETS = 256 };

/* Seconds. A name that does not exist may exist soon: somebody may just be setting it up. */
static const double KEEP_MISSING = 5, KEEP_MOST = 86400;

/* The class Internet, for which the header of c-ares has no name. */
enum { CLASS_IN = 1 };

/* Kinds of questions; from RECORDS on, types of records. A key begins with 'a' plus the kind. */
enum { ADDRESSES, ADDRESSES_V4, ADDRESSES_V6, RECORDS };

/* What is asked of the servers, for one lookup or more. */
struct question {
    struct mw_list bucket;  /* in resolver->asked */
    struct mw_list waiting; /* in resolver->waiting until it is under way */
    struct mw_list lookups;
    struct mw_resolver *resolver;
    bool under_way;
    char key[];
};

/* What came of a question: `items` is one block from malloc, or NULL. */
struct outcome {
    int status; /* ARES_* */
    void *items;
    size_t count, size; /* size in bytes */
    double ttl;         /* seconds */
};

struct mw_lookup {
    struct mw_list node; /* in its question, and when that is answered in resolver->ready */
    struct mw_resolver *resolver;
    struct question *question; /* NULL: answered */
    struct mw_answer *answer;  /* NULL: the status says all */
    int status;                /* ARES_* */
    const char *why;           /* what is wrong with the name; NULL: nothing */
    int kind;
    const char *noun; /* what was asked for, when it is missing */
    uint16_t port;
    mw_addresses_callback *on_addresses; /* one of the two is set */
    mw_records_callback *on_records;
    void *context;
    char name[MW_HOST_MAX + 1]; /* as asked, for messages */
};

struct mw_resolver {
    struct mw_loop *loop;
    struct mw_resolver_channel *channel;
    struct mw_cache *cache;
    struct mw_list ready;   /* lookups whose callback is due */
    struct mw_list waiting; /* questions whose turn has not come */
    size_t under_way;       /* questions that c-ares has */
    size_t awaiting;        /* lookups whose question is not answered */
    bool replacing;         /* the channel: what it had under way is to be asked again */
    struct mw_list asked[BUCKETS];
};

static struct mw_list *bucket_of(struct mw_resolver *resolver, const char *key) {
    return &resolver->asked[mw_cache_hash(key) % BUCKETS];
}

static void question_free(struct question *question) {
    mw_list_remove(&question->bucket);
    mw_list_remove(&question->waiting);
    free(question);
}

static void lookup_free(struct mw_lookup *lookup) {
    mw_list_remove(&lookup->node);
    mw_answer_release(lookup->answer);
    free(lookup);
}

/* The list's links are written by name, so that static analysis sees that the lookup is off it. */
static struct mw_lookup *take_first(struct mw_list *list) {
    struct mw_list *node = list->next;
    list->next = node->next;
    list->next->previous = list;
    mw_list_init(node);
    return mw_list_owner(node, struct mw_lookup, node);
}

static void make_ready(struct mw_lookup *lookup, int status, struct mw_answer *answer) {
    lookup->question = NULL;
    lookup->status = status;
    lookup->answer = answer;
    mw_list_remove(&lookup->node);
    mw_list_append(&lookup->resolver->ready, &lookup->node);
}

/* Hands the outcome to all who asked. `answer` may be NULL; it stays the caller's. */
static void question_end(struct question *question, int status, struct mw_answer *answer) {
    struct mw_resolver *resolver = question->resolver;
    while (!mw_list_empty(&question->lookups)) {
        struct mw_lookup *lookup = mw_list_owner(question->lookups.next, struct mw_lookup, node);
        if (answer) {
            answer->references++;
        }
        resolver->awaiting--;
        make_ready(lookup, status, answer);
    }
    resolver->under_way--;
    question_free(question);
}

/* For another channel, if anybody still wants to know. */
static void ask_again(struct question *question) {
    struct mw_resolver *resolver = question->resolver;
    resolver->under_way--;
    question->under_way = false;
    if (mw_list_empty(&question->lookups)) {
        question_free(question);
    } else {
        mw_list_append(&resolver->waiting, &question->waiting);
    }
}

/* Ends the question with what came. An answer that is not large is kept as long as it may be. */
static void conclude(struct question *question, const struct outcome *outcome) {
    struct mw_resolver *resolver = question->resolver;
    if (resolver->replacing) {
        ask_again(question);
        return;
    }
    bool missing = outcome->status == ARES_ENOTFOUND || outcome->status == ARES_ENODATA;
    if (outcome->status != ARES_SUCCESS && !missing) {
        question_end(question, outcome->status, NULL);
        return;
    }
    struct mw_answer *answer = mw_answer_new(question->key, outcome->status, outcome->items, outcome->count);
    if (!answer) {
        question_end(question, ARES_ENOMEM, NULL);
        return;
    }
    double keep = missing ? KEEP_MISSING : fmin(outcome->ttl, KEEP_MOST);
    if (keep > 0 && outcome->size <= KEPT_BYTES_MAX) {
        answer->expires = mw_loop_now(resolver->loop) + keep;
        mw_cache_keep(resolver->cache, answer);
    }
    question_end(question, outcome->status, answer);
    mw_answer_release(answer);
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *info) {
    (void)timeouts;
    struct mw_address_list list = {NULL, 0, 0};
    if (status == ARES_SUCCESS) {
        status = mw_addresses_copy(&list, info);
    }
    size_t size = list.count * sizeof *list.items;
    conclude(context, &(struct outcome){status, list.items, list.count, size, list.ttl});
    if (info) {
        ares_freeaddrinfo(info);
    }
}

static void on_records(void *context, int status, int timeouts, unsigned char *packet, int size) {
    (void)timeouts;
    struct question *question = context;
    struct mw_record_list list = {NULL, 0, 0, 0};
    if (status == ARES_SUCCESS) {
        enum mw_record_type type = (enum mw_record_type)(question->key[0] - 'a' - RECORDS);
        status = mw_records_parse(&list, packet, (size_t)size, type);
    }
    conclude(question, &(struct outcome){status, list.items, list.count, list.size, list.ttl});
}

/* May end the question before it returns. */
static void question_send(struct question *question) {
    static const int families[RECORDS] = {AF_UNSPEC, AF_INET, AF_INET6};
    ares_channel ares = mw_resolver_channel_ares(question->resolver->channel);
    int kind = question->key[0] - 'a';
    const char *name = question->key + 1;
    mw_list_remove(&question->waiting);
    question->under_way = true;
    question->resolver->under_way++;
    if (kind >= RECORDS) {
        int number = mw_record_number((enum mw_record_type)(kind - RECORDS));
        ares_query(ares, name, CLASS_IN, number, on_records, question);
    } else {
        struct ares_addrinfo_hints hints = {.ai_family = families[kind], .ai_socktype = SOCK_STREAM};
        ares_getaddrinfo(ares, name, NULL, &hints, on_addresses, question);
    }
}

/* Reads a changed resolv.conf, when no query uses the old one any more; if that
 * fails the old one stays, and the next question tries again. */
static void renew_channel(struct mw_resolver *resolver) {
    struct mw_resolver_channel *channel = mw_resolver_channel_new_again(resolver->channel);
    if (channel) {
        mw_resolver_channel_free(resolver->channel);
        resolver->channel = channel;
    }
}

/* Starts the questions whose turn has come. While an outdated channel still has
 * queries, new ones wait until it can be replaced. */
static void send_waiting(struct mw_resolver *resolver) {
    if (mw_list_empty(&resolver->waiting)) {
        return;
    }
    bool outdated = mw_resolver_channel_outdated(resolver->channel);
    if (outdated && resolver->under_way > 0) {
        return;
    }
    if (outdated) {
        renew_channel(resolver);
    }
    while (!mw_list_empty(&resolver->waiting) && resolver->under_way < UNDER_WAY) {
        question_send(mw_list_owner(resolver->waiting.next, struct question, waiting));
    }
}

static void arm(struct mw_resolver *resolver) {
    mw_resolver_channel_arm(resolver->channel, !mw_list_empty(&resolver->ready));
}

/* --- the answers' way to the callbacks --- */

static void explain(const struct mw_lookup *lookup, struct mw_fault *fault) {
    if (lookup->why) {
        mw_fault_format(fault, "invalid", "resolve %s: %s", lookup->name, lookup->why);
    } else {
        mw_resolver_explain(fault, lookup->status, lookup->name, lookup->noun);
    }
}

/* The handle is gone before the callback runs; the answer stays until after. */
static void deliver(struct mw_lookup *lookup) {
    struct mw_answer *answer = lookup->answer;
    struct mw_lookup asked = *lookup;
    struct mw_fault fault;
    lookup->answer = NULL;
    lookup_free(lookup);
    bool failed = asked.status != ARES_SUCCESS;
    if (failed) {
        explain(&asked, &fault);
    }
    size_t count = failed ? 0 : answer->count;
    if (asked.on_addresses) {
        const struct mw_addr *list = failed ? NULL : mw_addresses_with_port(answer->items, count, asked.port);
        asked.on_addresses(asked.context, list, count, failed ? &fault : NULL);
    } else {
        asked.on_records(asked.context, failed ? NULL : answer->items, count, failed ? &fault : NULL);
    }
    mw_answer_release(answer);
}

/* Only what is ready now: a callback that asks again for what is in the cache
 * gets it in the next tick, so that the loop can do other things in between. */
static void on_progress(void *context) {
    struct mw_resolver *resolver = context;
    send_waiting(resolver);
    struct mw_list batch;
    mw_list_init(&batch);
    mw_list_splice(&batch, &resolver->ready);
    while (!mw_list_empty(&batch)) {
        deliver(take_first(&batch));
    }
    arm(resolver);
}

/* --- asking --- */

static struct mw_lookup *lookup_new(struct mw_resolver *resolver, int kind, const char *name, size_t length,
                                    void *context) {
    struct mw_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup) {
        mw_list_init(&lookup->node);
        lookup->resolver = resolver;
        lookup->kind = kind;
        lookup->context = context;
        mw_name_printable(lookup->name, name, length);
    }
    return lookup;
}

/* An answer that needs no server. */
static struct mw_lookup *answer_at_once(struct mw_lookup *lookup, int status, struct mw_answer *answer) {
    make_ready(lookup, status, answer);
    arm(lookup->resolver);
    return lookup;
}

static struct mw_lookup *answer_numeric(struct mw_lookup *lookup, const struct mw_addr *addr, int family) {
    if (family != AF_UNSPEC && family != addr->any.sa_family) {
        return answer_at_once(lookup, ARES_ENODATA, NULL);
    }
    struct mw_answer *answer = mw_addresses_answer(addr);
    return answer_at_once(lookup, answer ? ARES_SUCCESS : ARES_ENOMEM, answer);
}

static struct question *find_question(struct mw_resolver *resolver, const char *key) {
    struct mw_list *bucket = bucket_of(resolver, key);
    for (struct mw_list *node = bucket->next; node != bucket; node = node->next) {
        struct question *question = mw_list_owner(node, struct question, bucket);
        if (strcmp(question->key, key) == 0) {
            return question;
        }
    }
    return NULL;
}

static struct question *question_new(struct mw_resolver *resolver, const char *key) {
    size_t size = strlen(key) + 1;
    struct question *question = malloc(sizeof *question + size);
    if (!question) {
        return NULL;
    }
    question->resolver = resolver;
    question->under_way = false;
    memcpy(question->key, key, size);
    mw_list_init(&question->lookups);
    mw_list_init(&question->bucket);
    mw_list_init(&question->waiting);
    mw_list_append(bucket_of(resolver, key), &question->bucket);
    mw_list_append(&resolver->waiting, &question->waiting);
    return question;
}

/* Asks for `name`, which has been checked, from the cache or the servers. */
static struct mw_lookup *ask(struct mw_lookup *lookup, const char *name) {
    struct mw_resolver *resolver = lookup->resolver;
    char key[MW_NAME_KEY];
    mw_name_key(key, (char)('a' + lookup->kind), name);
    struct mw_answer *answer = mw_cache_find(resolver->cache, key, mw_loop_now(resolver->loop));
    if (answer) {
        return answer_at_once(lookup, answer->status, answer);
    }
    struct question *question = find_question(resolver, key);
    if (!question) {
        question = question_new(resolver, key);
    }
    if (!question) {
        lookup_free(lookup);
        return NULL;
    }
    lookup->question = question;
    mw_list_append(&question->lookups, &lookup->node);
    resolver->awaiting++;
    if (!question->under_way) {
        send_waiting(resolver);
        arm(resolver);
    }
    return lookup;
}

static struct mw_lookup *check_and_ask(struct mw_lookup *lookup, const char *name, size_t length) {
    lookup->why = mw_name_check(name, length);
    return lookup->why ? answer_at_once(lookup, ARES_EBADNAME, NULL) : ask(lookup, lookup->name);
}

struct mw_lookup *mw_resolver_addresses(struct mw_resolver *resolver, const char *name, size_t length,
                                        uint16_t port, int family, mw_addresses_callback *callback,
                                        void *context) {
    static const char *const nouns[RECORDS] = {"address", "IPv4 address", "IPv6 address"};
    int kind = family == AF_INET ? ADDRESSES_V4 : family == AF_INET6 ? ADDRESSES_V6 : ADDRESSES;
    struct mw_lookup *lookup = lookup_new(resolver, kind, name, length, context);
    if (!lookup) {
        return NULL;
    }
    lookup->noun = nouns[kind];
    lookup->on_addresses = callback;
    lookup->port = port;
    struct mw_addr addr;
    if (mw_name_numeric(&addr, name, length, port)) {
        return answer_numeric(lookup, &addr, family);
    }
    return check_and_ask(lookup, name, length);
}

struct mw_lookup *mw_resolver_records(struct mw_resolver *resolver, const char *name, size_t length,
                                      enum mw_record_type type, mw_records_callback *callback,
                                      void *context) {
    struct mw_lookup *lookup = lookup_new(resolver, RECORDS + (int)type, name, length, context);
    if (!lookup) {
        return NULL;
    }
    lookup->noun = mw_record_noun(type);
    lookup->on_records = callback;
    struct mw_addr addr;
    if (type == MW_RECORD_PTR && mw_name_numeric(&addr, name, length, 0)) {
        char reverse[MW_NAME_REVERSE];
        mw_name_reverse(&addr, reverse);
        return ask(lookup, reverse);
    }
    return check_and_ask(lookup, name, length);
}

/* What nobody waits for any more is not asked for any longer, so that no socket
 * and no timer outlives the last lookup. c-ares can only cancel everything: as
 * long as somebody waits for something, the others' queries run out. */
void mw_lookup_cancel(struct mw_lookup *lookup) {
    struct mw_resolver *resolver = lookup->resolver;
    struct question *question = lookup->question;
    lookup_free(lookup);
    if (question) {
        resolver->awaiting--;
        if (!question->under_way && mw_list_empty(&question->lookups)) {
            question_free(question);
        }
        if (resolver->awaiting == 0) {
            ares_cancel(mw_resolver_channel_ares(resolver->channel));
        }
    }
    arm(resolver);
}

/* --- life --- */

bool mw_resolver_configure(struct mw_resolver *resolver, const struct mw_resolver_options *options,
                           struct mw_fault *fault) {
    struct mw_resolver_channel *channel = mw_resolver_channel_new(resolver->loop, options, on_progress, resolver, fault);
    if (!channel) {
        return false;
    }
    struct mw_cache *cache = mw_cache_new(options->entries ? options->entries : DEFAULT_ENTRIES);
    if (!cache) {
        mw_resolver_explain_opening(fault, ARES_ENOMEM, NULL);
        mw_resolver_channel_free(channel);
        return false;
    }
    resolver->replacing = true;
    mw_resolver_channel_free(resolver->channel);
    resolver->replacing = false;
    mw_cache_free(resolver->cache);
    resolver->channel = channel;
    resolver->cache = cache;
    send_waiting(resolver);
    arm(resolver);
    return true;
}

struct mw_resolver *mw_resolver_new(struct mw_loop *loop, const struct mw_resolver_options *options,
                                    struct mw_fault *fault) {
    static const struct mw_resolver_options defaults = {.servers = NULL};
    struct mw_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver) {
        mw_resolver_explain_opening(fault, ARES_ENOMEM, NULL);
        return NULL;
    }
    resolver->loop = loop;
    mw_list_init(&resolver->ready);
    mw_list_init(&resolver->waiting);
    for (size_t i = 0; i < BUCKETS; i++) {
        mw_list_init(&resolver->asked[i]);
    }
    if (!mw_resolver_configure(resolver, options ? options : &defaults, fault)) {
        mw_resolver_free(resolver);
        return NULL;
    }
    return resolver;
}

static void free_lookups(struct mw_list *list) {
    while (!mw_list_empty(list)) {
        lookup_free(take_first(list));
    }
}

static void free_questions(struct mw_resolver *resolver) {
    for (size_t i = 0; i < BUCKETS; i++) {
        struct mw_list *bucket = &resolver->asked[i];
        for (struct mw_list *node = bucket->next, *next; node != bucket; node = next) {
            struct question *question = mw_list_owner(node, struct question, bucket);
            next = node->next;
            free_lookups(&question->lookups);
            if (!question->under_way) {
                question_free(question);
            }
        }
    }
}

/* The channel ends the questions that are under way, whose lookups are gone. */
void mw_resolver_free(struct mw_resolver *resolver) {
    if (!resolver) {
        return;
    }
    free_questions(resolver);
    free_lookups(&resolver->ready);
    mw_resolver_channel_free(resolver->channel);
    mw_cache_free(resolver->cache);
    free(resolver);
}
