/* Where a worker process finds itself: what the supervisor gives to each. */
#ifndef MW_BASE_PLACE_H
#define MW_BASE_PLACE_H

struct mw_pulse;
struct mw_metrics;
struct mw_admissions;
struct mw_tallies;
struct mw_tls_tickets;

struct mw_place {
    int worker, workers;   /* its number, from 1, and how many there are */
    int channel;           /* descriptor of its end of the channel (net/channel.h, proto/order.h) */
    const char *store;        /* URL of the default store, as in the config; NULL: none */
    const char *store_folder; /* for one without a path: is there, and the worker's; NULL: none */
    struct mw_pulse *pulse;           /* shared with the supervisor, who looks whether the loop turns (loop/loop.h) */
    struct mw_metrics *metrics;       /* shared by all (base/metric.h) */
    struct mw_admissions *admissions; /* shared by all (net/admission.h) */
    struct mw_tallies *tallies;       /* shared by all (net/tally.h); NULL: there are none */
    struct mw_tls_tickets *tickets;   /* shared by all (net/tls_tickets.h); NULL: there are none */
};

#endif
