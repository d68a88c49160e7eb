#include "proc/settings.h"

#include <string.h>

enum { BUDGET = 10 };
static const double DRAIN_SECONDS = 30, STUCK_SECONDS = 5, RELOAD_SECONDS = 30, BUDGET_SECONDS = 60, LONGEST_REST = 10;

static int clamp(int64_t value, int least, int most) {
    return value < least ? least : value > most ? most : (int)value;
}

static void read_restart(struct mw_settings *settings, const struct mw_value *restart) {
    settings->budget = clamp(mw_value_integer(restart, "budget", BUDGET), 1, MW_BUDGET_MOST);
    settings->within = mw_value_number(restart, "within", BUDGET_SECONDS);
    settings->most = mw_value_number(restart, "most", LONGEST_REST);
}

static void read_log(struct mw_settings *settings, const struct mw_value *log) {
    char word[16];
    settings->log_level = mw_log_level_named(mw_value_string(log, "level", word, sizeof word));
    if (settings->log_level < 0) {
        settings->log_level = MW_LOG_INFO;
    }
    settings->log_json = strcmp(mw_value_string(log, "format", word, sizeof word), "json") == 0;
    mw_value_string(log, "to", settings->log_to, sizeof settings->log_to);
    if (!settings->log_to[0]) {
        strcpy(settings->log_to, "auto");
    }
}

void mw_settings_read(struct mw_settings *settings, const struct mw_value *daemon) {
    struct mw_value log = mw_value_field(daemon, "log"), restart = mw_value_field(daemon, "restart");
    *settings = (struct mw_settings){
        .workers = clamp(mw_value_integer(daemon, "workers", 1), 1, MW_WORKERS_MOST),
        .drain = mw_value_number(daemon, "drain", DRAIN_SECONDS),
        .stuck = mw_value_number(daemon, "stuck", STUCK_SECONDS),
        .reload_timeout = mw_value_number(daemon, "reload_timeout", RELOAD_SECONDS),
        .processes = mw_value_boolean(daemon, "processes", false),
    };
    mw_value_string(daemon, "control", settings->control, sizeof settings->control);
    mw_value_string(daemon, "store", settings->store, sizeof settings->store);
    mw_value_string(daemon, "user", settings->user, sizeof settings->user);
    mw_value_string(daemon, "group", settings->group, sizeof settings->group);
    read_restart(settings, &restart);
    read_log(settings, &log);
}
