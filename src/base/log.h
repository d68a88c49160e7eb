/* The log: one line an entry, written whole with one write(2). Text or JSON
 * lines, to stderr or a file; or entries with fields, to the journal of systemd.
 * Control bytes are escaped, values capped, equal entries in a row limited: beyond
 * 5 within a second they are counted, and the next entry is preceded by
 * "repeated N times". Nothing here allocates, so it
 * works when memory is out. For one thread. */
#ifndef MW_BASE_LOG_H
#define MW_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum mw_log_level { MW_LOG_DEBUG, MW_LOG_INFO, MW_LOG_WARN, MW_LOG_ERROR };
enum mw_log_format { MW_LOG_TEXT, MW_LOG_JSON };

enum { MW_LOG_VALUE_MAX = 4096, MW_LOG_LINE_MAX = 16384 }; /* bytes, after escaping */

/* One key=value of an entry; `value` may hold any bytes. A number or boolean
 * that should stand unquoted in JSON has `bare` set. */
struct mw_log_field {
    const char *key, *value;
    size_t length;
    bool bare;
};

void mw_log_set_level(enum mw_log_level level);
enum mw_log_level mw_log_get_level(void);
void mw_log_set_format(enum mw_log_format format);

/* Sends entries to the file `path` (created 0640, appended) instead of stderr.
 * NULL: stderr again. False, errno set, when it cannot be opened; the old
 * place stays in use. */
bool mw_log_open(const char *path);

/* Opens the same path anew, after it was rotated; nothing to do elsewhere. As mw_log_open. */
bool mw_log_reopen(void);

/* Sends entries to the journal of systemd, in its native protocol: MESSAGE is the text of the entry with its fields,
 * as on stderr but for time and level; PRIORITY the level; SYSLOG_IDENTIFIER=moonwire; and each field again as
 * MOONWIRE_KEY, its bytes as they are up to 64 KiB. What the journal does not take at once is lost; the next entry
 * says so in MOONWIRE_LOST. False, errno set, without a socket; whether a journal is there shows only later. */
bool mw_log_open_journal(void);

/* "stderr", "journal", "auto" (the journal if stderr goes there anyway, as $JOURNAL_STREAM says, otherwise stderr), or
 * the path of a file. As mw_log_open. */
bool mw_log_open_to(const char *to);

/* Sends entries to a descriptor that somebody else has opened, and owns it from now on: a file that this process may
 * not open itself. */
void mw_log_move(int descriptor);

/* The descriptor that entries are written to, for who closes all others. */
int mw_log_descriptor(void);

/* Hands entries that would go to stderr to `take` instead, each as a whole; for
 * who shows something else there. NULL: stderr again. */
void mw_log_set_sink(void (*take)(void *context, const char *bytes, size_t length), void *context);

/* Whether an entry of this level would be written: ask before costly fields. */
bool mw_log_enabled(enum mw_log_level level);

/* "debug", "info", "warn", "error" → level; -1 when it is none of them. */
int mw_log_level_named(const char *name);

/* Writes one entry. Text:  2026-11-22T15:04:05.123Z info  message key=value key="two words"
 * JSON: {"time":"…","level":"info","message":"…","key":"value"} . UTF-8 passes,
 * invalid bytes are escaped; a value past MW_LOG_VALUE_MAX ends in "…". Newlines
 * in text entries are written as \n except in the field "traceback", whose
 * lines follow the entry indented by a tab. In JSON a bare inf or nan is quoted,
 * and the keys time, level and message get a '_' behind. Fields that do not fit
 * the line are left out; truncated=true says so. errno is kept. */
void mw_log_write(enum mw_log_level level, const char *message, size_t length,
                  const struct mw_log_field *fields, size_t count);

/* A printf entry without fields, for the C core. */
void mw_log(enum mw_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
