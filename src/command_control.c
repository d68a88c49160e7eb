/* Commands for a daemon that runs: lua/moonwire/control.lua reads the line, and talks to the daemon. */
#include "command.h"

#include "worker/run.h"

#include <math.h>
#include <stdint.h>

/* The command's name is the first argument. */
int mw_command_control(int argc, char **argv) {
    struct mw_worker_options options = {
        .module = "moonwire.control",
        .script = "control",
        .arguments = argv,
        .cpu_limit = HUGE_VAL,
        .memory_limit = SIZE_MAX,
    };
    (void)argc;
    return mw_worker_run(&options);
}
