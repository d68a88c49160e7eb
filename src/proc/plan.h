/* What a probe made of the config: the daemon's settings, its services, the files that
 * were read. */
#ifndef MW_PROC_PLAN_H
#define MW_PROC_PLAN_H

#include "proc/settings.h"

/* What a fault of a config or a reload may say: more than a fault of the kernel, because scripts speak in it. */
enum { MW_PLAN_FAULT = 2048 };

struct mw_plan {
    char fault[MW_PLAN_FAULT]; /* the probe's; "": none. With one only the files are of use */
    char *bytes; /* that the values are of */
    struct mw_settings settings;
    struct mw_value services, files; /* tables */
};

/* From the bytes of a MW_ORDER_PROBED, which are copied; those that are none have a fault. NULL when memory is out. */
struct mw_plan *mw_plan_new(const void *bytes, size_t size);
void mw_plan_free(struct mw_plan *plan); /* NULL is ignored */

/* Of the service of that name; false when there is none. */
bool mw_plan_service(const struct mw_plan *plan, const char *name, struct mw_value *service);

#endif
