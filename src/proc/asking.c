#include "proc/asking.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

struct mw_asking {
    struct mw_loop *loop;
    struct mw_workers *workers;
    struct mw_list open;
    int64_t last; /* id */
};

struct mw_question {
    struct mw_list node;
    struct mw_asking *asking;
    int64_t id;
    struct mw_timer limit;
    void (*on_done)(void *owner, uint64_t context, struct mw_question *question);
    void *owner;
    uint64_t context;
    int waits; /* for so many answers */
    struct {
        bool asked, waits;
        struct mw_text text;
    } of[]; /* each worker */
};

struct mw_asking *mw_asking_new(struct mw_loop *loop, struct mw_workers *workers) {
    struct mw_asking *asking = calloc(1, sizeof *asking);
    if (asking) {
        asking->loop = loop;
        asking->workers = workers;
        mw_list_init(&asking->open);
    }
    return asking;
}

static void release(struct mw_question *question) {
    for (int i = 0; i < question->asking->workers->count; i++) {
        mw_text_free(&question->of[i].text);
    }
    mw_timer_remove(mw_loop_timers(question->asking->loop), &question->limit);
    mw_list_remove(&question->node);
    free(question);
}

void mw_asking_free(struct mw_asking *asking) {
    for (struct mw_list *node = asking->open.next, *next; node != &asking->open; node = next) {
        next = node->next;
        release(mw_list_owner(node, struct mw_question, node));
    }
    free(asking);
}

static void finish(struct mw_question *question) {
    mw_list_remove(&question->node);
    question->on_done(question->owner, question->context, question);
    release(question);
}

static void on_limit(struct mw_timer *timer) {
    finish(mw_list_owner(timer, struct mw_question, limit));
}

/* A key and a value of a message, as they are. */
static void copy_value(struct mw_text *text, const struct mw_value *value) {
    switch (value->type) {
    case MW_VALUE_BOOLEAN: mw_message_boolean(text, value->boolean); break;
    case MW_VALUE_INTEGER: mw_message_integer(text, value->integer); break;
    case MW_VALUE_NUMBER: mw_message_number(text, value->number); break;
    case MW_VALUE_STRING: mw_message_string(text, value->bytes, value->size); break;
    default: mw_message_nil(text);
    }
}

static bool is_key(const struct mw_value *key, const char *name) {
    return key->type == MW_VALUE_STRING && key->size == strlen(name) && memcmp(key->bytes, name, key->size) == 0;
}

static void write_request(struct mw_text *text, int64_t id, const char *command, const struct mw_value *fields) {
    struct mw_value key, value;
    size_t table = mw_message_open(text);
    mw_message_put_integer(text, "id", id);
    mw_message_put_string(text, "command", command);
    for (size_t at = 0; fields && fields->type == MW_VALUE_TABLE && mw_value_next(fields, &at, &key, &value);) {
        if (command && is_key(&key, "command")) {
            continue;
        }
        if (is_key(&key, "id")) {
            mw_message_string(text, "connection", 10);
        } else {
            copy_value(text, &key);
        }
        copy_value(text, &value);
    }
    mw_message_close(text, table);
}

static void send_request(struct mw_question *question, const struct mw_text *text, int only) {
    struct mw_workers *workers = question->asking->workers;
    for (int i = 0; i < workers->count; i++) {
        struct mw_worker *worker = &workers->list[i];
        if (worker->state == MW_WORKER_SERVING && (only == 0 || only == worker->number)) {
            question->of[i].asked = question->of[i].waits = true;
            question->waits++;
            mw_offspring_tell(worker->process, MW_ORDER_REQUEST, text, NULL, 0);
        }
    }
}

bool mw_asking_start(struct mw_asking *asking, const char *command, const struct mw_value *fields, int only,
                     void (*on_done)(void *owner, uint64_t context, struct mw_question *question), void *owner,
                     uint64_t context) {
    struct mw_text text = {.bytes = NULL};
    struct mw_question *question =
        calloc(1, sizeof *question + (size_t)asking->workers->count * sizeof *question->of);
    if (!question) {
        return false;
    }
    question->asking = asking;
    question->id = ++asking->last;
    question->on_done = on_done;
    question->owner = owner;
    question->context = context;
    mw_list_append(&asking->open, &question->node);
    mw_timer_init(&question->limit, on_limit);
    write_request(&text, question->id, command, fields);
    double due = mw_loop_update(asking->loop) + MW_ASKING_SECONDS;
    if (text.failed || !mw_timer_set(mw_loop_timers(asking->loop), &question->limit, due)) {
        mw_text_free(&text);
        release(question);
        return false;
    }
    send_request(question, &text, only);
    mw_text_free(&text);
    if (question->waits == 0) {
        finish(question);
    }
    return true;
}

const char *mw_question_answer(const struct mw_question *question, int worker, size_t *size) {
    const struct mw_text *text = &question->of[worker - 1].text;
    *size = text->size;
    return text->size && !text->failed ? text->bytes : NULL;
}

bool mw_question_asked(const struct mw_question *question, int worker) {
    return question->of[worker - 1].asked;
}

static void settle(struct mw_question *question, int worker) {
    if (question->of[worker - 1].waits) {
        question->of[worker - 1].waits = false;
        question->waits--;
    }
    if (question->waits == 0) {
        finish(question);
    }
}

void mw_asking_answered(struct mw_asking *asking, struct mw_worker *worker, const struct mw_value *message) {
    int64_t id = mw_value_integer(message, "id", 0);
    struct mw_value text = mw_value_field(message, "text");
    for (struct mw_list *node = asking->open.next; node != &asking->open; node = node->next) {
        struct mw_question *question = mw_list_owner(node, struct mw_question, node);
        if (question->id == id && question->of[worker->number - 1].waits) {
            if (text.type == MW_VALUE_STRING) {
                mw_text_add(&question->of[worker->number - 1].text, text.bytes, text.size);
                mw_text_string(&question->of[worker->number - 1].text);
            }
            settle(question, worker->number);
            return;
        }
    }
}

void mw_asking_gone(struct mw_asking *asking, struct mw_worker *worker) {
    for (struct mw_list *node = asking->open.next, *next; node != &asking->open; node = next) {
        next = node->next;
        struct mw_question *question = mw_list_owner(node, struct mw_question, node);
        if (question->of[worker->number - 1].waits) {
            settle(question, worker->number);
        }
    }
}
