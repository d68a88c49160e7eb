/* The commands of the command line: a function each, which reads the rest of the
 * line and does what it says. */
#ifndef MW_COMMAND_H
#define MW_COMMAND_H

#include <getopt.h>
#include <stddef.h>

#define MW_VERSION "0.1.0"

/* A command with its options: argv[0] is its name. The exit status of the process; 2 for what was not understood. */
int mw_command_run(int argc, char **argv);
int mw_command_repl(int argc, char **argv);
int mw_command_test(int argc, char **argv);
int mw_command_start(int argc, char **argv);
int mw_command_check(int argc, char **argv);

/* A command for a daemon that runs. */
int mw_command_control(int argc, char **argv);

/* What argv[0] becomes for getopt_long, which begins its messages with it. */
extern char mw_command_program[];

/* Ends the process with status 2. The message goes to standard error, with the way to the help of the command behind
 * it; `command` is NULL before there is one. */
__attribute__((noreturn, format(printf, 2, 3))) void mw_command_fail(const char *command, const char *format, ...);

/* The same for an option that getopt_long has told of already. */
__attribute__((noreturn)) void mw_command_refuse(const char *command);

/* What options of several commands are for getopt_long. They are above every character. */
enum { MW_OPTION_LEVEL = 256, MW_OPTION_FORMAT, MW_OPTION_FILE, MW_OPTION_OWN };

#define MW_LOG_OPTIONS                                         \
    {"log-level", required_argument, NULL, MW_OPTION_LEVEL},   \
    {"log-format", required_argument, NULL, MW_OPTION_FORMAT}, \
    {"log-file", required_argument, NULL, MW_OPTION_FILE}

#define MW_LOG_USAGE                                                            \
    "      --log-level LEVEL    debug, info (default), warn or error\n"         \
    "      --log-format FORMAT  text (default) or json\n"                       \
    "      --log-file PATH      append there instead of standard error\n"

/* Does what an option of the log, or -h, says with optarg; any other is refused. */
void mw_command_option(const char *command, const char *usage, int option);

#endif
