/* Lua's patterns, matched under a budget. What they mean is what the reference
 * manual of Lua 5.4 says in §6.4.1, and faults are told in the words that its
 * string library uses. Nothing here recurses or allocates: the points to come
 * back to are kept in the struct, whose size bounds the depth of a pattern. */
#ifndef MW_BASE_PATTERN_H
#define MW_BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MW_PATTERN_CAPTURES = 32,
    MW_PATTERN_DEPTH = 199, /* points to come back to at the same time, as in Lua itself */
    MW_PATTERN_SET = 16,    /* bytes of a set that are looked through in one step */
};

/* Lengths of captures that are no stretch of the subject. */
enum { MW_CAPTURE_OPEN = -1, MW_CAPTURE_POSITION = -2 };

struct mw_capture {
    const char *start;
    ptrdiff_t length;
};

struct mw_pattern_choice {
    const char *at, *least; /* in the subject */
    const char *item, *rest; /* in the pattern: what is repeated, what follows it */
    int kind, capture;
};

enum mw_pattern_result { MW_PATTERN_DIFFERS, MW_PATTERN_MATCHES, MW_PATTERN_FAULT };

struct mw_pattern {
    const char *subject, *subject_end;
    const char *text, *text_end; /* of the pattern, without its '^' if that is an anchor */
    uint64_t steps; /* that may still be taken; one is about the comparison of one byte */
    int captures;   /* of the last match */
    int depth;
    struct mw_capture capture[MW_PATTERN_CAPTURES];
    struct mw_pattern_choice choice[MW_PATTERN_DEPTH];
    char fault[64]; /* after MW_PATTERN_FAULT: what is wrong with the pattern */
};

/* Prepares matching. Both texts are borrowed, and may hold any bytes. */
void mw_pattern_init(struct mw_pattern *pattern, const char *subject, size_t subject_length, const char *text,
                     size_t text_length, uint64_t steps);

/* Matches at one place of the subject; `*end` is where the match ends. */
enum mw_pattern_result mw_pattern_match(struct mw_pattern *pattern, const char *at, const char **end);

/* Finds the first match at `*at` or behind, and moves `*at` there. */
enum mw_pattern_result mw_pattern_find(struct mw_pattern *pattern, const char **at, const char **end);

/* Whether the text means itself: it has no character that is special in patterns. */
bool mw_pattern_is_plain(const char *text, size_t length);

#endif
