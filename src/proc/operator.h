/* What the commands of an operator do, who speaks over the control socket. */
#ifndef MW_PROC_OPERATOR_H
#define MW_PROC_OPERATOR_H

#include "base/fault.h"

struct mw_supervisor;

/* Opens the control socket of the settings, if there is one. False and `fault`. */
bool mw_operator_open(struct mw_supervisor *supervisor, struct mw_fault *fault);

#endif
