/* The log of all processes of the daemon. */
#include "proc/supervisor_internal.h"

#include <errno.h>
#include <string.h>

static void tell_log(struct mw_supervisor *supervisor, const char *command, const char *key, const char *value,
                     const int *descriptor) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "id", 0);
    mw_message_put_string(&text, "command", command);
    mw_message_put_string(&text, key, value);
    mw_message_close(&text, table);
    mw_workers_tell(supervisor->workers, MW_ORDER_REQUEST, &text, descriptor, descriptor ? 1 : 0);
    mw_text_free(&text);
}

void mw_supervisor_set_log_level(struct mw_supervisor *supervisor, enum mw_log_level level) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    mw_log_set_level(level);
    supervisor->settings.log_level = (int)level;
    tell_log(supervisor, "log", "level", names[level], NULL);
}

void mw_supervisor_move_log(struct mw_supervisor *supervisor) {
    const char *to = supervisor->settings.log_to;
    int descriptor = mw_log_descriptor();
    tell_log(supervisor, "reopen_log", "to", to, to[0] == '/' ? &descriptor : NULL);
}

void mw_supervisor_reopen_log(struct mw_supervisor *supervisor) {
    if (!mw_log_reopen()) {
        mw_log(MW_LOG_ERROR, "the log cannot be reopened: %s", strerror(errno));
    } else if (supervisor->workers) {
        mw_supervisor_move_log(supervisor);
    }
}
