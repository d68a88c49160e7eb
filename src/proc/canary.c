#include "proc/canary.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { OLD, NEW };

static bool is_word(const struct mw_json *json, const char *word) {
    return json->string_length == strlen(word) && memcmp(json->text + json->string, word, json->string_length) == 0;
}

/* Walks { "old": { "accepted": 1, … }, … } and adds the numbers to their places. */
static void add_answer(struct mw_canary_count count[2], const char *text, size_t size) {
    struct mw_json json = {.text = text, .length = size, .depth_limit = 8};
    struct mw_canary_count *side = NULL;
    int64_t *place = NULL;
    for (enum mw_json_token token; (token = mw_json_next(&json)) != MW_JSON_END && token != MW_JSON_FAULT;) {
        if (token == MW_JSON_KEY) {
            side = is_word(&json, "old") ? &count[OLD] : is_word(&json, "new") ? &count[NEW] : side;
            place = side && is_word(&json, "accepted") ? &side->accepted
                    : side && is_word(&json, "errors") ? &side->errors
                                                       : NULL;
        } else if (token == MW_JSON_INTEGER && place) {
            *place += json.integer;
            place = NULL;
        }
    }
}

void mw_canary_count(struct mw_canary *canary, const struct mw_question *question, int workers) {
    memset(canary->now, 0, sizeof canary->now);
    for (int worker = 1; worker <= workers; worker++) {
        size_t size;
        const char *answer = mw_question_answer(question, worker, &size);
        if (answer) {
            add_answer(canary->now, answer, size);
        }
    }
    if (!canary->begun) {
        canary->begun = true;
        memcpy(canary->base, canary->now, sizeof canary->base);
    }
}

static double rate(const struct mw_canary *canary, int side, int64_t *errors) {
    int64_t accepted = canary->now[side].accepted - canary->base[side].accepted;
    *errors = canary->now[side].errors - canary->base[side].errors;
    return (double)*errors / (double)(accepted > 0 ? accepted : 1);
}

bool mw_canary_is_worse(const struct mw_canary *canary, double factor, char *text, size_t size) {
    int64_t old_errors, new_errors;
    double old_rate = rate(canary, OLD, &old_errors), new_rate = rate(canary, NEW, &new_errors);
    snprintf(text, size, "%lld errors, %.2f %% of its connections, against %.2f %% of the old one's",
             (long long)new_errors, new_rate * 100, old_rate * 100);
    return new_errors >= MW_CANARY_ERRORS && new_rate > factor * old_rate;
}
