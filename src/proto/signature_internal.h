/* What signature*.c share. Inside this layer only. */
#ifndef MW_PROTO_SIGNATURE_INTERNAL_H
#define MW_PROTO_SIGNATURE_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8

#include "proto/signature.h"

#include <pcre2.h>

enum { MW_SIGNATURE_NONE = UINT32_MAX };

/* A state of the automaton that looks for all bytes at once (Aho and Corasick). Numbers of states fit 16 bits. */
struct mw_signature_state {
    uint16_t next[256];
    uint32_t found;  /* number of the signature that ends here; MW_SIGNATURE_NONE: none */
    uint16_t suffix; /* the next state, of a shorter end, where one ends; 0: none */
};

/* An expression, and the number of its signature. */
struct mw_signature_regex {
    pcre2_code *code;
    uint32_t number, lookbehind;
};

struct mw_signatures {
    size_t count, regex_count, state_count;
    uint64_t *within;          /* by number */
    uint32_t *twins;           /* the next signature of the same bytes, by number; MW_SIGNATURE_NONE: none */
    struct mw_signature_state *states; /* the first is where it begins; NULL: there are no bytes to look for */
    struct mw_signature_regex *regexes;
    pcre2_match_context *limits;
    pcre2_match_data *match;
    uint8_t *scratch; /* what expressions look at: the window, and behind it the new piece */
};

enum {
    MW_SIGNATURE_PIECE = 4096,      /* bytes that are looked at in one step */
    MW_SIGNATURE_STEPS_MOST = 20000 /* from one byte where a match could begin */
};

/* pcre2_match, which takes no more of the steps that are left than there are; else PCRE2_ERROR_MATCHLIMIT. Steps that
 * grow with nothing but `size` are not counted. */
int mw_signature_match(struct mw_signatures *set, const struct mw_signature_regex *regex, const uint8_t *subject,
                       size_t size, size_t at, uint32_t options, uint64_t *steps_left);

/* Builds the automaton of what is no expression. False when memory is out. */
bool mw_signature_build(struct mw_signatures *set, const struct mw_signature *list);

#endif
