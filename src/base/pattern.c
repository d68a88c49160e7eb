#include "base/pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Points to come back to. The first three are places to go on from in another
 * way, the others undo what was noted of a capture. */
enum { ONE_OR_NONE, AS_MANY, AS_FEW, OPENED, CLOSED };

/* Where the matching stands: here in the subject, and there in the pattern. */
struct place {
    const char *s, *p;
};

enum outcome { GO_ON, TURN_BACK, GIVE_UP };

void mw_pattern_init(struct mw_pattern *pattern, const char *subject, size_t subject_length, const char *text,
                     size_t text_length, uint64_t steps) {
    pattern->subject = subject;
    pattern->subject_end = subject + subject_length;
    pattern->text = text;
    pattern->text_end = text + text_length;
    pattern->steps = steps;
    pattern->captures = pattern->depth = 0;
    *pattern->fault = '\0';
}

static enum outcome fail(struct mw_pattern *m, const char *fault) {
    snprintf(m->fault, sizeof m->fault, "%s", fault);
    return GIVE_UP;
}

static enum outcome fail_index(struct mw_pattern *m, int index) {
    snprintf(m->fault, sizeof m->fault, "invalid capture index %%%d", index);
    return GIVE_UP;
}

/* Takes steps from the budget; false when it is used up. */
static bool spend(struct mw_pattern *m, size_t steps) {
    if (m->steps < steps) {
        m->steps = 0;
        fail(m, "matching this pattern takes too many steps");
        return false;
    }
    m->steps -= steps;
    return true;
}

static enum outcome keep(struct mw_pattern *m, struct mw_pattern_choice choice) {
    if (m->depth == MW_PATTERN_DEPTH) {
        return fail(m, "pattern too complex");
    }
    m->choice[m->depth++] = choice;
    return GO_ON;
}

/* Whether the byte belongs to the class with that letter: an upper one is the complement. */
static bool is_in_class(unsigned char byte, unsigned char letter) {
    bool is_in;
    switch (tolower(letter)) {
    case 'a': is_in = isalpha(byte); break;
    case 'c': is_in = iscntrl(byte); break;
    case 'd': is_in = isdigit(byte); break;
    case 'g': is_in = isgraph(byte); break;
    case 'l': is_in = islower(byte); break;
    case 'p': is_in = ispunct(byte); break;
    case 's': is_in = isspace(byte); break;
    case 'u': is_in = isupper(byte); break;
    case 'w': is_in = isalnum(byte); break;
    case 'x': is_in = isxdigit(byte); break;
    case 'z': is_in = byte == 0; break; /* of Lua 5.1, which 5.4 still knows */
    default: return letter == byte;
    }
    return isupper(letter) ? !is_in : is_in;
}

/* Whether the byte is in the set between '[' and `last`, its ']'. */
static bool is_in_set(unsigned char byte, const char *set, const char *last) {
    bool found = true;
    const char *p = set + 1;
    if (*p == '^') {
        found = false;
        p++;
    }
    for (; p < last; p++) {
        if (*p == '%') {
            p++;
            if (is_in_class(byte, (unsigned char)*p)) {
                return found;
            }
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= byte && byte <= (unsigned char)p[2]) {
                return found;
            }
            p += 2;
        } else if ((unsigned char)*p == byte) {
            return found;
        }
    }
    return !found;
}

/* The end of the set that begins at `p`; NULL: it has none. */
static const char *end_of_set(const struct mw_pattern *m, const char *p) {
    p++;
    if (p < m->text_end && *p == '^') {
        p++;
    }
    do { /* the first character stands for itself, even a ']' */
        if (p == m->text_end) {
            return NULL;
        }
        if (*p++ == '%' && p < m->text_end) {
            p++;
        }
    } while (p == m->text_end || *p != ']');
    return p + 1;
}

/* The end of the item for a single byte at `p`; NULL, with the fault set: it is malformed. */
static const char *end_of_item(struct mw_pattern *m, const char *p) {
    if (*p == '[') {
        const char *end = end_of_set(m, p);
        if (!end) {
            fail(m, "malformed pattern (missing ']')");
        }
        return end && spend(m, (size_t)(end - p) / MW_PATTERN_SET) ? end : NULL;
    }
    if (*p != '%') {
        return p + 1;
    }
    if (p + 1 == m->text_end) {
        fail(m, "malformed pattern (ends with '%')");
        return NULL;
    }
    return p + 2;
}

/* Whether the item matches the byte at `s`. */
static inline bool item_matches(const struct mw_pattern *m, const char *s, const char *item, const char *end) {
    if (s >= m->subject_end) {
        return false;
    }
    switch (*item) {
    case '.': return true;
    case '%': return is_in_class((unsigned char)*s, (unsigned char)item[1]);
    case '[': return is_in_set((unsigned char)*s, item, end - 1);
    default: return *item == *s;
    }
}

static enum outcome open_capture(struct mw_pattern *m, struct place *place) {
    bool is_position = place->p + 1 < m->text_end && place->p[1] == ')';
    if (m->captures == MW_PATTERN_CAPTURES) {
        return fail(m, "too many captures");
    }
    m->capture[m->captures++] =
        (struct mw_capture){.start = place->s, .length = is_position ? MW_CAPTURE_POSITION : MW_CAPTURE_OPEN};
    place->p += is_position ? 2 : 1;
    return keep(m, (struct mw_pattern_choice){.kind = OPENED});
}

static enum outcome close_capture(struct mw_pattern *m, struct place *place) {
    struct mw_capture *capture = NULL;
    for (int i = m->captures; i-- > 0 && !capture;) {
        capture = m->capture[i].length == MW_CAPTURE_OPEN ? &m->capture[i] : NULL;
    }
    if (!capture) {
        return fail(m, "invalid pattern capture");
    }
    capture->length = place->s - capture->start;
    place->p++;
    return keep(m, (struct mw_pattern_choice){.kind = CLOSED, .capture = (int)(capture - m->capture)});
}

/* %bxy */
static enum outcome match_balanced(struct mw_pattern *m, struct place *place) {
    const char *p = place->p, *s = place->s;
    if (m->text_end - p < 4) {
        return fail(m, "malformed pattern (missing arguments to '%b')");
    }
    if (s == m->subject_end || *s != p[2]) {
        return TURN_BACK;
    }
    size_t open = 1;
    for (s++; s < m->subject_end; s++) {
        if (*s == p[3]) {
            open--;
        } else if (*s == p[2]) {
            open++;
        }
        if (open == 0) {
            break;
        }
    }
    if (!spend(m, (size_t)(s - place->s))) {
        return GIVE_UP;
    }
    if (s == m->subject_end) {
        return TURN_BACK;
    }
    *place = (struct place){.s = s + 1, .p = p + 4};
    return GO_ON;
}

/* %f[set]; both ends of the subject count as a zero byte. */
static enum outcome match_frontier(struct mw_pattern *m, struct place *place) {
    const char *set = place->p + 2, *s = place->s;
    if (set == m->text_end || *set != '[') {
        return fail(m, "missing '[' after '%f' in pattern");
    }
    const char *end = end_of_item(m, set);
    if (!end || !spend(m, (size_t)(end - set) / MW_PATTERN_SET)) {
        return GIVE_UP;
    }
    unsigned char before = s == m->subject ? 0 : (unsigned char)s[-1];
    unsigned char behind = s == m->subject_end ? 0 : (unsigned char)*s;
    if (is_in_set(before, set, end - 1) || !is_in_set(behind, set, end - 1)) {
        return TURN_BACK;
    }
    place->p = end;
    return GO_ON;
}

/* %1 to %9; %0 is none. A position is longer than any subject, and never found again. */
static enum outcome match_again(struct mw_pattern *m, struct place *place) {
    int index = place->p[1] - '1';
    if (index < 0 || index >= m->captures || m->capture[index].length == MW_CAPTURE_OPEN) {
        return fail_index(m, index + 1);
    }
    ptrdiff_t length = m->capture[index].length;
    if (length == MW_CAPTURE_POSITION || length > m->subject_end - place->s) {
        return TURN_BACK;
    }
    if (!spend(m, (size_t)length / MW_PATTERN_SET)) {
        return GIVE_UP;
    }
    if (memcmp(m->capture[index].start, place->s, (size_t)length) != 0) {
        return TURN_BACK;
    }
    place->s += length;
    place->p += 2;
    return GO_ON;
}

/* Steps for comparing one byte with the item, besides the one of going on. */
static inline size_t cost_of(const char *item, const char *end) {
    return *item == '[' ? (size_t)(end - item) / MW_PATTERN_SET : 0;
}

/* item* and item+, of which the byte at the place is one: as many as there are,
 * and fewer when what follows differs. */
static enum outcome match_many(struct mw_pattern *m, struct place *place, const char *item, const char *end,
                               size_t least) {
    const char *s = place->s + 1;
    while (item_matches(m, s, item, end)) {
        s++;
    }
    if (!spend(m, (size_t)(s - place->s) * (1 + cost_of(item, end)))) {
        return GIVE_UP;
    }
    struct mw_pattern_choice choice = {.kind = AS_MANY, .at = s, .least = place->s + least, .rest = end + 1};
    place->s = s;
    return keep(m, choice);
}

/* An item for one byte, with what says how often. */
static enum outcome match_item(struct mw_pattern *m, struct place *place) {
    const char *item = place->p, *s = place->s, *end = end_of_item(m, item);
    if (!end) {
        return GIVE_UP;
    }
    bool matches = item_matches(m, s, item, end);
    int repeat = end < m->text_end ? *end : '\0';
    bool repeats = repeat == '*' || repeat == '+' || repeat == '-' || repeat == '?';
    place->p = repeats ? end + 1 : end;
    if (!matches) {
        return repeats && repeat != '+' ? GO_ON : TURN_BACK;
    }
    switch (repeat) {
    case '*': return match_many(m, place, item, end, 0);
    case '+': return match_many(m, place, item, end, 1);
    case '-': return keep(m, (struct mw_pattern_choice){.kind = AS_FEW, .at = s, .item = item, .rest = end + 1});
    case '?':
        place->s++;
        return keep(m, (struct mw_pattern_choice){.kind = ONE_OR_NONE, .at = s, .rest = end + 1});
    default: place->s++; return GO_ON;
    }
}

static enum outcome match_escaped(struct mw_pattern *m, struct place *place) {
    switch (place->p + 1 < m->text_end ? place->p[1] : '\0') {
    case 'b': return match_balanced(m, place);
    case 'f': return match_frontier(m, place);
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9': return match_again(m, place);
    default: return match_item(m, place);
    }
}

/* What the pattern has at the place, against what the subject has there. */
static enum outcome advance(struct mw_pattern *m, struct place *place) {
    switch (*place->p) {
    case '(': return open_capture(m, place);
    case ')': return close_capture(m, place);
    case '%': return match_escaped(m, place);
    case '$':
        if (place->p + 1 < m->text_end) {
            return match_item(m, place);
        }
        place->p++;
        return place->s == m->subject_end ? GO_ON : TURN_BACK;
    default: return match_item(m, place);
    }
}

/* Takes the latest choice up in its next way. False: it has none left. */
static enum outcome retry(struct mw_pattern *m, struct mw_pattern_choice *choice, struct place *place) {
    switch (choice->kind) {
    case AS_MANY:
        if (choice->at == choice->least) {
            return TURN_BACK;
        }
        choice->at--;
        break;
    case AS_FEW: {
        const char *end = choice->rest - 1;
        if (!spend(m, cost_of(choice->item, end))) {
            return GIVE_UP;
        }
        if (!item_matches(m, choice->at, choice->item, end)) {
            return TURN_BACK;
        }
        choice->at++;
        break;
    }
    case ONE_OR_NONE: m->depth--; break;
    case OPENED: m->captures--; return TURN_BACK;
    default: m->capture[choice->capture].length = MW_CAPTURE_OPEN; return TURN_BACK;
    }
    *place = (struct place){.s = choice->at, .p = choice->rest};
    return GO_ON;
}

static enum outcome turn_back(struct mw_pattern *m, struct place *place) {
    while (m->depth > 0) {
        enum outcome outcome = retry(m, &m->choice[m->depth - 1], place);
        if (outcome != TURN_BACK) {
            return outcome;
        }
        m->depth--;
    }
    return TURN_BACK;
}

enum mw_pattern_result mw_pattern_match(struct mw_pattern *pattern, const char *at, const char **end) {
    struct place place = {.s = at, .p = pattern->text};
    pattern->captures = pattern->depth = 0;
    while (place.p != pattern->text_end) {
        enum outcome outcome = spend(pattern, 1) ? advance(pattern, &place) : GIVE_UP;
        if (outcome == TURN_BACK) {
            outcome = turn_back(pattern, &place);
        }
        if (outcome != GO_ON) {
            return outcome == GIVE_UP ? MW_PATTERN_FAULT : MW_PATTERN_DIFFERS;
        }
    }
    *end = place.s;
    return MW_PATTERN_MATCHES;
}

enum mw_pattern_result mw_pattern_find(struct mw_pattern *pattern, const char **at, const char **end) {
    enum mw_pattern_result result;
    do {
        result = mw_pattern_match(pattern, *at, end);
    } while (result == MW_PATTERN_DIFFERS && (*at)++ < pattern->subject_end);
    return result;
}

bool mw_pattern_is_plain(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '^': case '$': case '*': case '+': case '?':
        case '.': case '(': case '[': case '%': case '-': return false;
        default: break;
        }
    }
    return true;
}
