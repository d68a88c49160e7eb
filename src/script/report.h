/* The log entries of scripts: every one knows service, connection and task. */
#ifndef MW_SCRIPT_REPORT_H
#define MW_SCRIPT_REPORT_H

#include "base/log.h"
#include "script/task.h"

enum { MW_REPORT_FIELDS = 5 };

/* Where an entry comes from, as log fields; the texts live in this struct. */
struct mw_report_context {
    char connection[160], request[20], id[16];
    struct mw_log_field fields[MW_REPORT_FIELDS];
    size_t count;
};

/* `task` NULL: only the service is known. */
void mw_report_context(struct mw_report_context *context, const struct mw_sched *sched, const struct mw_task *task);

/* One entry for the death of a task: an error with its traceback, or, with none
 * (NULL), a fault of the world that ended it, which is told at level info. */
void mw_report_death(const struct mw_task *task, const char *message, const char *traceback);

/* Whether a function belongs to Moonwire's own Lua library, whose folder is `library`. */
bool mw_report_is_library(const lua_Debug *level, const char *library);

/* The text of any error value: a string as it is, a table or userdata through
 * its __tostring when that works, "(error object is a table value)" otherwise.
 * Pushed on L. */
const char *mw_report_text(lua_State *L, int index);

/* Pushes the traceback of a thread that died, from the first level that is in
 * a script of the user's on. */
void mw_report_traceback(lua_State *L, lua_State *thread);

#endif
