#include "proto/signature_internal.h"

/* PCRE2 counts the steps from each byte where a match could begin, anew for each: what a peer can make an expression
 * cost is that times the bytes it sends. So a look that needs no more than a few steps from each byte, which is nearly
 * every one, is free; where it needs more, a few bytes at a time may take more and more, and all of it is paid for. */
enum { FREE_STEPS = 128, FACTOR = 8, STRETCH = 16 };

/* What all calls of a look take. */
struct look {
    const struct mw_signature_regex *regex;
    const uint8_t *subject;
    size_t size;
    uint32_t options;
};

/* Of matches that begin at `last` or before it; PCRE2_UNSET: anywhere. */
static int look_from(struct mw_signatures *set, const struct look *look, size_t at, size_t last, uint32_t steps) {
    pcre2_set_match_limit(set->limits, steps);
    pcre2_set_offset_limit(set->limits, last);
    return pcre2_match(look->regex->code, look->subject, look->size, at, look->options, set->match, set->limits);
}

/* Begins with what is free, and pays for the rest. */
static int look_at_stretch(struct mw_signatures *set, const struct look *look, size_t at, size_t last, uint64_t *left) {
    uint32_t steps = FREE_STEPS;
    int result = look_from(set, look, at, last, steps);
    while (result == PCRE2_ERROR_MATCHLIMIT && steps < MW_SIGNATURE_STEPS_MOST) {
        steps = steps * FACTOR < MW_SIGNATURE_STEPS_MOST ? steps * FACTOR : MW_SIGNATURE_STEPS_MOST;
        uint64_t price = steps * (uint64_t)(last - at + 1);
        if (price > *left) {
            return result;
        }
        *left -= price;
        result = look_from(set, look, at, last, steps);
    }
    return result;
}

int mw_signature_match(struct mw_signatures *set, const struct mw_signature_regex *regex, const uint8_t *subject,
                       size_t size, size_t at, uint32_t options, uint64_t *steps_left) {
    const struct look look = {.regex = regex, .subject = subject, .size = size, .options = options};
    int result = look_from(set, &look, at, PCRE2_UNSET, FREE_STEPS);
    if (result != PCRE2_ERROR_MATCHLIMIT) {
        return result;
    }
    for (;; at += STRETCH) {
        size_t last = size - at < STRETCH ? size : at + STRETCH - 1;
        result = look_at_stretch(set, &look, at, last, steps_left);
        if (result != PCRE2_ERROR_NOMATCH || last == size) {
            return result;
        }
    }
}
