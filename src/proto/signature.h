/* Signatures: bytes, and regular expressions (PCRE2), that are looked for in the beginning of a stream, however it comes
 * in pieces. */
#ifndef MW_PROTO_SIGNATURE_H
#define MW_PROTO_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MW_SIGNATURES_MOST = 1024,        /* of a set */
    MW_SIGNATURE_BYTES_MOST = 1024,   /* of one that is no expression */
    MW_SIGNATURES_BYTES_MOST = 16384, /* of all such together */
    MW_SIGNATURE_REGEX_MOST = 4096,
    MW_SIGNATURE_WINDOW = 8192, /* bytes that an expression can see again when the next piece comes */
    MW_SIGNATURE_STEPS_TOTAL = 4000000, /* that all expressions may take in a stream beyond what grows with its bytes */
};

/* A set of signatures, which many streams share. */
struct mw_signatures;

struct mw_signature {
    const char *text;
    size_t size;
    bool is_regex;
    uint64_t within; /* a match must end in so many first bytes of the stream; 1 or more */
};

/* A set of these, whose numbers are their places. NULL when memory is out, or one is wrong: then `*wrong` is its place and
 * `why` says it; else `*wrong` is `count`. */
struct mw_signatures *mw_signatures_new(const struct mw_signature *list, size_t count, size_t *wrong, char why[128]);
void mw_signatures_free(struct mw_signatures *set); /* NULL is allowed */

/* A stream that is looked at. The set must outlive it. */
struct mw_scan;

/* NULL when memory is out. */
struct mw_scan *mw_scan_new(struct mw_signatures *set);
void mw_scan_free(struct mw_scan *scan); /* NULL is allowed */

/* What has become of a signature. */
enum mw_scan_result {
    MW_SCAN_FOUND,
    MW_SCAN_GAVE_UP, /* the expression takes too many steps or too much memory here: it is not looked for any more */
};

typedef void mw_scan_report(void *context, size_t number, enum mw_scan_result result);

/* Looks at the next bytes of the stream (no NULL, even of none). Each signature is reported once at most. `last`: nothing comes behind them. An
 * expression that could match more than it has, as "ab+" at the end of a piece, is found when the next bytes come, or the
 * last. */
void mw_scan_feed(struct mw_scan *scan, const void *bytes, size_t size, bool last, mw_scan_report *report, void *context);

/* Whether no more bytes can change anything. */
bool mw_scan_is_done(const struct mw_scan *scan);

#endif
