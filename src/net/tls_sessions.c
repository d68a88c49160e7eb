#include "net/tls_sessions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct kept {
    char *key;
    SSL_SESSION *session;
};

/* A client talks to few servers: a walk is as good as a table. */
struct mw_tls_sessions {
    unsigned count, most;
    struct kept kept[]; /* the one used last is the last */
};

struct mw_tls_sessions *mw_tls_sessions_new(unsigned most) {
    struct mw_tls_sessions *sessions = calloc(1, sizeof *sessions + most * sizeof *sessions->kept);
    if (sessions) {
        sessions->most = most;
    }
    return sessions;
}

/* Takes one out; the others keep their order. */
static struct kept take(struct mw_tls_sessions *sessions, unsigned index) {
    struct kept taken = sessions->kept[index];
    sessions->count--;
    memmove(sessions->kept + index, sessions->kept + index + 1, (sessions->count - index) * sizeof taken);
    return taken;
}

static void drop(struct kept kept) {
    SSL_SESSION_free(kept.session);
    free(kept.key);
}

void mw_tls_sessions_free(struct mw_tls_sessions *sessions) {
    for (unsigned i = 0; sessions && i < sessions->count; i++) {
        drop(sessions->kept[i]);
    }
    free(sessions);
}

/* Its index; `count` when there is none. */
static unsigned find(const struct mw_tls_sessions *sessions, const char *key) {
    unsigned index = 0;
    while (index < sessions->count && strcmp(sessions->kept[index].key, key) != 0) {
        index++;
    }
    return index;
}

void mw_tls_sessions_keep(struct mw_tls_sessions *sessions, const char *key, SSL_SESSION *session) {
    unsigned index = find(sessions, key);
    if (index < sessions->count) {
        SSL_SESSION_free(sessions->kept[index].session);
        sessions->kept[index].session = session;
        return;
    }
    char *copy = strdup(key);
    if (!copy) {
        SSL_SESSION_free(session);
        return;
    }
    if (sessions->count == sessions->most) {
        drop(take(sessions, 0));
    }
    sessions->kept[sessions->count++] = (struct kept){.key = copy, .session = session};
}

static bool is_over(const SSL_SESSION *session) {
    return SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) <= time(NULL);
}

SSL_SESSION *mw_tls_sessions_find(struct mw_tls_sessions *sessions, const char *key) {
    unsigned index = find(sessions, key);
    if (index == sessions->count) {
        return NULL;
    }
    struct kept kept = take(sessions, index);
    if (!SSL_SESSION_is_resumable(kept.session) || is_over(kept.session)) {
        drop(kept);
        return NULL;
    }
    sessions->kept[sessions->count++] = kept;
    return kept.session;
}
