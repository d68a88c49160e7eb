/* moonwire start, check: the daemon itself. */
#include "command.h"

#include "base/log.h"
#include "proc/supervisor.h"
#include "script/library.h"
#include "worker/daemon.h"
#include "worker/probe.h"

#define DEFAULT_CONFIG "/etc/moonwire/moonwire.lua"

enum { OPTION_WATCH = MW_OPTION_OWN };

static const char start_usage[] =
    "usage: moonwire start [-c FILE] [--watch]\n"
    "\n"
    "Starts the daemon that a config describes, in the foreground: services, each a script, in several worker\n"
    "processes. SIGHUP reloads it, SIGTERM and SIGINT stop it; a second one ends it at once.\n"
    "\n"
    "  -c, --config FILE        the config; default " DEFAULT_CONFIG "\n"
    "      --watch              reload when the config or a script is saved\n"
    "  -h, --help               this text\n";

static const char check_usage[] =
    "usage: moonwire check [-c FILE]\n"
    "\n"
    "Judges a config and all its scripts, and tells what is wrong with file and line. The daemon that runs is not\n"
    "touched. The status is 0 when it could be started or reloaded with that, else 1.\n"
    "\n"
    "  -c, --config FILE        the config; default " DEFAULT_CONFIG "\n"
    "  -h, --help               this text\n";

static const struct option start_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int mw_command_start(int argc, char **argv) {
    struct mw_supervisor_options options = {
        .version = MW_VERSION,
        .config = DEFAULT_CONFIG,
        .probe_main = mw_probe_main,
        .worker_main = mw_daemon_main,
    };
    int option;
    argv[0] = mw_command_program;
    while ((option = getopt_long(argc, argv, "c:h", start_options, NULL)) != -1) {
        switch (option) {
        case 'c': options.config = optarg; break;
        case OPTION_WATCH: options.watch = true; break;
        default: mw_command_option("start", start_usage, option);
        }
    }
    if (optind < argc) {
        mw_command_fail("start", "start takes no argument, got '%s' (the config follows -c)", argv[optind]);
    }
    struct mw_fault fault;
    if (!mw_library_keep(&fault)) {
        mw_log(MW_LOG_ERROR, "cannot start: %s", fault.message);
        return 1;
    }
    return mw_supervisor_run(&options);
}

static const struct option check_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int mw_command_check(int argc, char **argv) {
    const char *config = DEFAULT_CONFIG;
    int option;
    argv[0] = mw_command_program;
    while ((option = getopt_long(argc, argv, "c:h", check_options, NULL)) != -1) {
        if (option == 'c') {
            config = optarg;
        } else {
            mw_command_option("check", check_usage, option);
        }
    }
    if (optind < argc) {
        mw_command_fail("check", "check takes no argument, got '%s' (the config follows -c)", argv[optind]);
    }
    return mw_check_main(config);
}
