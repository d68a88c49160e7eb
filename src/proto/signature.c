#include "proto/signature_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one look may take in going back. */
enum { DEPTH_MOST = 5000, HEAP_KIB_MOST = 1024 };

/* Bytes are bytes, and nothing of an expression may switch that. */
static const uint32_t OPTIONS =
    PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;

static bool refuse(char why[128], const char *problem) {
    snprintf(why, 128, "%s", problem);
    return false;
}

static bool compile(struct mw_signatures *set, const struct mw_signature *signature, uint32_t number, char why[128]) {
    struct mw_signature_regex *regex = &set->regexes[set->regex_count];
    int error;
    size_t offset;
    if (signature->size > MW_SIGNATURE_REGEX_MOST) {
        return refuse(why, "an expression of 4096 bytes at most expected");
    }
    regex->code = pcre2_compile((PCRE2_SPTR)signature->text, signature->size, OPTIONS, &error, &offset, NULL);
    if (!regex->code) {
        char problem[96];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)problem, sizeof problem);
        snprintf(why, 128, "at byte %zu: %s", offset + 1, problem);
        return false;
    }
    set->regex_count++;
    regex->number = number;
    pcre2_pattern_info(regex->code, PCRE2_INFO_MAXLOOKBEHIND, &regex->lookbehind);
    regex->lookbehind += regex->lookbehind == 0; /* a byte before it tells that the stream does not begin there */
    return true;
}

static bool check_bytes(const struct mw_signature *signature, size_t *total, char why[128]) {
    *total += signature->size;
    if (signature->size == 0 || signature->size > MW_SIGNATURE_BYTES_MOST) {
        return refuse(why, "1 to 1024 bytes expected");
    }
    return *total <= MW_SIGNATURES_BYTES_MOST || refuse(why, "all bytes to look for together are more than 16384");
}

/* False, with the place of the one that is wrong, or `count` when memory is out. */
static bool take_all(struct mw_signatures *set, const struct mw_signature *list, size_t *wrong, char why[128]) {
    size_t total = 0;
    for (size_t i = 0; i < set->count; i++) {
        *wrong = i;
        set->within[i] = list[i].within;
        set->twins[i] = MW_SIGNATURE_NONE;
        bool good = list[i].is_regex ? compile(set, &list[i], (uint32_t)i, why) : check_bytes(&list[i], &total, why);
        if (!good) {
            return false;
        }
    }
    *wrong = set->count;
    return mw_signature_build(set, list);
}

static bool allocate(struct mw_signatures *set, size_t count) {
    set->count = count;
    set->within = calloc(count + 1, sizeof *set->within);
    set->twins = calloc(count + 1, sizeof *set->twins);
    set->regexes = calloc(count + 1, sizeof *set->regexes);
    set->limits = pcre2_match_context_create(NULL);
    set->match = pcre2_match_data_create(1, NULL);
    set->scratch = malloc(MW_SIGNATURE_WINDOW + MW_SIGNATURE_PIECE);
    if (!set->within || !set->twins || !set->regexes || !set->limits || !set->match || !set->scratch) {
        return false;
    }
    pcre2_set_depth_limit(set->limits, DEPTH_MOST);
    pcre2_set_heap_limit(set->limits, HEAP_KIB_MOST);
    return true;
}

struct mw_signatures *mw_signatures_new(const struct mw_signature *list, size_t count, size_t *wrong, char why[128]) {
    struct mw_signatures *set = calloc(1, sizeof *set);
    *wrong = count;
    why[0] = '\0';
    if (set && allocate(set, count) && take_all(set, list, wrong, why)) {
        return set;
    }
    mw_signatures_free(set);
    return NULL;
}

void mw_signatures_free(struct mw_signatures *set) {
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->regex_count; i++) {
        pcre2_code_free(set->regexes[i].code);
    }
    pcre2_match_data_free(set->match);
    pcre2_match_context_free(set->limits);
    free(set->scratch);
    free(set->regexes);
    free(set->twins);
    free(set->within);
    free(set->states);
    free(set);
}
