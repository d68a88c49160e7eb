#include "net/tls_sessions.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct kept {
    struct mw_list node; /* the one used last is the last */
    SSL_SESSION *session;
    char key[];
};

/* A client talks to few servers: a walk is as good as a table. */
struct mw_tls_sessions {
    struct mw_list list;
    unsigned count, most;
};

struct mw_tls_sessions *mw_tls_sessions_new(unsigned most) {
    struct mw_tls_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions) {
        mw_list_init(&sessions->list);
        sessions->most = most;
    }
    return sessions;
}

static struct kept *at(struct mw_list *node) {
    return mw_list_owner(node, struct kept, node);
}

static void forget(struct mw_tls_sessions *sessions, struct kept *kept) {
    mw_list_remove(&kept->node);
    SSL_SESSION_free(kept->session);
    free(kept);
    sessions->count--;
}

void mw_tls_sessions_free(struct mw_tls_sessions *sessions) {
    if (!sessions) {
        return;
    }
    while (!mw_list_empty(&sessions->list)) {
        forget(sessions, at(sessions->list.next));
    }
    free(sessions);
}

static struct kept *find(struct mw_tls_sessions *sessions, const char *key) {
    for (struct mw_list *node = sessions->list.previous; node != &sessions->list; node = node->previous) {
        if (strcmp(at(node)->key, key) == 0) {
            return at(node);
        }
    }
    return NULL;
}

void mw_tls_sessions_keep(struct mw_tls_sessions *sessions, const char *key, SSL_SESSION *session) {
    struct kept *kept = find(sessions, key);
    if (kept) {
        SSL_SESSION_free(kept->session);
        kept->session = session;
        return;
    }
    size_t size = strlen(key) + 1;
    kept = malloc(sizeof *kept + size);
    if (!kept) {
        SSL_SESSION_free(session);
        return;
    }
    if (sessions->count == sessions->most) {
        forget(sessions, at(sessions->list.next));
    }
    memcpy(kept->key, key, size);
    kept->session = session;
    mw_list_append(&sessions->list, &kept->node);
    sessions->count++;
}

static bool is_over(const SSL_SESSION *session) {
    return SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) <= time(NULL);
}

SSL_SESSION *mw_tls_sessions_find(struct mw_tls_sessions *sessions, const char *key) {
    struct kept *kept = find(sessions, key);
    if (!kept) {
        return NULL;
    }
    if (!SSL_SESSION_is_resumable(kept->session) || is_over(kept->session)) {
        forget(sessions, kept);
        return NULL;
    }
    mw_list_remove(&kept->node);
    mw_list_append(&sessions->list, &kept->node);
    return kept->session;
}
