/* The text of one log entry, as base/log.h describes it: escaping, caps, and the
 * two formats. Used by log.c alone. */
#ifndef MW_BASE_LOGLINE_H
#define MW_BASE_LOGLINE_H

#include "base/log.h"

enum {
    MW_LOGLINE_TIME = sizeof "2026-11-22T15:04:05.123Z" - 1,
    MW_LOGLINE_HEAD = sizeof "{\"time\":\"" - 1 + MW_LOGLINE_TIME
};

/* The time goes into the head last, so that entries can be compared without it. */
struct mw_logline {
    enum mw_log_format format;
    size_t length, limit;
    bool full; /* something did not fit since this was cleared */
    char bytes[MW_LOG_LINE_MAX];
};

/* Fills the line, all but its time. Fields that do not fit are left out, and
 * truncated=true says so. */
void mw_logline_compose(struct mw_logline *line, enum mw_log_format format, const char *level,
                        const char *message, size_t length, const struct mw_log_field *fields, size_t count);

/* Adds the time; returns what is to be written, newline included. */
const char *mw_logline_stamp(struct mw_logline *line, const char time[MW_LOGLINE_TIME], size_t *length);

/* The text between time and level and the newline. */
const char *mw_logline_body(const struct mw_logline *line, size_t *length);

/* Whether both say the same, whatever their times. */
bool mw_logline_equal(const struct mw_logline *one, const struct mw_logline *other);

#endif
