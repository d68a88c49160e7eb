/* A process of one service, as the command line asks for it: one loop, one Lua state. */
#ifndef MW_WORKER_RUN_H
#define MW_WORKER_RUN_H

#include <stdbool.h>
#include <stddef.h>

/* What the command line asks for. Strings are borrowed. */
struct mw_worker_options {
    const char *module; /* whose function main runs: "moonwire.run", "moonwire.repl", … */
    const char *script; /* path, which names the service; NULL: none */
    const char *code;   /* of -e; NULL: none */
    const char *store;  /* URL of the default store; NULL: in memory */
    const char *bus;    /* URL of the bus that others share; NULL: nobody does */
    const char **listen, **settings; /* addresses; key=value */
    size_t listeners, setting_count;
    char **arguments; /* for the script, NULL-terminated */
    const char *stdio; /* one connection, to the door of that name, "" the service's own; NULL: none */
    const char *tls;   /* that connection begins with TLS; "CERTIFICATE,KEY", or "": as the script says. NULL: no */
    bool sandbox; /* the script is from others */
    double cpu_limit;    /* seconds, see struct mw_state_limits */
    size_t memory_limit; /* bytes */
    bool interactive; /* SIGINT is for the module to handle: it does not stop the service */
};

/* Runs until the service ends or a signal asks for it. The exit status of the
 * process: 0, what the service set, or 1 after a fault, which is in the log. */
int mw_worker_run(const struct mw_worker_options *options);

#endif
