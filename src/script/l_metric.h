/* moonwire.core.metrics: metrics for scripts. All that a script makes has the label
 * service="NAME", the name of its service. */
#ifndef MW_SCRIPT_L_METRIC_H
#define MW_SCRIPT_L_METRIC_H

#include <lua.h>

/* Adds the field `metrics` to the table on top of the stack. */
void mw_l_metric_open(lua_State *L);

#endif
