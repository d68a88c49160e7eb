/* What the files of a worker share. A host is a service by its name, for as long as
 * the worker has it: its sockets, its connections, its counts. An instance is one
 * generation of it. A guest is a connection, whichever instance serves it. */
#ifndef MW_WORKER_DAEMON_INTERNAL_H
#define MW_WORKER_DAEMON_INTERNAL_H

#include "net/admission.h"
#include "net/channel.h"
#include "net/entrance.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/store.h"
#include "net/stream.h"
#include "proto/message.h"
#include "script/bus.h"
#include "script/guard.h"
#include "script/memory.h"
#include "script/service.h"
#include "script/tls_refusals.h"
#include "script/tls_settings.h"
#include "worker/daemon.h"

#include <lauxlib.h>
#include <limits.h>
#include <sys/resource.h>

enum { MW_SERVICE_NAME = 64, MW_ADMISSION_VERDICTS = MW_REFUSED_RATE + 1 };

struct mw_host;
struct mw_core_metrics;

enum mw_phase {
    MW_BUILDING, /* its script starts */
    MW_READY,
    MW_SERVING,
    MW_CANARY,  /* gets a share of the new connections */
    MW_RETIRED, /* gets none; what it has ends or moves */
    MW_ENDED,   /* to be freed at the end of the turn */
};

/* A socket that the supervisor has opened for a service. */
struct mw_door {
    struct mw_list node; /* in host->doors, or in instance->doors until the switch */
    struct mw_host *host;
    struct mw_listener *listener; /* NULL until it opens */
    int fd;                       /* the listener's, once there is one */
    bool stays;                   /* during a switch: the new generation has it, too */
    bool tls;                     /* connections begin with a handshake */
    char name[MW_SERVICE_DOOR];   /* of the door in the script that serves it */
    char address[MW_ADDR_TEXT];   /* as in the config */
};

/* What a host has counted, whichever generation it was in. */
struct mw_host_counts {
    uint64_t received, sent; /* bytes */
    uint64_t refused[MW_ADMISSION_VERDICTS];
    uint64_t handshakes, failed_handshakes;
};

struct mw_instance {
    struct mw_list node; /* in host->instances */
    struct mw_host *host;
    struct mw_service service;
    int64_t generation;
    enum mw_phase phase;
    void *blob; /* the mapped memory file; `config` points into it */
    size_t blob_size;
    struct mw_value config;
    struct mw_list doors; /* of mw_door: what it listens on, for the switch */
    struct mw_tls_settings *tls; /* held; NULL: it has no certificates */
    struct mw_timer limit; /* when a retired one is ended whatever it does */
    double begun;
    double idle, total; /* seconds that a connection may be silent, and last */
    uint64_t accepted;
    struct mw_host_counts before; /* of the host, when this one began to serve */
};

struct mw_host {
    struct mw_list node; /* in daemon->hosts */
    struct mw_daemon *daemon;
    char name[MW_SERVICE_NAME];
    struct mw_list instances;
    struct mw_instance *current, *canary, *building; /* NULL: none */
    double share; /* of new connections that the canary gets */
    struct mw_list doors, guests;
    size_t connections; /* guests */
    struct mw_tls_settings *tls; /* of new connections, held; NULL: none has TLS */
    struct mw_entrance entrances[2]; /* of doors in clear, and of those with TLS */
    struct mw_network *proxies;      /* of the entrances */
    struct mw_tls_refusals refusals; /* of handshakes and PROXY headers */
    uint64_t handshakes, failed_handshakes;
    struct mw_admission *admission;
    uint64_t accepted, refused[MW_ADMISSION_VERDICTS];
    struct {
        double at;       /* the loop's clock at the last entry of the log */
        uint64_t silent; /* refused since, without one */
    } told[MW_ADMISSION_VERDICTS];
    uint64_t received, sent; /* bytes, of guests that are gone */
    uint64_t failures;       /* of instances that are gone */
    struct mw_host_rates {
        double since; /* the loop's clock when what follows was looked at */
        uint64_t accepted;
        double connections; /* a second, between the last two looks */
    } rates;
    bool draining;           /* accepting rests */
};

struct mw_guest {
    struct mw_list node; /* in host->guests */
    struct mw_stream_witness witness;
    struct mw_host *host;
    struct mw_stream *transport;
    struct mw_timer timer; /* of its limits, or of a silence before its first bytes */
    double idle, total;
    double speak_by; /* when it must have sent its first bytes; 0: it has, or need not */
    uint64_t id;
    struct mw_endpoint peer;
    char door[MW_SERVICE_DOOR]; /* the name of the one that it came to */
    bool is_secure;   /* it came to a door with TLS */
    bool is_nameless; /* its address is a proxy's, and not counted: nothing is known of its client (yet) */
    struct mw_entering *entering; /* on its way in; NULL: it is through, or there was no way */
    bool enters;                  /* one of its entrance's events is still to come */
    bool gone;                    /* but the transport is no more */
};

/* The generation that is being built. */
struct mw_build {
    int64_t generation; /* 0: none */
    bool complete;      /* PREPARE has come */
    bool partial;
    bool told; /* READY or FAULT was sent */
    char service[MW_SERVICE_NAME], fault[1024]; /* the first fault; empty: none */
};

struct mw_daemon {
    const struct mw_place *place;
    struct mw_loop *loop;
    struct mw_net *net;
    struct mw_guard *guard;
    struct mw_bus *bus; /* of all instances, and of other workers over the channel */
    struct mw_channel *channel;
    struct mw_list hosts;
    struct mw_build build;
    struct mw_work work; /* frees what has ended, goes on with moving */
    struct mw_timer last; /* of a stop: the end, whatever is left */
    struct {
        int64_t generation; /* of the switch that is under way, 0: none */
    } moving;
    struct mw_core_metrics *metrics; /* NULL when memory was out */
    struct mw_timer measuring;       /* the next time that they are brought up to date; none: nothing has happened */
    bool awaited;  /* a service waits between ADOPT and COMMIT */
    bool sweeps;   /* at the end of this turn: an instance has ended, or a host has nothing left */
    bool stopping;
    bool drains;   /* streams that are closing are what is left */
    uint64_t guests; /* so far, for their numbers */
    double begun;
    char library[PATH_MAX];
    rlim_t descriptors;
};

static inline struct mw_timers *mw_daemon_timers(const struct mw_daemon *daemon) {
    return mw_loop_timers(daemon->loop);
}

/* --- telling the supervisor (daemon.c) --- */

void mw_daemon_tell(struct mw_daemon *daemon, uint8_t kind, const struct mw_text *message);

/* --- instances (instance.c) --- */

/* Begins to build one from the blob behind `memory`, a memory file, and its certificates behind `keys`, another; -1: it
 * has none. NULL and a fault. */
struct mw_instance *mw_instance_new(struct mw_host *host, int64_t generation, int memory, int keys,
                                    struct mw_fault *fault);

/* What a memory file says of TLS, held by the caller. NULL and a fault. */
struct mw_tls_settings *mw_keys_read(const struct mw_host *host, int memory, struct mw_fault *fault);

/* Accepting has ended for it: connections pass to `successor` (NULL: they have the drain time). What the config says
 * of the service's own drain time counts before `drain`. */
void mw_instance_retire(struct mw_instance *instance, struct mw_instance *successor, double drain);
void mw_instance_free(struct mw_instance *instance);

/* --- hosts (host.c) --- */

struct mw_host *mw_host_find(struct mw_daemon *daemon, const char *name);
struct mw_host *mw_host_new(struct mw_daemon *daemon, const char *name); /* NULL when memory is out */
void mw_host_free(struct mw_host *host);

/* Who serves the next connection; NULL: nobody. */
struct mw_instance *mw_host_pick(struct mw_host *host);

/* The rules of admission of an instance become those of the host. False when memory is out. */
bool mw_host_set_rules(struct mw_host *host, const struct mw_instance *instance);

/* The doors of the instance become those of the host; those that both have stay as they are. */
void mw_host_set_doors(struct mw_host *host, struct mw_instance *instance);
void mw_host_close_doors(struct mw_host *host);

/* What the instance says of TLS holds for new connections. */
void mw_host_set_tls(struct mw_host *host, const struct mw_instance *instance);

/* And what it says of proxies. False when memory is out: it has none, then. */
bool mw_host_set_proxies(struct mw_host *host, const struct mw_instance *instance);

/* Counts and logs a connection that the admission has refused. */
void mw_host_refuse(struct mw_host *host, enum mw_admission_verdict verdict, const struct mw_addr *peer);

/* Certificates of a host have changed: a memory file as in SERVICE. Whoever serves has them from now on; nothing else changes.
 * False and a fault: they cannot be used, and those before stay. */
bool mw_host_renew(struct mw_host *host, int memory, struct mw_fault *fault);

/* Accepting rests, or goes on. */
void mw_host_drain(struct mw_host *host, bool drain);

/* --- guests (guest.c) --- */

/* A connection was accepted, and let in by the admission, that of a proxy as nobody's. */
void mw_guest_enter(const struct mw_door *door, int fd, const struct mw_addr *peer, bool proxied);

/* Who has no address, for the admission. */
extern const struct mw_endpoint mw_guest_nobody;

/* Events of a host's entrance: a guest is through, or refused. */
void mw_guest_entered(void *owner, struct mw_stream *stream, const struct mw_addr *peer);
void mw_guest_refused(void *owner, const struct mw_addr *peer, const struct mw_fault *fault);

/* Those of a host that nobody serves yet close. */
void mw_guests_turn_away(struct mw_host *host);

/* The task that serves it; NULL: none (yet, or any more). */
struct mw_task *mw_guest_task(const struct mw_guest *guest);

/* --- generations (generation.c): what the supervisor orders --- */

void mw_generation_add(struct mw_daemon *daemon, const struct mw_value *order, const int *descriptors, int count);
void mw_generation_prepare(struct mw_daemon *daemon, const struct mw_value *order);
void mw_generation_adopt(struct mw_daemon *daemon, const struct mw_value *order);
void mw_generation_commit(struct mw_daemon *daemon, const struct mw_value *order);
void mw_generation_abort(struct mw_daemon *daemon);
void mw_generation_roll_back(struct mw_daemon *daemon, const struct mw_value *order);

/* Certificates of a service were renewed; closes the descriptors. */
void mw_generation_renew(struct mw_daemon *daemon, const struct mw_value *order, const int *descriptors, int count);

/* An instance is ready, or has failed (`message`). */
void mw_generation_note(struct mw_daemon *daemon, struct mw_instance *instance, const char *message);

/* Goes on with moving connections, if a switch is under way. */
void mw_generation_go_on(struct mw_daemon *daemon);

/* --- the worker's own metrics (measure.c) --- */

void mw_measure_open(struct mw_daemon *daemon);
void mw_measure_close(struct mw_daemon *daemon);

/* Brings them up to date; or does so within seconds. Before an instance is freed, too: what it counted since would be lost. */
void mw_measure(struct mw_daemon *daemon);
void mw_measure_soon(struct mw_daemon *daemon);
void mw_host_count(const struct mw_host *host, struct mw_host_counts *counts);

/* Connections a second, lately: since the last look, which is a second ago or longer. */
double mw_host_rate(struct mw_host *host);

/* The default store, if this worker has it open and it is a file; else NULL. */
struct mw_store *mw_daemon_store(const struct mw_daemon *daemon);

/* --- requests of operators (request.c) --- */

void mw_request_answer(struct mw_daemon *daemon, const struct mw_value *request);

/* The log goes elsewhere: to the descriptor, or where the request says. */
void mw_request_reopen_log(const struct mw_value *request, const int *descriptors, int count);

/* Sends the answer to a request, a JSON value; frees the text. */
void mw_request_send(struct mw_daemon *daemon, int64_t id, struct mw_text *answer);

#endif
