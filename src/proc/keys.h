/* The certificates and keys of a service as its workers get them. The supervisor reads the files, because it has the
 * right to, and understands none of them: workers do. Shared by the generations of a service that have them. */
#ifndef MW_PROC_KEYS_H
#define MW_PROC_KEYS_H

#include "base/text.h"
#include "net/tls_files.h"
#include "proto/message.h"

#include <stdint.h>

/* Counted references. */
struct mw_keys {
    unsigned holders;
    bool automatic;            /* a development certificate: it stays over reloads */
    struct mw_text options;    /* a message, see script/tls_settings.h */
    struct mw_tls_files files; /* without their bytes */
    int memory;                /* sealed memory file that workers are given: they can use it */
    int pending;               /* another, made of changed files, which nobody has judged yet; -1: none */
    int64_t number;            /* of what is pending, or was last */
};

/* From what the probe says of a service: { options, files = { { name, secret }, … }, automatic }. Reads the files. NULL and
 * the fault. */
struct mw_keys *mw_keys_new(const struct mw_value *tls, struct mw_fault *fault);
struct mw_keys *mw_keys_hold(struct mw_keys *keys); /* NULL is allowed */
void mw_keys_release(struct mw_keys *keys);         /* NULL is allowed */

/* Reads the files anew if one of them has changed, by its name or in what it is; whether there is something pending then.
 * False with a fault when they cannot be read, without one when nothing is new. */
bool mw_keys_refresh(struct mw_keys *keys, struct mw_fault *fault);

/* What is pending was judged: it is what workers get from now on, or is forgotten. */
void mw_keys_settle(struct mw_keys *keys, bool good);

/* A sealed memory file of that content; -1 and errno. */
int mw_sealed_memory(const char *name, const void *bytes, size_t size);

#endif
