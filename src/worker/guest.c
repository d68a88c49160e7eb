/* Connections: counted, limited in time, and handed to whoever serves at the moment. */
#include "worker/daemon_internal.h"

#include "base/log.h"
#include "net/proxied.h"
#include "script/l_stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct mw_endpoint mw_guest_nobody = {.family = AF_UNIX};

struct mw_task *mw_guest_task(const struct mw_guest *guest) {
    const struct mw_l_stream *stream = mw_l_stream_of(guest->transport);
    return stream ? stream->task : NULL;
}

static void on_gone(struct mw_stream_witness *witness) {
    struct mw_guest *guest = mw_list_owner(witness, struct mw_guest, witness);
    struct mw_host *host = guest->host;
    struct mw_stream_counters counters;
    mw_stream_count(guest->transport, &counters);
    host->received += counters.received;
    host->sent += counters.sent;
    host->connections--;
    host->daemon->sweeps = host->daemon->sweeps || mw_list_empty(&host->instances);
    mw_admission_leave(host->admission, guest->is_nameless ? &mw_guest_nobody : &guest->peer);
    mw_list_remove(&guest->node);
    mw_timer_remove(mw_daemon_timers(host->daemon), &guest->timer);
    guest->gone = true;
    if (!guest->enters) {
        free(guest);
    }
}

/* --- limits of time --- */

/* The moment at which the first of its limits is reached, as things are. */
static double due(const struct mw_guest *guest, const struct mw_stream_counters *counters) {
    double moment = guest->speak_by > 0 ? guest->speak_by : MW_TIMER_NEVER;
    double idle = counters->active + guest->idle, total = counters->opened + guest->total;
    moment = idle < moment ? idle : moment;
    return total < moment ? total : moment;
}

static void watch(struct mw_guest *guest) {
    struct mw_stream_counters counters;
    mw_stream_count(guest->transport, &counters);
    double moment = due(guest, &counters);
    if (moment < MW_TIMER_NEVER && !mw_timer_set(mw_daemon_timers(guest->host->daemon), &guest->timer, moment)) {
        mw_log(MW_LOG_WARN, "service %s: a connection has no limit of time: not enough memory", guest->host->name);
    }
}

static void dismiss(struct mw_guest *guest) {
    struct mw_l_stream *stream = mw_l_stream_of(guest->transport);
    if (stream) {
        mw_l_stream_close(stream);
    } else if (guest->entering) {
        struct mw_entering *entering = guest->entering;
        guest->entering = NULL;
        guest->enters = false;
        mw_entering_cancel(entering);
    } else if (mw_http_dismiss(guest->transport)) {
        return; /* it rested between two requests */
    } else if (guest->speak_by > 0) {
        guest->speak_by = 0;
        mw_stream_close(guest->transport, 0);
    }
}

/* Silence may have ended since the timer was set: it is lazy. */
static void on_due(struct mw_timer *timer) {
    struct mw_guest *guest = mw_list_owner(timer, struct mw_guest, timer);
    struct mw_stream_counters counters;
    mw_stream_count(guest->transport, &counters);
    if (due(guest, &counters) <= mw_loop_now(guest->host->daemon->loop)) {
        dismiss(guest);
    } else {
        watch(guest);
    }
}

/* --- the first bytes --- */

static struct mw_task *hand_over(struct mw_guest *guest, struct mw_instance *instance) {
    struct mw_service_door *door = mw_service_door_of(&instance->service, guest->door);
    struct mw_addr peer;
    if (!door) { /* a reload has taken it away meanwhile */
        mw_stream_close(guest->transport, 0);
        return NULL;
    }
    mw_endpoint_unpack(&peer, &guest->peer);
    instance->accepted++;
    return mw_service_accept(door, guest->transport, &peer, mw_tls_is_on(guest->transport));
}

/* The peer has spoken, or has left without a word. The task reads before this returns,
 * while the bytes still lie where they were received. */
static void on_readable(void *owner) {
    struct mw_guest *guest = owner;
    struct mw_instance *instance = mw_host_pick(guest->host);
    size_t unread;
    guest->speak_by = 0;
    mw_stream_unread(guest->transport, &unread);
    if (unread == 0 || !instance) {
        mw_stream_close(guest->transport, 0);
        return;
    }
    struct mw_task *task = hand_over(guest, instance);
    if (task) {
        mw_task_resume(task, 2);
    }
}

static const struct mw_stream_events silent = {.on_readable = on_readable};

static void await_first_bytes(struct mw_guest *guest, const struct mw_service_door *door) {
    const struct mw_l_profile *profile = door->connect.profile;
    guest->speak_by = mw_loop_now(guest->host->daemon->loop) + profile->read_timeout;
    mw_stream_set_marks(guest->transport, &mw_stream_default_marks);
    mw_stream_set_owner(guest->transport, &silent, guest);
    watch(guest);
    size_t unread;
    mw_stream_unread(guest->transport, &unread);
    if (unread > 0 || mw_stream_at_end(guest->transport)) { /* came with a PROXY header or the end of a handshake */
        on_readable(guest);
    }
}

void mw_guests_turn_away(struct mw_host *host) {
    for (struct mw_list *node = host->guests.next, *next; node != &host->guests; node = next) {
        struct mw_guest *guest = mw_list_owner(node, struct mw_guest, node);
        next = node->next;
        if (guest->speak_by > 0 || guest->entering) {
            dismiss(guest);
        }
    }
}

/* --- entering --- */

static struct mw_guest *new_guest(struct mw_host *host, const struct mw_instance *instance, int fd,
                                  const struct mw_addr *peer) {
    struct mw_guest *guest = calloc(1, sizeof *guest);
    struct mw_stream *transport = guest ? mw_stream_new(host->daemon->net, fd, &mw_plain_ops, NULL) : NULL;
    if (!transport) {
        free(guest);
        return NULL;
    }
    guest->host = host;
    guest->transport = transport;
    guest->witness.on_gone = on_gone;
    guest->idle = instance->idle;
    guest->total = instance->total;
    guest->id = ++host->daemon->guests;
    mw_endpoint_pack(&guest->peer, peer);
    mw_timer_init(&guest->timer, on_due);
    mw_list_append(&host->guests, &guest->node);
    mw_stream_set_witness(transport, &guest->witness);
    host->connections++;
    host->accepted++;
    return guest;
}

/* It is through all that comes before. */
static void welcome(struct mw_guest *guest, struct mw_instance *instance) {
    const struct mw_service_door *door = mw_service_door_of(&instance->service, guest->door);
    if (door && door->defers) {
        await_first_bytes(guest, door);
        return;
    }
    watch(guest);
    struct mw_task *task = hand_over(guest, instance);
    if (task) {
        mw_task_ready(task, 2);
    }
}

/* A proxy has said, or has not, who its client is. False: who may not come in. */
static bool learn_client(struct mw_guest *guest, const struct mw_addr *peer) {
    const struct mw_proxied *proxied = mw_stream_proxied(guest->transport);
    if (!proxied || !proxied->has_client) {
        return true;
    }
    enum mw_admission_verdict verdict = mw_admission_name(guest->host->admission, peer);
    if (verdict != MW_ADMITTED) {
        mw_host_refuse(guest->host, verdict, peer);
        return false;
    }
    guest->is_nameless = false;
    mw_endpoint_pack(&guest->peer, peer);
    return true;
}

void mw_guest_entered(void *owner, struct mw_stream *stream, const struct mw_addr *peer) {
    struct mw_guest *guest = owner;
    struct mw_instance *instance = mw_host_pick(guest->host);
    guest->entering = NULL;
    guest->enters = false;
    guest->host->handshakes += mw_tls_is_on(stream);
    if (instance && learn_client(guest, peer)) {
        welcome(guest, instance);
    } else {
        mw_stream_close(stream, 0);
    }
}

void mw_guest_refused(void *owner, const struct mw_addr *peer, const struct mw_fault *fault) {
    struct mw_guest *guest = owner;
    struct mw_host *host = guest->host;
    guest->entering = NULL;
    guest->enters = false;
    host->failed_handshakes += guest->is_secure;
    mw_tls_refusals_note(&host->refusals, mw_loop_now(host->daemon->loop), host->name, peer, fault);
    if (guest->gone) {
        free(guest);
    }
}

/* The entrance may have told how it ended before it returns, and the guest be no more: then it returns NULL. */
static void enter(struct mw_guest *guest) {
    struct mw_host *host = guest->host;
    struct mw_addr peer;
    mw_endpoint_unpack(&peer, &guest->peer);
    guest->enters = true;
    watch(guest);
    struct mw_entrance *entrance = &host->entrances[guest->is_secure];
    if (guest->is_secure) {
        entrance->tls = mw_tls_settings_context(host->tls, mw_loop_now(host->daemon->loop));
    }
    struct mw_entering *entering = mw_entrance_take(entrance, guest->transport, &peer, guest);
    if (entering) {
        guest->entering = entering;
    }
}

void mw_guest_enter(const struct mw_door *door, int fd, const struct mw_addr *peer, bool proxied) {
    struct mw_host *host = door->host;
    struct mw_instance *instance = mw_host_pick(host);
    bool possible = instance && (!door->tls || host->tls);
    struct mw_guest *guest = possible ? new_guest(host, instance, fd, peer) : NULL;
    if (!guest) {
        struct mw_endpoint endpoint;
        mw_endpoint_pack(&endpoint, peer);
        mw_admission_leave(host->admission, proxied ? &mw_guest_nobody : &endpoint);
        close(fd);
        return;
    }
    memcpy(guest->door, door->name, sizeof guest->door);
    if (door->tls || proxied) {
        guest->is_nameless = proxied;
        guest->is_secure = door->tls;
        enter(guest);
    } else {
        welcome(guest, instance);
    }
}
