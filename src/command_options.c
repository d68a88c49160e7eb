/* What the commands have in common: options of the log, and how a mistake is told. */
#include "command.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char mw_command_program[] = "moonwire";

void mw_command_refuse(const char *command) {
    fprintf(stderr, "Try 'moonwire %s%s--help'.\n", command ? command : "", command ? " " : "");
    exit(2);
}

void mw_command_fail(const char *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("moonwire: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    mw_command_refuse(command);
}

static void set_log_level(const char *command, const char *name) {
    int level = mw_log_level_named(name);
    if (level < 0) {
        mw_command_fail(command, "--log-level: debug, info, warn or error expected, got '%s'", name);
    }
    mw_log_set_level((enum mw_log_level)level);
}

static void set_log_format(const char *command, const char *name) {
    if (strcmp(name, "text") != 0 && strcmp(name, "json") != 0) {
        mw_command_fail(command, "--log-format: text or json expected, got '%s'", name);
    }
    mw_log_set_format(*name == 'j' ? MW_LOG_JSON : MW_LOG_TEXT);
}

static void set_log_file(const char *command, const char *path) {
    if (!mw_log_open(path)) {
        mw_command_fail(command, "--log-file %s: %m", path);
    }
}

void mw_command_option(const char *command, const char *usage, int option) {
    switch (option) {
    case 'h': fputs(usage, stdout); exit(0);
    case MW_OPTION_LEVEL: set_log_level(command, optarg); break;
    case MW_OPTION_FORMAT: set_log_format(command, optarg); break;
    case MW_OPTION_FILE: set_log_file(command, optarg); break;
    default: mw_command_refuse(command);
    }
}
