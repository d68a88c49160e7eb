/* The rights that a worker does not need are given up before it runs a script. */
#ifndef MW_PROC_CONFINE_H
#define MW_PROC_CONFINE_H

#include "base/fault.h"
#include "proc/settings.h"

/* In the worker's process. False and `fault`: then it must not go on. */
bool mw_confine_worker(const struct mw_settings *settings, struct mw_fault *fault);

#endif
