/* The native protocol of systemd's journal (JOURNAL_NATIVE_PROTOCOL of systemd.io):
 * an entry is a datagram of fields, or a sealed memory file when it is too large
 * for one. Used by log.c alone; allocates nothing. */
#ifndef MW_BASE_LOG_JOURNAL_H
#define MW_BASE_LOG_JOURNAL_H

#include "base/log.h"

/* A socket to send from; -1 with errno. */
int mw_log_journal_open(void);

/* Sends an entry whose MESSAGE is `message`; fields that do not fit are left out and MOONWIRE_TRUNCATED=true says so.
 * What the journal does not take is lost. */
void mw_log_journal_send(int fd, enum mw_log_level level, const char *message, size_t length,
                         const struct mw_log_field *fields, size_t count);

/* Whether what is written to stderr goes to the journal. */
bool mw_log_journal_has_stderr(void);

#endif
