/* A service by its name: the sockets it listens on, who may come in, who serves. */
#include "worker/daemon_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TELL_SECONDS 1.0 /* between two entries of one reason */

struct mw_host *mw_host_find(struct mw_daemon *daemon, const char *name) {
    for (struct mw_list *node = daemon->hosts.next; node != &daemon->hosts; node = node->next) {
        struct mw_host *host = mw_list_owner(node, struct mw_host, node);
        if (strcmp(host->name, name) == 0) {
            return host;
        }
    }
    return NULL;
}

struct mw_host *mw_host_new(struct mw_daemon *daemon, const char *name) {
    struct mw_admission_rules everybody = {.connections = 0};
    struct mw_host *host = calloc(1, sizeof *host);
    if (!host) {
        return NULL;
    }
    host->admission = mw_admission_new(daemon->place->admissions, daemon->place->worker, name, &everybody);
    if (!host->admission) {
        free(host);
        return NULL;
    }
    host->daemon = daemon;
    for (int tls = 0; tls < 2; tls++) {
        host->entrances[tls].on_entered = mw_guest_entered;
        host->entrances[tls].on_refused = mw_guest_refused;
    }
    host->rates.since = mw_loop_now(daemon->loop);
    for (int verdict = 0; verdict < MW_ADMISSION_VERDICTS; verdict++) {
        host->told[verdict].at = -TELL_SECONDS;
    }
    *stpncpy(host->name, name, sizeof host->name - 1) = '\0';
    mw_list_init(&host->instances);
    mw_list_init(&host->doors);
    mw_list_init(&host->guests);
    mw_list_append(&daemon->hosts, &host->node);
    return host;
}

void mw_host_free(struct mw_host *host) {
    mw_host_close_doors(host);
    mw_tls_settings_release(host->tls);
    free(host->proxies);
    mw_list_remove(&host->node);
    mw_admission_free(host->admission);
    free(host);
}

struct mw_instance *mw_host_pick(struct mw_host *host) {
    bool canary = host->canary && drand48() < host->share;
    return canary ? host->canary : host->current;
}

/* --- admission --- */

/* A flood of strangers must not become one of entries: each reason is told of once a second. */
static void log_refusal(struct mw_host *host, enum mw_admission_verdict verdict, const struct mw_addr *peer, double now) {
    static const char *const reasons[] = {
        [MW_REFUSED_NETWORK] = "its network is not allowed",
        [MW_REFUSED_CONNECTIONS] = "limits.connections is reached",
        [MW_REFUSED_ADDRESS] = "limits.per_address is reached",
        [MW_REFUSED_RATE] = "limits.accept_rate is reached",
    };
    char text[MW_ADDR_TEXT], more[64] = "";
    uint64_t silent = host->told[verdict].silent;
    if (now - host->told[verdict].at < TELL_SECONDS) {
        host->told[verdict].silent++;
        return;
    }
    if (silent) {
        snprintf(more, sizeof more, ", as were %" PRIu64 " before it", silent);
    }
    host->told[verdict].at = now;
    host->told[verdict].silent = 0;
    mw_log(verdict == MW_REFUSED_NETWORK ? MW_LOG_INFO : MW_LOG_WARN, "service %s: connection of %s refused%s: %s",
           host->name, mw_addr_format(peer, text), more, reasons[verdict]);
}

void mw_host_refuse(struct mw_host *host, enum mw_admission_verdict verdict, const struct mw_addr *peer) {
    host->refused[verdict]++;
    log_refusal(host, verdict, peer, mw_loop_now(host->daemon->loop));
}

static bool on_accept(void *owner, int fd, const struct mw_addr *peer) {
    const struct mw_door *door = owner;
    struct mw_host *host = door->host;
    double now = mw_loop_now(host->daemon->loop);
    bool proxied = mw_entrance_is_proxy(&host->entrances[door->tls], peer);
    struct mw_addr nobody;
    mw_endpoint_unpack(&nobody, &mw_guest_nobody);
    enum mw_admission_verdict verdict = mw_admission_enter(host->admission, proxied ? &nobody : peer, now);
    if (verdict == MW_ADMITTED) {
        mw_guest_enter(door, fd, peer, proxied);
        return true;
    }
    mw_host_refuse(host, verdict, peer);
    close(fd);
    return true;
}

/* The networks of a list of the config; their number, or -1 when memory is out. Judged by the probe. */
static int read_networks(const struct mw_value *config, const char *key, struct mw_network **networks) {
    struct mw_value list = mw_value_field(config, key), index, item;
    size_t at = 0, room = 0;
    int count = 0;
    *networks = NULL;
    while (list.type == MW_VALUE_TABLE && mw_value_next(&list, &at, &index, &item)) {
        const char *why;
        if ((size_t)count == room) {
            room = room ? 2 * room : 16;
            struct mw_network *more = realloc(*networks, room * sizeof *more);
            if (!more) {
                free(*networks);
                return -1;
            }
            *networks = more;
        }
        count += mw_network_parse(&(*networks)[count], item.bytes, item.size, &why);
    }
    return count;
}

bool mw_host_set_rules(struct mw_host *host, const struct mw_instance *instance) {
    struct mw_value limits = mw_value_field(&instance->config, "limits");
    struct mw_admission_rules rules = {
        .connections = (uint64_t)mw_value_integer(&limits, "connections", 0),
        .per_address = (uint64_t)mw_value_integer(&limits, "per_address", 0),
        .rate = mw_value_number(&limits, "accept_rate", 0),
        .burst = mw_value_number(&limits, "accept_burst", 0),
    };
    int allows = read_networks(&instance->config, "allow", &rules.allow);
    int denies = allows < 0 ? -1 : read_networks(&instance->config, "deny", &rules.deny);
    bool done = false;
    if (denies >= 0) {
        rules.allows = (unsigned)allows;
        rules.denies = (unsigned)denies;
        done = mw_admission_set(host->admission, &rules);
        free(rules.deny);
    }
    if (allows >= 0) {
        free(rules.allow);
    }
    return done;
}

/* --- certificates --- */

void mw_host_set_tls(struct mw_host *host, const struct mw_instance *instance) {
    mw_tls_settings_release(host->tls);
    host->tls = instance->tls ? mw_tls_settings_hold(instance->tls) : NULL;
    if (host->tls) {
        host->entrances[true].timeout = host->tls->handshake_timeout;
        host->entrances[true].most = host->tls->handshakes;
    }
}

/* --- proxies --- */

static bool has_item(const struct mw_value *config, const char *key, const char *word) {
    struct mw_value list = mw_value_field(config, key), index, item;
    size_t at = 0;
    while (list.type == MW_VALUE_TABLE && mw_value_next(&list, &at, &index, &item)) {
        if (item.size == strlen(word) && memcmp(item.bytes, word, item.size) == 0) {
            return true;
        }
    }
    return false;
}

bool mw_host_set_proxies(struct mw_host *host, const struct mw_instance *instance) {
    struct mw_network *networks;
    int count = read_networks(&instance->config, "proxies", &networks);
    free(host->proxies);
    host->proxies = count < 0 ? NULL : networks;
    for (int tls = 0; tls < 2; tls++) {
        struct mw_entrance *entrance = &host->entrances[tls];
        entrance->proxies = host->proxies;
        entrance->proxy_count = count < 0 ? 0 : (size_t)count;
        entrance->proxies_local = has_item(&instance->config, "proxies", "unix");
    }
    host->entrances[false].timeout = mw_value_number(&instance->config, "proxy_timeout", 10);
    return count >= 0;
}

bool mw_host_renew(struct mw_host *host, int memory, struct mw_fault *fault) {
    struct mw_tls_settings *newer = mw_keys_read(host, memory, fault);
    if (!newer) {
        return false;
    }
    if (host->tls) {
        mw_tls_settings_renew(host->tls, newer);
    } else {
        mw_tls_settings_release(newer);
    }
    return true;
}

/* --- doors --- */

static const struct mw_listener_events events = {.on_accept = on_accept};

static void close_door(struct mw_door *door) {
    mw_list_remove(&door->node);
    if (door->listener) {
        mw_listener_close(door->listener);
    } else {
        close(door->fd);
    }
    free(door);
}

/* The Unix path belongs to the supervisor, for whom the socket stays. */
static void open_door(struct mw_host *host, struct mw_door *door) {
    door->listener = mw_listener_new(host->daemon->net, door->fd, &events, door);
    if (!door->listener) {
        mw_log(MW_LOG_ERROR, "service %s: cannot accept on %s: not enough memory", host->name, door->address);
        return;
    }
    mw_listener_leave_path(door->listener);
    mw_listener_accept(door->listener, !host->draining);
}

static bool is_same_socket(int one, int other) {
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static struct mw_door *find_same(const struct mw_list *doors, int fd) {
    for (struct mw_list *node = doors->next; node != doors; node = node->next) {
        struct mw_door *door = mw_list_owner(node, struct mw_door, node);
        if (is_same_socket(door->fd, fd)) {
            return door;
        }
    }
    return NULL;
}

static void close_doors(struct mw_list *doors, bool all) {
    for (struct mw_list *node = doors->next, *next; node != doors; node = next) {
        struct mw_door *door = mw_list_owner(node, struct mw_door, node);
        next = node->next;
        if (all || !door->stays) {
            close_door(door);
        } else {
            door->stays = false;
        }
    }
}

/* A socket that both have stays with its old door; the new one is closed, having been its equal. */
void mw_host_set_doors(struct mw_host *host, struct mw_instance *instance) {
    struct mw_list new;
    mw_list_init(&new);
    for (struct mw_list *node = instance->doors.next, *next; node != &instance->doors; node = next) {
        struct mw_door *door = mw_list_owner(node, struct mw_door, node);
        struct mw_door *same = find_same(&host->doors, door->fd);
        next = node->next;
        if (same) {
            same->stays = true;
            same->tls = door->tls;
            memcpy(same->name, door->name, sizeof same->name);
        } else {
            mw_list_remove(&door->node);
            mw_list_append(&new, &door->node);
            open_door(host, door);
        }
    }
    close_doors(&instance->doors, true);
    close_doors(&host->doors, false);
    mw_list_splice(&host->doors, &new);
}

void mw_host_close_doors(struct mw_host *host) {
    close_doors(&host->doors, true);
}

void mw_host_drain(struct mw_host *host, bool drain) {
    host->draining = drain;
    for (struct mw_list *node = host->doors.next; node != &host->doors; node = node->next) {
        struct mw_door *door = mw_list_owner(node, struct mw_door, node);
        if (door->listener) {
            mw_listener_accept(door->listener, !drain);
        }
    }
}
