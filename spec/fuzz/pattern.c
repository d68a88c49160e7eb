/* layers: base */
/* Patterns: matches and captures lie within the subject, and the budget is kept to
 * the step: the same with what was taken, a fault with one step less. */
#include "base/pattern.h"
#include "target.h"

#include <string.h>

struct job {
    char *text, *subject;
    size_t text_length, subject_length;
    bool anchored;
};

static bool is_within(const struct job *job, const char *at) {
    return at >= job->subject && at <= job->subject + job->subject_length;
}

static void check_captures(const struct job *job, const struct mw_pattern *m) {
    must(m->captures >= 0 && m->captures <= MW_PATTERN_CAPTURES);
    for (int i = 0; i < m->captures; i++) {
        const struct mw_capture *capture = &m->capture[i];
        must(is_within(job, capture->start) && capture->length >= MW_CAPTURE_POSITION);
        must(capture->length < 0 || is_within(job, capture->start + capture->length));
    }
}

static enum mw_pattern_result run(const struct job *job, uint64_t steps, struct mw_pattern *m,
                                  const char **at, const char **end) {
    *at = job->subject;
    mw_pattern_init(m, job->subject, job->subject_length, job->text, job->text_length, steps);
    enum mw_pattern_result result =
        job->anchored ? mw_pattern_match(m, *at, end) : mw_pattern_find(m, at, end);
    must(m->steps <= steps);
    if (result == MW_PATTERN_MATCHES) {
        must(is_within(job, *at) && is_within(job, *end) && *at <= *end);
        check_captures(job, m);
    } else if (result == MW_PATTERN_FAULT) {
        must(*m->fault && strnlen(m->fault, sizeof m->fault) < sizeof m->fault);
    }
    return result;
}

/* With what was taken it is the same, with less the budget is the fault. */
static void check_budget(const struct job *job, uint64_t taken, enum mw_pattern_result result, const char *at,
                         const char *end) {
    static struct mw_pattern m;
    const char *again_at, *again_end;
    must(run(job, taken, &m, &again_at, &again_end) == result && m.steps == 0);
    must(result != MW_PATTERN_MATCHES || (again_at == at && again_end == end));
    if (taken > 0) {
        must(run(job, taken - 1, &m, &again_at, &again_end) == MW_PATTERN_FAULT && m.steps == 0);
        must(strstr(m.fault, "too many steps") != NULL);
    }
}

/* A ')' is plain to string.find alone, as in Lua itself; to the matcher it ends a capture. */
static bool is_plain(const struct job *job) {
    return mw_pattern_is_plain(job->text, job->text_length) && !memchr(job->text, ')', job->text_length);
}

static void check_plain(const struct job *job, enum mw_pattern_result result, const char *at,
                        const char *end) {
    const char *found = memmem(job->subject, job->subject_length, job->text, job->text_length);
    must(result == (found ? MW_PATTERN_MATCHES : MW_PATTERN_DIFFERS));
    must(!found || (at == found && end == found + job->text_length));
}

static void check(const struct job *job, uint64_t steps) {
    static struct mw_pattern m;
    const char *at, *end = NULL;
    enum mw_pattern_result result = run(job, steps, &m, &at, &end);
    if (result == MW_PATTERN_FAULT && strstr(m.fault, "too many steps")) {
        must(m.steps == 0);
        return;
    }
    check_budget(job, steps - m.steps, result, at, end);
    if (!job->anchored && is_plain(job)) {
        check_plain(job, result, at, end);
    }
}

static char *copy(struct input *input, size_t size, size_t *length) {
    const uint8_t *bytes = input_take(input, size, length);
    char *text = malloc(*length);
    must(text != NULL);
    memcpy(text, bytes, *length);
    return text;
}

/* The steps, the length of the pattern and whether it is anchored, the pattern, the subject. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input input = {bytes, size};
    struct job job;
    uint64_t steps = input_16(&input);
    unsigned how = input_byte(&input);
    job.anchored = how & 0x80;
    job.text = copy(&input, how & 0x7f, &job.text_length);
    job.subject = copy(&input, input.left, &job.subject_length);
    check(&job, steps);
    free(job.text);
    free(job.subject);
    return 0;
}
