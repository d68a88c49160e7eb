/* The command line of moonwire. */
#include "base/log.h"
#include "worker/run.h"

#include <ares.h>
#include <ev.h>
#include <getopt.h>
#include <math.h>
#include <lua.h>
#include <stdarg.h>
#include <stdint.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MW_VERSION "0.1.0"

enum { MULTIPLE_MAX = 64 }; /* how often an option that may be repeated can be */

/* What a script may use by default. */
#define CPU_SECONDS 1.0
#define MEMORY_BYTES ((size_t)1 << 30)

static const char usage[] =
    "usage: moonwire run SCRIPT.lua [options] [-- ARGUMENT...]   run a script as server or program\n"
    "       moonwire run -e CODE [options] [-- ARGUMENT...]      the same with the script on the command line\n"
    "       moonwire repl [-e CODE] [log options]                a prompt for Lua, in which waiting works\n"
    "       moonwire test [--filter PATTERN] [PATH...]           run specs (default: spec)\n"
    "       moonwire --help | --version\n"
    "\n"
    "options of run:\n"
    "  -l, --listen ADDRESS     serve connections there; may be repeated. tcp://127.0.0.1:7000\n"
    "                           tcp://[::1]:7000  udp://127.0.0.1:53  unix:///run/x.sock  unix://@name  fd://3\n"
    "  -s, --set KEY=VALUE      a setting for the script: ctx.config.KEY; dots make nested tables\n"
    "  -e, --execute CODE       run this code instead of a file\n"
    "      --stdio              serve one connection on standard input and output\n"
    "      --sandbox            the script is from others: no files, no processes, bounded functions\n"
    "      --cpu-limit SECONDS  of the processor that a task may use without waiting; default 1, 0: no limit\n"
    "      --memory-limit SIZE  of the script's memory: 64M, 2G; default 1G, 0: no limit\n"
    "      --log-level LEVEL    debug, info (default), warn or error\n"
    "      --log-format FORMAT  text (default) or json\n"
    "      --log-file PATH      append there instead of standard error\n"
    "\n"
    "A script returns its connection handler, or a table of them; one that returns nothing is a program.\n"
    "  printf 'return function(conn) for line in conn:lines() do conn:write(line, \"\\\\n\") end end' > echo.lua\n"
    "  moonwire run echo.lua --listen tcp://127.0.0.1:7000\n"
    "\n"
    "repl runs CODE and then what is typed; input that is no terminal is run line by line, up to the first error.\n"
    "  echo 'return 6 * 7' | moonwire repl\n";

enum { OPTION_STDIO = 256, OPTION_SANDBOX, OPTION_CPU, OPTION_MEMORY, OPTION_LEVEL, OPTION_FORMAT, OPTION_FILE };

static const struct option run_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"set", required_argument, NULL, 's'},
    {"execute", required_argument, NULL, 'e'},
    {"stdio", no_argument, NULL, OPTION_STDIO},
    {"sandbox", no_argument, NULL, OPTION_SANDBOX},
    {"cpu-limit", required_argument, NULL, OPTION_CPU},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"log-format", required_argument, NULL, OPTION_FORMAT},
    {"log-file", required_argument, NULL, OPTION_FILE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("moonwire: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\nTry 'moonwire --help'.\n", stderr);
    va_end(arguments);
    exit(2);
}

static int print_version(void) {
    printf("moonwire %s\n%s\nlibev %d.%d\n%s\nc-ares %s\n", MW_VERSION, LUA_RELEASE, ev_version_major(),
           ev_version_minor(), OpenSSL_version(OPENSSL_VERSION), ares_version(NULL));
    return 0;
}

static void set_log_level(const char *name) {
    int level = mw_log_level_named(name);
    if (level < 0) {
        fail("--log-level: debug, info, warn or error expected, got '%s'", name);
    }
    mw_log_set_level((enum mw_log_level)level);
}

static void set_log_format(const char *name) {
    if (strcmp(name, "text") != 0 && strcmp(name, "json") != 0) {
        fail("--log-format: text or json expected, got '%s'", name);
    }
    mw_log_set_format(*name == 'j' ? MW_LOG_JSON : MW_LOG_TEXT);
}

static void set_log_file(const char *path) {
    if (!mw_log_open(path)) {
        fail("--log-file %s: %m", path);
    }
}

/* A number with an optional unit of `units`, each 1024 times the one before; 0 is for none. */
static double read_amount(const char *option, const char *text, const char *units) {
    char *end;
    double amount = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || !(amount >= 0) || isinf(amount) || (*end && (!unit || end[1]))) {
        fail("--%s: a number%s expected, such as %s, got '%s'", option, *units ? " with K, M or G behind it" : " of seconds",
             *units ? "64M" : "0.5", text);
    }
    for (long i = unit ? unit - units + 1 : 0; i > 0; i--) {
        amount *= 1024;
    }
    return amount == 0 ? HUGE_VAL : amount;
}

static size_t to_size(double bytes) {
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

static void add(const char **list, size_t *count, const char *option, const char *value) {
    if (*count == MULTIPLE_MAX) {
        fail("--%s may be repeated %d times at most", option, MULTIPLE_MAX);
    }
    list[(*count)++] = value;
}

/* The options that run and repl have in common. */
static void take_option(struct mw_worker_options *options, int option) {
    switch (option) {
    case 'e': options->code = optarg; break;
    case 'h': fputs(usage, stdout); exit(0);
    case OPTION_MEMORY: options->memory_limit = to_size(read_amount("memory-limit", optarg, "KMG")); break;
    case OPTION_LEVEL: set_log_level(optarg); break;
    case OPTION_FORMAT: set_log_format(optarg); break;
    case OPTION_FILE: set_log_file(optarg); break;
    default: fputs("Try 'moonwire --help'.\n", stderr); exit(2);
    }
}

static void take_run_option(struct mw_worker_options *options, int option) {
    switch (option) {
    case 'l': add(options->listen, &options->listeners, "listen", optarg); break;
    case 's': add(options->settings, &options->setting_count, "set", optarg); break;
    case OPTION_STDIO: options->stdio = true; break;
    case OPTION_SANDBOX: options->sandbox = true; break;
    case OPTION_CPU: options->cpu_limit = read_amount("cpu-limit", optarg, ""); break;
    default: take_option(options, option);
    }
}

/* `--` ends the options; what follows it is the script's. */
static int run(int argc, char **argv) {
    const char *listen[MULTIPLE_MAX], *settings[MULTIPLE_MAX];
    struct mw_worker_options options = {
        .module = "moonwire.run",
        .listen = listen,
        .settings = settings,
        .cpu_limit = CPU_SECONDS,
        .memory_limit = MEMORY_BYTES,
    };
    int option, end = 1;
    while (end < argc && strcmp(argv[end], "--") != 0) {
        end++;
    }
    options.arguments = argv + (end < argc ? end + 1 : end);
    argv[end] = NULL;
    while ((option = getopt_long(end, argv, "l:s:e:h", run_options, NULL)) != -1) {
        take_run_option(&options, option);
    }
    options.script = optind < end ? argv[optind] : NULL;
    if (end - optind > 1) {
        fail("run takes one script, got also '%s' (arguments for the script follow --)", argv[optind + 1]);
    }
    if (!options.script == !options.code) {
        fail("run takes either a script or -e CODE");
    }
    return mw_worker_run(&options);
}

static const struct option repl_options[] = {
    {"execute", required_argument, NULL, 'e'},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"log-format", required_argument, NULL, OPTION_FORMAT},
    {"log-file", required_argument, NULL, OPTION_FILE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A line may compute for as long as nobody types Ctrl-C. */
static int repl(int argc, char **argv) {
    struct mw_worker_options options = {
        .module = "moonwire.repl",
        .script = "repl",
        .interactive = true,
        .cpu_limit = HUGE_VAL,
        .memory_limit = MEMORY_BYTES,
    };
    int option;
    while ((option = getopt_long(argc, argv, "e:h", repl_options, NULL)) != -1) {
        take_option(&options, option);
    }
    if (optind < argc) {
        fail("repl takes no argument, got '%s'", argv[optind]);
    }
    return mw_worker_run(&options);
}

static int test(char **argv) {
    struct mw_worker_options options = {
        .module = "moonwire.test",
        .arguments = argv + 1,
        .cpu_limit = HUGE_VAL,
        .memory_limit = SIZE_MAX,
    };
    return mw_worker_run(&options);
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "--help";
    if (strcmp(command, "run") == 0) {
        return run(argc - 1, argv + 1);
    }
    if (strcmp(command, "repl") == 0) {
        return repl(argc - 1, argv + 1);
    }
    if (strcmp(command, "test") == 0) {
        return test(argv + 1);
    }
    if (strcmp(command, "--version") == 0 || strcmp(command, "-v") == 0) {
        return print_version();
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 || strcmp(command, "help") == 0) {
        fputs(usage, stdout);
        return argc > 1 ? 0 : 2;
    }
    fail("unknown command '%s'", command);
}
