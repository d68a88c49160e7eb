/* The system calls of a worker: a list of those that are allowed. */
#ifndef MW_PROC_SECCOMP_LINUX_H
#define MW_PROC_SECCOMP_LINUX_H

#include "base/fault.h"

#include <stdbool.h>

/* Confines this process, and what it will start, to the calls that a worker needs; needs no rights and cannot be
 * taken back. `programs`: scripts may start other programs, which then live under the same rules. Any other call
 * fails with EPERM; those that only an intruder makes (tracing, kernel modules, mounts, bpf, kexec, …) end the
 * process with SIGSYS. Call it before threads are started. False and `fault` when the kernel or memory refuses;
 * "unavailable" when it knows no filters. */
bool mw_seccomp_confine(bool programs, struct mw_fault *fault);

#endif
