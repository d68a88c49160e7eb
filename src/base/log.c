#include "base/log.h"

#include "base/log_journal.h"
#include "base/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EQUAL_PER_SECOND = 5 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static enum mw_log_level lowest = MW_LOG_INFO;
static enum mw_log_format chosen = MW_LOG_TEXT;
static int place = STDERR_FILENO;
static char place_path[PATH_MAX]; /* empty: stderr, or the journal */
static bool journal;              /* the place is its socket */
static void (*sink)(void *context, const char *bytes, size_t length); /* instead of stderr; NULL: none */
static void *sink_context;

/* The entry that was written last, and how often it came since `since`. */
static struct {
    struct mw_logline lines[2]; /* the last one, and the one being composed */
    unsigned last;
    enum mw_log_level level;
    int64_t since; /* milliseconds */
    unsigned written;
    unsigned long suppressed;
} recent;

void mw_log_set_level(enum mw_log_level level) {
    lowest = level;
}

void mw_log_set_sink(void (*take)(void *context, const char *bytes, size_t length), void *context) {
    sink = take;
    sink_context = context;
}

enum mw_log_level mw_log_get_level(void) {
    return lowest;
}

void mw_log_set_format(enum mw_log_format format) {
    chosen = format;
}

bool mw_log_enabled(enum mw_log_level level) {
    return level >= lowest;
}

int mw_log_level_named(const char *name) {
    for (int level = MW_LOG_DEBUG; level <= MW_LOG_ERROR; level++) {
        if (strcmp(level_names[level], name) == 0) {
            return level;
        }
    }
    return -1;
}

/* The date of a day counted from 1970-01-01. Not gmtime_r: it reads the time zone's file, with malloc, and what is stuck
 * is reported within a signal handler. Years begin in March here, so that a leap day is the last one of a year. */
static void write_date(char *text, size_t size, int64_t day) {
    int64_t since = day + 719468; /* from 0000-03-01 */
    int64_t era = since / 146097, in_era = since % 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* 0: March */
    int64_t in_month = in_year - (153 * month + 2) / 5;
    snprintf(text, size, "%04d-%02d-%02dT", (int)(era * 400 + year + (month >= 10)), (int)(month < 10 ? month + 3 : month - 9),
             (int)in_month + 1);
}

/* UTC with milliseconds. What stands before the milliseconds is kept for a second. */
static const char *time_text(const struct timespec *now) {
    static char text[64];
    static time_t second = -1;
    if (now->tv_sec != second) {
        int rest = (int)(now->tv_sec % 86400);
        write_date(text, sizeof text, now->tv_sec / 86400);
        snprintf(text + 11, sizeof text - 11, "%02d:%02d:%02d.", rest / 3600, rest / 60 % 60, rest % 60);
        second = now->tv_sec;
    }
    snprintf(text + MW_LOGLINE_TIME - 4, 5, "%03uZ", (unsigned)(now->tv_nsec / 1000000) % 1000);
    return text;
}

/* One write, as long as the place takes it whole. What cannot be written is
 * lost: the log must not stop the process. */
static void write_line(struct mw_logline *line, const struct timespec *now) {
    size_t length;
    const char *bytes = mw_logline_stamp(line, time_text(now), &length);
    if (sink && place == STDERR_FILENO) {
        sink(sink_context, bytes, length);
        return;
    }
    while (length > 0) {
        ssize_t written = write(place, bytes, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        bytes += written;
        length -= (size_t)written;
    }
}

static void emit(struct mw_logline *line, enum mw_log_level level, const struct timespec *now,
                 const struct mw_log_field *fields, size_t count) {
    size_t length;
    if (journal) {
        const char *text = mw_logline_body(line, &length);
        mw_log_journal_send(place, level, text, length, fields, count);
    } else {
        write_line(line, now);
    }
}

/* In the journal the fields are also there as they are. */
static enum mw_log_format present_format(void) {
    return journal ? MW_LOG_TEXT : chosen;
}

/* Writes how many entries were left out, over the last entry, which is not needed any more. */
static void report_suppressed(const struct timespec *now) {
    if (recent.suppressed == 0) {
        return;
    }
    char message[64];
    int length = snprintf(message, sizeof message, "repeated %lu times", recent.suppressed);
    struct mw_logline *line = &recent.lines[recent.last];
    mw_logline_compose(line, present_format(), level_names[recent.level], message, (size_t)length, NULL, 0);
    emit(line, recent.level, now, NULL, 0);
    recent.suppressed = 0;
}

/* Whether the fresh entry is one equal entry too many; makes it the last one when it is another. */
static bool suppress(enum mw_log_level level, const struct timespec *now) {
    int64_t moment = (int64_t)now->tv_sec * 1000 + now->tv_nsec / 1000000;
    bool same_second = moment >= recent.since && moment - recent.since < 1000;
    if (same_second && mw_logline_equal(&recent.lines[0], &recent.lines[1])) {
        if (recent.written < EQUAL_PER_SECOND) {
            recent.written++;
            return false;
        }
        recent.suppressed++;
        return true;
    }
    report_suppressed(now);
    recent.last = !recent.last;
    recent.level = level;
    recent.since = moment;
    recent.written = 1;
    return false;
}

void mw_log_write(enum mw_log_level level, const char *message, size_t length,
                  const struct mw_log_field *fields, size_t count) {
    if (!mw_log_enabled(level)) {
        return;
    }
    int kept = errno;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct mw_logline *fresh = &recent.lines[!recent.last];
    mw_logline_compose(fresh, present_format(), level_names[level], message, length, fields, count);
    if (!suppress(level, &now)) {
        emit(fresh, level, &now, fields, count);
    }
    errno = kept;
}

void mw_log(enum mw_log_level level, const char *format, ...) {
    if (!mw_log_enabled(level)) {
        return;
    }
    int kept = errno;
    char message[MW_LOG_VALUE_MAX + 64]; /* more than fits, so that a cut is seen */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    mw_log_write(level, message, strlen(message), NULL, 0);
    errno = kept;
}

/* Sends what follows to `descriptor`; what is left to say goes to the old place. */
static void move_to(int descriptor) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    report_suppressed(&now);
    if (place != STDERR_FILENO) {
        close(place);
    }
    place = descriptor;
    journal = false;
}

/* Never waits: a FIFO that nobody reads is refused, a full one loses entries. */
static int open_file(const char *path) {
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

bool mw_log_open(const char *path) {
    if (!path) {
        move_to(STDERR_FILENO);
        place_path[0] = '\0';
        return true;
    }
    size_t length = strlen(path);
    if (length >= sizeof place_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = open_file(path);
    if (descriptor < 0) {
        return false;
    }
    move_to(descriptor);
    memmove(place_path, path, length + 1);
    return true;
}

void mw_log_move(int descriptor) {
    move_to(descriptor);
}

int mw_log_descriptor(void) {
    return place;
}

bool mw_log_reopen(void) {
    return place_path[0] == '\0' || mw_log_open(place_path);
}

bool mw_log_open_journal(void) {
    int descriptor = mw_log_journal_open();
    if (descriptor < 0) {
        return false;
    }
    move_to(descriptor);
    place_path[0] = '\0';
    journal = true;
    return true;
}

bool mw_log_open_to(const char *to) {
    bool automatic = strcmp(to, "auto") == 0;
    if (strcmp(to, "journal") == 0 || (automatic && mw_log_journal_has_stderr())) {
        return mw_log_open_journal();
    }
    return mw_log_open(automatic || strcmp(to, "stderr") == 0 ? NULL : to);
}
