/* What a process that runs scripts sets once, before all else. */
#ifndef MW_WORKER_PROCESS_H
#define MW_WORKER_PROCESS_H

#include <stddef.h>
#include <sys/resource.h>

/* Signals that a library's user gets by surprise are ignored, descriptors are as many as
 * the system allows, freed memory stays with the process. Returns the limit of open
 * files that was there before, for children; 0: it was not changed. */
rlim_t mw_process_prepare(void);

/* What the process uses now: resident memory in bytes (0: the system does not say), and
 * seconds of the processor so far. */
size_t mw_process_memory(void);
double mw_process_cpu(void);

#endif
