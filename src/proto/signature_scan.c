#include "proto/signature_internal.h"

#include <stdlib.h>
#include <string.h>

/* Positions count the bytes of the stream from its beginning. */
struct mw_scan {
    struct mw_signatures *set;
    uint64_t seen;   /* bytes so far */
    uint64_t most;   /* of these any signature looks at */
    size_t left;     /* signatures that are still looked for */
    uint64_t steps;  /* that expressions may still take, together */
    uint16_t state;  /* of the automaton */
    uint8_t *window; /* the last bytes, which expressions can see again; NULL until there are any */
    size_t kept;     /* of them */
    uint64_t *from;  /* by expression: where a match could still begin */
    uint8_t *over;   /* by number: it is not looked for any more */
};

struct mw_scan *mw_scan_new(struct mw_signatures *set) {
    struct mw_scan *scan = calloc(1, sizeof *scan);
    if (!scan) {
        return NULL;
    }
    scan->set = set;
    scan->left = set->count;
    scan->steps = MW_SIGNATURE_STEPS_TOTAL;
    scan->from = calloc(set->regex_count + 1, sizeof *scan->from);
    scan->over = calloc(set->count + 1, sizeof *scan->over);
    scan->window = set->regex_count ? malloc(MW_SIGNATURE_WINDOW) : NULL;
    if (!scan->from || !scan->over || (set->regex_count && !scan->window)) {
        mw_scan_free(scan);
        return NULL;
    }
    for (size_t i = 0; i < set->count; i++) {
        scan->most = set->within[i] > scan->most ? set->within[i] : scan->most;
    }
    return scan;
}

void mw_scan_free(struct mw_scan *scan) {
    if (scan) {
        free(scan->window);
        free(scan->over);
        free(scan->from);
        free(scan);
    }
}

/* Who hears of what is found. */
struct hearer {
    mw_scan_report *report;
    void *context;
};

/* It is over with that signature, and nobody hears why. */
static void drop(struct mw_scan *scan, uint32_t number) {
    if (!scan->over[number]) {
        scan->over[number] = true;
        scan->left--;
    }
}

static void tell(struct mw_scan *scan, uint32_t number, enum mw_scan_result result, const struct hearer *hearer) {
    if (!scan->over[number]) {
        drop(scan, number);
        hearer->report(hearer->context, number, result);
    }
}

/* --- bytes --- */

/* All that end in this state, at that position. */
static void tell_ends(struct mw_scan *scan, uint16_t at, uint64_t position, const struct hearer *hearer) {
    const struct mw_signatures *set = scan->set;
    for (; at; at = set->states[at].suffix) {
        for (uint32_t number = set->states[at].found; number != MW_SIGNATURE_NONE; number = set->twins[number]) {
            if (position <= set->within[number]) {
                tell(scan, number, MW_SCAN_FOUND, hearer);
            }
        }
    }
}

static void look_for_bytes(struct mw_scan *scan, const uint8_t *bytes, size_t size, const struct hearer *hearer) {
    const struct mw_signature_state *states = scan->set->states;
    uint16_t at = scan->state;
    for (size_t i = 0; states && i < size; i++) {
        at = states[at].next[bytes[i]];
        if (states[at].found != MW_SIGNATURE_NONE || states[at].suffix) {
            tell_ends(scan, at, scan->seen + i + 1, hearer);
        }
    }
    scan->state = at;
}

/* --- expressions --- */

/* What lies in the scratch: the stream from `first` to `end`. */
struct view {
    uint64_t first, end;
    bool last; /* nothing comes behind `end` */
};

/* Whether to go on with the expression; then `from` is where the next look begins. */
static bool match(struct mw_scan *scan, const struct mw_signature_regex *regex, const struct view *view, uint64_t *from,
                  const struct hearer *hearer) {
    const struct mw_signatures *set = scan->set;
    uint64_t within = set->within[regex->number], end = view->end < within ? view->end : within;
    bool is_last = view->last || view->end >= within, is_cut = end < view->end || !view->last;
    uint64_t before = *from - view->first < regex->lookbehind ? view->first : *from - regex->lookbehind;
    const uint8_t *subject = set->scratch + (before - view->first);
    uint32_t options = is_last ? (is_cut ? PCRE2_NOTEOL : 0) : PCRE2_PARTIAL_HARD;
    int result = mw_signature_match(scan->set, regex, subject, (size_t)(end - before), (size_t)(*from - before), options,
                                    &scan->steps);
    if (result >= 0 || (result != PCRE2_ERROR_PARTIAL && result != PCRE2_ERROR_NOMATCH)) {
        tell(scan, regex->number, result >= 0 ? MW_SCAN_FOUND : MW_SCAN_GAVE_UP, hearer);
        return false;
    }
    uint64_t begun = before + pcre2_get_ovector_pointer(set->match)[0]; /* if it is partial */
    *from = result == PCRE2_ERROR_NOMATCH ? end : begun > *from ? begun : *from;
    return !is_last;
}

/* Keeps of the view what an expression can still see. */
static void keep(struct mw_scan *scan, const struct view *view) {
    const struct mw_signatures *set = scan->set;
    uint64_t first = view->end;
    for (size_t i = 0; i < set->regex_count; i++) {
        uint64_t back = set->regexes[i].lookbehind;
        uint64_t needed = scan->from[i] - view->first < back ? view->first : scan->from[i] - back;
        if (!scan->over[set->regexes[i].number] && needed < first) {
            first = needed;
        }
    }
    if (view->end - first > MW_SIGNATURE_WINDOW) {
        first = view->end - MW_SIGNATURE_WINDOW;
    }
    scan->kept = (size_t)(view->end - first);
    memcpy(scan->window, set->scratch + (first - view->first), scan->kept);
}

static void look_for_regexes(struct mw_scan *scan, const uint8_t *bytes, size_t size, bool last,
                             const struct hearer *hearer) {
    struct mw_signatures *set = scan->set;
    struct view view = {.first = scan->seen - scan->kept, .end = scan->seen + size, .last = last};
    memcpy(set->scratch, scan->window, scan->kept);
    memcpy(set->scratch + scan->kept, bytes, size);
    for (size_t i = 0; i < set->regex_count; i++) {
        const struct mw_signature_regex *regex = &set->regexes[i];
        /* What has fallen out of the window nobody can see again; a byte before it must be left. */
        uint64_t least = view.first + (view.first ? regex->lookbehind : 0);
        scan->from[i] = scan->from[i] < least ? least : scan->from[i];
        if (!scan->over[regex->number] && !match(scan, regex, &view, &scan->from[i], hearer)) {
            drop(scan, regex->number);
        }
    }
    keep(scan, &view);
}

/* --- both --- */

static void look(struct mw_scan *scan, const uint8_t *bytes, size_t size, bool last, const struct hearer *hearer) {
    look_for_bytes(scan, bytes, size, hearer);
    if (scan->set->regex_count) {
        look_for_regexes(scan, bytes, size, last, hearer);
    }
    scan->seen += size;
}

void mw_scan_feed(struct mw_scan *scan, const void *bytes, size_t size, bool last, mw_scan_report *report,
                  void *context) {
    const struct hearer hearer = {.report = report, .context = context};
    const uint8_t *at = bytes;
    do {
        size_t piece = size < MW_SIGNATURE_PIECE ? size : MW_SIGNATURE_PIECE;
        if (mw_scan_is_done(scan)) {
            return;
        }
        look(scan, at, piece, last && piece == size, &hearer);
        at += piece;
        size -= piece;
    } while (size);
    if (last) {
        scan->left = 0;
    }
}

bool mw_scan_is_done(const struct mw_scan *scan) {
    return scan->left == 0 || scan->seen >= scan->most;
}
