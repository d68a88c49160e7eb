#include "script/tls_settings.h"

#include "base/log.h"
#include "loop/timer.h"
#include "proto/message.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const double LOOK_SECONDS = 2;

enum { PAIRS_MOST = 256, PROTOCOLS_MOST = 32, PROTOCOL_MOST = 256, SESSIONS_MOST = 256 };

/* --- the files that options name --- */

static bool add_file(struct mw_tls_files *files, const struct mw_value *table, const char *key, bool secret) {
    struct mw_value name = mw_value_field(table, key);
    return name.type != MW_VALUE_STRING || mw_tls_files_add(files, name.bytes, name.size, secret, NULL, 0);
}

static bool add_files(struct mw_tls_files *files, const struct mw_value *options) {
    struct mw_value pairs = mw_value_field(options, "pairs"), key, pair;
    bool added = add_file(files, options, "authorities", false);
    for (size_t at = 0; added && mw_value_next(&pairs, &at, &key, &pair);) {
        added = add_file(files, &pair, "certificate", false) && add_file(files, &pair, "key", true) &&
                add_file(files, &pair, "staple", false);
    }
    return added;
}

static void warn_of_readers(const struct mw_tls_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        const struct mw_tls_file *file = &files->list[i];
        if (file->secret && (file->as.st_mode & (S_IROTH | S_IWOTH))) {
            mw_log(MW_LOG_WARN, "the key %s is open to everybody on this machine: chmod o= it", file->name);
        }
    }
}

/* --- from options to a context --- */

/* What the rules point into, while the context is made. */
struct making {
    const struct mw_tls_files *files;
    struct mw_tls_pair pairs[PAIRS_MOST];
    char names[PROTOCOLS_MOST][PROTOCOL_MOST];
    const char *protocols[PROTOCOLS_MOST + 1];
};

/* The bytes of the file that `key` names, or else of the text under `pem` (NULL: none). NULL: neither is there. */
static const char *text_of(const struct making *making, const struct mw_value *table, const char *key, const char *pem,
                           size_t *size, const char **name) {
    struct mw_value file = mw_value_field(table, key), text;
    if (file.type == MW_VALUE_STRING) {
        const struct mw_tls_file *found = mw_tls_files_find(making->files, file.bytes, file.size);
        *size = found ? found->size : 0;
        *name = found ? found->name : key;
        return found ? found->bytes : NULL;
    }
    text = pem ? mw_value_field(table, pem) : file;
    *size = text.type == MW_VALUE_STRING ? text.size : 0;
    *name = pem;
    return text.type == MW_VALUE_STRING ? text.bytes : NULL;
}

static void fill_pair(const struct making *making, struct mw_tls_pair *pair, const struct mw_value *entry) {
    const char *name;
    pair->certificate = text_of(making, entry, "certificate", "certificate_pem", &pair->certificate_size,
                                &pair->certificate_name);
    pair->key = text_of(making, entry, "key", "key_pem", &pair->key_size, &pair->key_name);
    pair->staple = text_of(making, entry, "staple", NULL, &pair->staple_size, &name);
}

static void fill_pairs(struct making *making, struct mw_tls_rules *rules, const struct mw_value *options) {
    struct mw_value pairs = mw_value_field(options, "pairs"), key, pair;
    for (size_t at = 0; rules->pair_count < PAIRS_MOST && mw_value_next(&pairs, &at, &key, &pair);) {
        fill_pair(making, &making->pairs[rules->pair_count++], &pair);
    }
    rules->pairs = making->pairs;
}

static void fill_protocols(struct making *making, struct mw_tls_rules *rules, const struct mw_value *options) {
    struct mw_value list = mw_value_field(options, "protocols"), key, name;
    size_t count = 0;
    for (size_t at = 0; count < PROTOCOLS_MOST && mw_value_next(&list, &at, &key, &name);) {
        if (name.type == MW_VALUE_STRING && name.size < PROTOCOL_MOST) {
            memcpy(making->names[count], name.bytes, name.size);
            making->protocols[count] = making->names[count];
            count++;
        }
    }
    rules->protocols = count ? making->protocols : NULL;
}

static enum mw_tls_verify verify_of(const struct mw_value *options, bool server) {
    char word[16];
    mw_value_string(options, "verify", word, sizeof word);
    if (strcmp(word, "optional") == 0) {
        return MW_TLS_VERIFY_OPTIONAL;
    }
    return strcmp(word, "required") == 0 || (!*word && !server) ? MW_TLS_VERIFY_REQUIRED : MW_TLS_VERIFY_NONE;
}

static struct mw_tls_context *make_context(const struct mw_tls_settings *settings, const struct mw_tls_files *files,
                                           struct mw_fault *fault) {
    struct mw_value options;
    struct making *making = calloc(1, sizeof *making);
    if (!making || !mw_message_read(&options, settings->options.bytes, settings->options.size)) {
        mw_fault_set(fault, making ? EINVAL : ENOMEM, "read", "options of TLS");
        free(making);
        return NULL;
    }
    making->files = files;
    struct mw_tls_rules rules = {
        .server = settings->server,
        .verify = verify_of(&options, settings->server),
        .least_version = (int)mw_value_integer(&options, "least_version", 12),
        .tickets = settings->tickets,
        .sessions = settings->server ? 0 : SESSIONS_MOST,
    };
    rules.authorities = text_of(making, &options, "authorities", "authorities_pem", &rules.authorities_size,
                                &rules.authorities_name);
    fill_pairs(making, &rules, &options);
    fill_protocols(making, &rules, &options);
    struct mw_tls_context *context = mw_tls_context_new(&rules, fault);
    free(making);
    return context;
}

/* --- settings --- */

static bool fill(struct mw_tls_settings *settings, struct mw_tls_files *files, struct mw_fault *fault) {
    struct mw_value options;
    if (settings->options.failed ||
        !mw_message_read(&options, settings->options.bytes, settings->options.size)) {
        mw_fault_set(fault, settings->options.failed ? ENOMEM : EINVAL, "read", "options of TLS");
        return false;
    }
    settings->handshake_timeout = mw_value_number(&options, "handshake_timeout", MW_TLS_HANDSHAKE_SECONDS);
    settings->handshakes = (unsigned)mw_value_integer(&options, "handshakes", MW_TLS_HANDSHAKES);
    if (files) {
        settings->files = *files;
        *files = (struct mw_tls_files){.list = NULL};
        settings->looked = MW_TIMER_NEVER;
    } else if (!add_files(&settings->files, &options)) {
        mw_fault_set(fault, ENOMEM, "read", "files of TLS");
        return false;
    } else if (!mw_tls_files_read(&settings->files, fault)) {
        return false;
    } else {
        warn_of_readers(&settings->files);
    }
    settings->context = make_context(settings, &settings->files, fault);
    mw_tls_files_drop(&settings->files);
    return settings->context != NULL;
}

static void clean(struct mw_tls_settings *settings) {
    if (settings->context) {
        mw_tls_context_release(settings->context);
    }
    mw_tls_files_free(&settings->files);
    if (settings->options.bytes) {
        OPENSSL_cleanse(settings->options.bytes, settings->options.size);
    }
    mw_text_free(&settings->options);
}

struct mw_tls_settings *mw_tls_settings_new(struct mw_text *options, bool server, struct mw_tls_tickets *tickets,
                                            struct mw_tls_files *files, struct mw_fault *fault) {
    struct mw_tls_settings *settings = calloc(1, sizeof *settings);
    if (!settings) {
        mw_text_free(options);
        mw_fault_set(fault, ENOMEM, "read", "options of TLS");
        return NULL;
    }
    settings->references = 1;
    settings->options = *options;
    settings->server = server;
    settings->tickets = server ? tickets : NULL;
    *options = (struct mw_text){.bytes = NULL};
    if (!fill(settings, files, fault)) {
        mw_tls_settings_release(settings);
        return NULL;
    }
    return settings;
}

struct mw_tls_settings *mw_tls_settings_hold(struct mw_tls_settings *settings) {
    settings->references++;
    return settings;
}

void mw_tls_settings_release(struct mw_tls_settings *settings) {
    if (settings && --settings->references == 0) {
        clean(settings);
        free(settings);
    }
}

struct mw_tls_settings *mw_tls_settings_read(const void *bytes, size_t size, struct mw_tls_tickets *tickets,
                                             struct mw_fault *fault) {
    struct mw_value message, name, content;
    struct mw_text options = {.bytes = NULL};
    struct mw_tls_files files = {.list = NULL};
    bool done = mw_message_read(&message, bytes, size);
    struct mw_value list = done ? mw_value_field(&message, "files") : (struct mw_value){.type = MW_VALUE_NIL};
    for (size_t at = 0; done && mw_value_next(&list, &at, &name, &content);) {
        done = mw_tls_files_add(&files, name.bytes, name.size, false, content.bytes, content.size);
    }
    struct mw_value given = done ? mw_value_field(&message, "options") : list;
    mw_text_add(&options, given.bytes, given.type == MW_VALUE_STRING ? given.size : 0);
    options.failed = options.failed || !done;
    struct mw_tls_settings *settings = mw_tls_settings_new(&options, true, tickets, &files, fault);
    mw_tls_files_free(&files);
    return settings;
}

void mw_tls_settings_renew(struct mw_tls_settings *settings, struct mw_tls_settings *newer) {
    unsigned references = settings->references;
    struct mw_tls_settings old = *settings;
    *settings = *newer;
    *newer = old;
    settings->references = references;
    newer->references = 1;
    mw_tls_settings_release(newer);
}

static void look_at_files(struct mw_tls_settings *settings) {
    struct mw_tls_files fresh = {.list = NULL};
    struct mw_fault fault = {.message = ""};
    bool read = true;
    for (size_t i = 0; read && i < settings->files.count; i++) {
        const struct mw_tls_file *file = &settings->files.list[i];
        read = mw_tls_files_add(&fresh, file->name, strlen(file->name), file->secret, NULL, 0);
    }
    read = read && mw_tls_files_read(&fresh, &fault);
    struct mw_tls_context *context = read ? make_context(settings, &fresh, &fault) : NULL;
    if (context) {
        mw_tls_context_release(settings->context);
        settings->context = context;
        mw_log(MW_LOG_INFO, "certificates were read anew: %s", fresh.list[0].name);
    } else {
        mw_log(MW_LOG_ERROR, "changed certificates are not used, those before stay: %s", fault.message);
    }
    if (read) { /* what was judged once is not judged again until it changes */
        mw_tls_files_drop(&fresh);
        mw_tls_files_free(&settings->files);
        settings->files = fresh;
    } else {
        mw_tls_files_free(&fresh);
    }
}

struct mw_tls_context *mw_tls_settings_context(struct mw_tls_settings *settings, double now) {
    if (settings->files.count > 0 && now - settings->looked >= LOOK_SECONDS) {
        settings->looked = now;
        if (mw_tls_files_changed(&settings->files)) {
            look_at_files(settings);
        }
    }
    return settings->context;
}
