/* moonwire run, repl, test: a process of one service, whose Lua this command line names. */
#include "command.h"

#include "worker/run.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MULTIPLE_MAX = 64 }; /* how often an option that may be repeated can be */

/* What a script may use by default. */
#define CPU_SECONDS 1.0
#define MEMORY_BYTES ((size_t)1 << 30)

enum { OPTION_STDIO = MW_OPTION_OWN, OPTION_TLS, OPTION_SANDBOX, OPTION_CPU, OPTION_MEMORY, OPTION_STORE, OPTION_BUS };

static const char run_usage[] =
    "usage: moonwire run SCRIPT.lua [options] [-- ARGUMENT...]\n"
    "       moonwire run -e CODE [options] [-- ARGUMENT...]\n"
    "\n"
    "Runs a script as server or program. It returns its connection handler, or a table of them; one that returns\n"
    "nothing is a program. What follows -- is for the script.\n"
    "\n"
    "  -l, --listen ADDRESS     serve connections there; may be repeated. tcp://127.0.0.1:7000\n"
    "                           tcp://[::1]:7000  udp://127.0.0.1:53  unix:///run/x.sock  unix://@name  fd://3\n"
    "                           NAME=ADDRESS is for the door of that name in the script\n"
    "  -s, --set KEY=VALUE      a setting for the script: ctx.config.KEY; dots make nested tables\n"
    "  -e, --execute CODE       run this code instead of a file\n"
    "      --stdio[=DOOR]       serve one connection on standard input and output: for inetd, socat, Accept=yes\n"
    "      --tls[=CERT[,KEY]]   that connection begins with TLS; default the script's certificate, or a development one\n"
    "      --sandbox            the script is from others: no files, no processes, bounded functions\n"
    "      --cpu-limit SECONDS  of the processor that a task may use without waiting; default 1, 0: no limit\n"
    "      --memory-limit SIZE  of the script's memory: 64M, 2G; default 1G, 0: no limit\n"
    "      --store URL          of moonwire.store: lmdb:///var/lib/x; default memory:, which is gone at the end\n"
    "      --bus URL            share moonwire.bus with others: redis://cache.example\n"
    MW_LOG_USAGE
    "  -h, --help               this text\n"
    "\n"
    "  printf 'return function(conn) for line in conn:lines() do conn:write(line, \"\\\\n\") end end' > echo.lua\n"
    "  moonwire run echo.lua --listen tcp://127.0.0.1:7000\n";

static const char repl_usage[] =
    "usage: moonwire repl [-e CODE] [options]\n"
    "\n"
    "A prompt for Lua, in which waiting works. It runs CODE and then what is typed; input that is no terminal is run\n"
    "line by line, up to the first error.\n"
    "\n"
    "  -e, --execute CODE       run this first\n"
    "      --memory-limit SIZE  of memory: 64M, 2G; default 1G, 0: no limit\n"
    MW_LOG_USAGE
    "  -h, --help               this text\n"
    "\n"
    "  echo 'return 6 * 7' | moonwire repl\n";

static const struct option run_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"set", required_argument, NULL, 's'},
    {"execute", required_argument, NULL, 'e'},
    {"stdio", optional_argument, NULL, OPTION_STDIO},
    {"tls", optional_argument, NULL, OPTION_TLS},
    {"sandbox", no_argument, NULL, OPTION_SANDBOX},
    {"cpu-limit", required_argument, NULL, OPTION_CPU},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY},
    {"store", required_argument, NULL, OPTION_STORE},
    {"bus", required_argument, NULL, OPTION_BUS},
    MW_LOG_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A number with an optional unit of `units`, each 1024 times the one before; 0 is for none. */
static double read_amount(const char *command, const char *option, const char *units) {
    char *end;
    double amount = strtod(optarg, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == optarg || !(amount >= 0) || isinf(amount) || (*end && (!unit || end[1]))) {
        mw_command_fail(command, "--%s: a number%s expected, such as %s, got '%s'", option,
                        *units ? " with K, M or G behind it" : " of seconds", *units ? "64M" : "0.5", optarg);
    }
    for (long i = unit ? unit - units + 1 : 0; i > 0; i--) {
        amount *= 1024;
    }
    return amount == 0 ? HUGE_VAL : amount;
}

static size_t read_size(const char *command, const char *option) {
    double bytes = read_amount(command, option, "KMG");
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

static void add(const char **list, size_t *count, const char *option) {
    if (*count == MULTIPLE_MAX) {
        mw_command_fail("run", "--%s may be repeated %d times at most", option, MULTIPLE_MAX);
    }
    list[(*count)++] = optarg;
}

static void take_run_option(struct mw_worker_options *options, int option) {
    switch (option) {
    case 'l': add(options->listen, &options->listeners, "listen"); break;
    case 's': add(options->settings, &options->setting_count, "set"); break;
    case 'e': options->code = optarg; break;
    case OPTION_STDIO: options->stdio = optarg ? optarg : ""; break;
    case OPTION_TLS: options->tls = optarg ? optarg : ""; break;
    case OPTION_SANDBOX: options->sandbox = true; break;
    case OPTION_CPU: options->cpu_limit = read_amount("run", "cpu-limit", ""); break;
    case OPTION_MEMORY: options->memory_limit = read_size("run", "memory-limit"); break;
    case OPTION_STORE: options->store = optarg; break;
    case OPTION_BUS: options->bus = optarg; break;
    default: mw_command_option("run", run_usage, option);
    }
}

/* `--` ends the options; what follows it is the script's. */
int mw_command_run(int argc, char **argv) {
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
    argv[0] = mw_command_program;
    options.arguments = argv + (end < argc ? end + 1 : end);
    argv[end] = NULL;
    while ((option = getopt_long(end, argv, "l:s:e:h", run_options, NULL)) != -1) {
        take_run_option(&options, option);
    }
    options.script = optind < end ? argv[optind] : NULL;
    if (end - optind > 1) {
        mw_command_fail("run", "run takes one script, got also '%s' (arguments for the script follow --)",
                        argv[optind + 1]);
    }
    if (options.stdio && options.listeners > 0) {
        mw_command_fail("run", "--stdio is for one connection; it does not go with --listen");
    }
    if (options.tls && !options.stdio) {
        mw_command_fail("run", "--tls goes with --stdio; a listener has TLS by its address, tls://127.0.0.1:7000");
    }
    if (!options.script == !options.code) {
        mw_command_fail("run", "run takes either a script or -e CODE");
    }
    return mw_worker_run(&options);
}

static const struct option repl_options[] = {
    {"execute", required_argument, NULL, 'e'},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY},
    MW_LOG_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A line may compute for as long as nobody types Ctrl-C. */
int mw_command_repl(int argc, char **argv) {
    struct mw_worker_options options = {
        .module = "moonwire.repl",
        .script = "repl",
        .interactive = true,
        .cpu_limit = HUGE_VAL,
        .memory_limit = MEMORY_BYTES,
    };
    int option;
    argv[0] = mw_command_program;
    while ((option = getopt_long(argc, argv, "e:h", repl_options, NULL)) != -1) {
        switch (option) {
        case 'e': options.code = optarg; break;
        case OPTION_MEMORY: options.memory_limit = read_size("repl", "memory-limit"); break;
        default: mw_command_option("repl", repl_usage, option);
        }
    }
    if (optind < argc) {
        mw_command_fail("repl", "repl takes no argument, got '%s'", argv[optind]);
    }
    return mw_worker_run(&options);
}

int mw_command_test(int argc, char **argv) {
    struct mw_worker_options options = {
        .module = "moonwire.test",
        .arguments = argv + 1,
        .cpu_limit = HUGE_VAL,
        .memory_limit = SIZE_MAX,
    };
    (void)argc;
    return mw_worker_run(&options);
}
