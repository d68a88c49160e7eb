/* Patterns as a tree with a word at each step. The steps that have a name are found
 * in one table of hashes for the whole tree, by the step above and the word; a topic is
 * matched in as many looks as it has words, but for the wildcards that others have put there. */
#include "script/bus_topics.h"

#include "base/hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MOST = (MW_TOPIC_SIZE_MOST + 1) / 2, FIRST_ROOM = 64 /* a power of two */ };

struct mw_topic {
    struct mw_list nodes;
    struct mw_topic *above; /* NULL: the root */
    struct mw_topic *next;  /* in its bucket */
    struct mw_topic *one, *rest; /* the steps * and > below; NULL: none */
    size_t below;                /* steps, those included */
    uint64_t number;             /* of the step, used once */
    uint64_t hash;
    const char *word; /* behind the struct */
    size_t size;
};

struct mw_topics {
    struct mw_topic root; /* before the first word */
    struct mw_topic **buckets;
    size_t room, count; /* of those with a name */
    uint64_t numbers;
    struct mw_hash_key key;
};

struct word {
    const char *bytes;
    size_t size;
    uint64_t hash;
};

/* --- what is a topic --- */

static bool is_wildcard(const char *word, size_t size) {
    return size == 1 && (*word == '*' || *word == '>');
}

static const char *word_problem(const char *word, size_t size, bool is_last, bool is_pattern) {
    if (size == 0) {
        return "has an empty word";
    }
    if (is_wildcard(word, size)) {
        if (!is_pattern) {
            return "has a wildcard, which is for subscriptions";
        }
        return *word == '*' || is_last ? NULL : "has a > that is not its last word";
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)word[i];
        if (byte < ' ' || byte == 0x7f) {
            return "has a control byte";
        }
        if (byte == '*' || byte == '>') {
            return "has a * or > within a word; a wildcard is a word of its own";
        }
    }
    return NULL;
}

/* The size of the word that begins there. */
static size_t word_size(const char *bytes, size_t left) {
    const char *dot = memchr(bytes, '.', left);
    return dot ? (size_t)(dot - bytes) : left;
}

const char *mw_topic_problem(const char *bytes, size_t size, bool is_pattern) {
    if (size == 0) {
        return "is empty";
    }
    if (size > MW_TOPIC_SIZE_MOST) {
        return "is longer than 255 bytes";
    }
    for (size_t at = 0; at <= size;) {
        size_t length = word_size(bytes + at, size - at);
        const char *problem = word_problem(bytes + at, length, at + length == size, is_pattern);
        if (problem) {
            return problem;
        }
        at += length + 1;
    }
    return NULL;
}

static size_t split(const struct mw_topics *topics, const char *bytes, size_t size, struct word *words) {
    size_t count = 0;
    for (size_t at = 0; at < size && count < WORDS_MOST; count++) {
        struct word *word = &words[count];
        word->bytes = bytes + at;
        word->size = word_size(word->bytes, size - at);
        word->hash = mw_hash(&topics->key, word->bytes, word->size);
        at += word->size + 1;
    }
    return count;
}

/* --- the table --- */

static size_t bucket_of(const struct mw_topics *topics, uint64_t hash, uint64_t above) {
    return (size_t)((hash ^ above * 0x9e3779b97f4a7c15U) & (topics->room - 1));
}

static struct mw_topic *find(const struct mw_topics *topics, const struct mw_topic *above, const struct word *word) {
    struct mw_topic *topic = topics->buckets[bucket_of(topics, word->hash, above->number)];
    while (topic && !(topic->hash == word->hash && topic->above == above && topic->size == word->size &&
                      memcmp(topic->word, word->bytes, word->size) == 0)) {
        topic = topic->next;
    }
    return topic;
}

static void put(struct mw_topics *topics, struct mw_topic *topic) {
    struct mw_topic **bucket = &topics->buckets[bucket_of(topics, topic->hash, topic->above->number)];
    topic->next = *bucket;
    *bucket = topic;
}

/* Without memory it stays as it is, and is slower. */
static void grow(struct mw_topics *topics) {
    size_t room = topics->room;
    struct mw_topic **old = topics->buckets, **buckets = calloc(room * 2, sizeof *buckets);
    if (!buckets) {
        return;
    }
    topics->buckets = buckets;
    topics->room = room * 2;
    for (size_t i = 0; i < room; i++) {
        for (struct mw_topic *topic = old[i], *next; topic; topic = next) {
            next = topic->next;
            put(topics, topic);
        }
    }
    free(old);
}

/* --- steps --- */

static struct mw_topic **place_of_wildcard(struct mw_topic *above, char wildcard) {
    return wildcard == '*' ? &above->one : &above->rest;
}

static struct mw_topic *step_below(const struct mw_topics *topics, const struct mw_topic *above,
                                   const struct word *word) {
    if (!is_wildcard(word->bytes, word->size)) {
        return find(topics, above, word);
    }
    return *word->bytes == '*' ? above->one : above->rest;
}

static struct mw_topic *new_step(struct mw_topics *topics, struct mw_topic *above, const struct word *word) {
    struct mw_topic *step = calloc(1, sizeof *step + word->size);
    if (!step) {
        return NULL;
    }
    char *copy = memcpy(step + 1, word->bytes, word->size);
    *step = (struct mw_topic){
        .above = above, .number = ++topics->numbers, .hash = word->hash, .word = copy, .size = word->size};
    mw_list_init(&step->nodes);
    return step;
}

static struct mw_topic *add_step(struct mw_topics *topics, struct mw_topic *above, const struct word *word) {
    struct mw_topic *step = new_step(topics, above, word);
    if (!step) {
        return NULL;
    }
    above->below++;
    if (is_wildcard(step->word, step->size)) {
        *place_of_wildcard(above, *step->word) = step;
        return step;
    }
    if (topics->count >= topics->room) {
        grow(topics);
    }
    topics->count++;
    put(topics, step);
    return step;
}

static void remove_step(struct mw_topics *topics, struct mw_topic *step) {
    struct mw_topic *above = step->above;
    struct mw_topic **place;
    if (is_wildcard(step->word, step->size)) {
        place = place_of_wildcard(above, *step->word);
    } else {
        topics->count--;
        place = &topics->buckets[bucket_of(topics, step->hash, above->number)];
        while (*place != step) {
            place = &(*place)->next;
        }
    }
    *place = step->next;
    above->below--;
    free(step);
}

/* Those that lead nowhere, upwards from there. */
static void prune(struct mw_topics *topics, struct mw_topic *step) {
    while (step->above && step->below == 0 && mw_list_empty(&step->nodes)) {
        struct mw_topic *above = step->above;
        remove_step(topics, step);
        step = above;
    }
}

/* --- subscribing --- */

struct mw_topics *mw_topics_new(void) {
    struct mw_topics *topics = calloc(1, sizeof *topics);
    if (!topics) {
        return NULL;
    }
    topics->room = FIRST_ROOM;
    topics->buckets = calloc(topics->room, sizeof *topics->buckets);
    mw_list_init(&topics->root.nodes);
    if (!topics->buckets || !mw_hash_key_draw(&topics->key)) {
        mw_topics_free(topics);
        return NULL;
    }
    return topics;
}

void mw_topics_free(struct mw_topics *topics) {
    free(topics->buckets);
    free(topics);
}

struct mw_topic *mw_topics_add(struct mw_topics *topics, const char *pattern, size_t size, struct mw_list *node) {
    struct word words[WORDS_MOST];
    size_t count = split(topics, pattern, size, words);
    struct mw_topic *step = &topics->root;
    for (size_t i = 0; i < count; i++) {
        struct mw_topic *next = step_below(topics, step, &words[i]);
        if (!next) {
            next = add_step(topics, step, &words[i]);
        }
        if (!next) {
            prune(topics, step);
            return NULL;
        }
        step = next;
    }
    mw_list_append(&step->nodes, node);
    return step;
}

void mw_topics_remove(struct mw_topics *topics, struct mw_topic *topic, struct mw_list *node) {
    mw_list_remove(node);
    prune(topics, topic);
}

/* --- matching --- */

struct match {
    const struct mw_topics *topics;
    const struct word *words;
    size_t count;
    void (*give)(void *context, const struct mw_list *nodes);
    void *context;
};

/* Every step is met once at most, however many ways there are: it has one step above. */
static void match_from(const struct match *match, const struct mw_topic *step, size_t at) {
    if (at == match->count) {
        match->give(match->context, &step->nodes);
        return;
    }
    if (step->rest) {
        match->give(match->context, &step->rest->nodes);
    }
    const struct mw_topic *named = find(match->topics, step, &match->words[at]);
    if (named) {
        match_from(match, named, at + 1);
    }
    if (step->one) {
        match_from(match, step->one, at + 1);
    }
}

void mw_topics_match(const struct mw_topics *topics, const char *topic, size_t size,
                     void (*give)(void *context, const struct mw_list *nodes), void *context) {
    struct word words[WORDS_MOST];
    struct match match = {.topics = topics, .words = words, .give = give, .context = context};
    match.count = split(topics, topic, size, words);
    match_from(&match, &topics->root, 0);
}
