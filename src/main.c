/* The command line of moonwire. */
#include "command.h"

#include <ares.h>
#include <ev.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"run", mw_command_run, "run a script as server or program"},
    {"repl", mw_command_repl, "a prompt for Lua, in which waiting works"},
    {"test", mw_command_test, "run specs"},
    {"start", mw_command_start, "start the daemon that a config describes"},
    {"check", mw_command_check, "judge a config and its scripts"},
    {"status", mw_command_control, "what the daemon runs: workers, services, generations"},
    {"top", mw_command_control, "the same live, with rates"},
    {"connections", mw_command_control, "the connections, and what they wait for"},
    {"kill", mw_command_control, "close connections at once"},
    {"reload", mw_command_control, "bring new code and config to the daemon, all at once or as a canary"},
    {"drain", mw_command_control, "take no more connections, or take them again"},
    {"stop", mw_command_control, "stop the daemon"},
    {"log", mw_command_control, "change how much the daemon logs"},
    {"metrics", mw_command_control, "the daemon's metrics, as Prometheus reads them"},
    {"eval", mw_command_control, "run Lua in a service of the daemon"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(void) {
    puts("usage: moonwire COMMAND [options]\n"
         "       moonwire --help | --version\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    puts("\n'moonwire COMMAND --help' tells the options of a command.");
}

static int print_version(void) {
    printf("moonwire %s\n%s\nlibev %d.%d\n%s\nc-ares %s\n", MW_VERSION, LUA_RELEASE, ev_version_major(),
           ev_version_minor(), OpenSSL_version(OPENSSL_VERSION), ares_version(NULL));
    return 0;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0) {
        return print_version();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage();
        return argc > 1 ? 0 : 2;
    }
    mw_command_fail(NULL, "unknown command '%s'", name);
}
