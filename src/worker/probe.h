/* Judging a config and its scripts, without a daemon or before one changes. */
#ifndef MW_WORKER_PROBE_H
#define MW_WORKER_PROBE_H

/* The process of a probe: reads the config with the rights it was started with, becomes the user that is named
 * there (that none is, is a fault for root), loads every script, or that of `service` alone unless that is NULL, and sends MW_ORDER_PROBED over the
 * descriptor `channel`, which it owns. The exit status: 0 when that was sent, whatever it says. */
int mw_probe_main(const char *config, const char *service, int channel);

/* The same for an operator: says on standard output that all is well, or on standard error what is not. The exit
 * status: 0 or 1. Another user is become only by root, who becomes nobody when the config names none; a note says so. */
int mw_check_main(const char *config);

#endif
