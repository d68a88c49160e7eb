#include "net/tls_names.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 253 };

struct entry {
    char *name; /* lower case */
    size_t group, order;
};

struct mw_tls_names {
    struct entry *entries;
    size_t count, room;
};

struct mw_tls_names *mw_tls_names_new(void) {
    return calloc(1, sizeof(struct mw_tls_names));
}

void mw_tls_names_free(struct mw_tls_names *names) {
    if (!names) {
        return;
    }
    for (size_t i = 0; i < names->count; i++) {
        free(names->entries[i].name);
    }
    free(names->entries);
    free(names);
}

static void lower(char *to, const char *from, size_t length) {
    memcpy(to, from, length);
    for (size_t i = 0; i < length; i++) {
        if (to[i] >= 'A' && to[i] <= 'Z') {
            to[i] |= 'a' - 'A';
        }
    }
    to[length] = '\0';
}

static bool grow(struct mw_tls_names *names) {
    if (names->count < names->room) {
        return true;
    }
    size_t room = names->room ? names->room * 2 : 8;
    struct entry *entries = realloc(names->entries, room * sizeof *entries);
    if (!entries) {
        return false;
    }
    names->entries = entries;
    names->room = room;
    return true;
}

bool mw_tls_names_add(struct mw_tls_names *names, const char *name, size_t length, size_t group) {
    if (length == 0 || length > NAME_MAX_LENGTH || memchr(name, '\0', length)) {
        return true; /* nobody can ask for it */
    }
    char *copy = malloc(length + 1);
    if (!copy || !grow(names)) {
        free(copy);
        return false;
    }
    lower(copy, name, length);
    names->entries[names->count] = (struct entry){.name = copy, .group = group, .order = names->count};
    names->count++;
    return true;
}

static int by_name(const void *one, const void *other) {
    const struct entry *a = one, *b = other;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* Sorts, and keeps the first of those that are the same. */
void mw_tls_names_sort(struct mw_tls_names *names) {
    size_t kept = 0;
    if (names->count == 0) {
        return;
    }
    qsort(names->entries, names->count, sizeof *names->entries, by_name);
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names->entries[i].name, names->entries[kept].name) == 0) {
            free(names->entries[i].name);
        } else {
            names->entries[++kept] = names->entries[i];
        }
    }
    names->count = kept + 1;
}

static int against_name(const void *name, const void *entry) {
    return strcmp(name, ((const struct entry *)entry)->name);
}

static long look_up(const struct mw_tls_names *names, const char *name) {
    const struct entry *entry = bsearch(name, names->entries, names->count, sizeof *entry, against_name);
    return entry ? (long)entry->group : -1;
}

long mw_tls_names_find(const struct mw_tls_names *names, const char *name) {
    char asked[NAME_MAX_LENGTH + 1];
    size_t length = strlen(name);
    if (names->count == 0 || length == 0 || length > NAME_MAX_LENGTH) {
        return -1;
    }
    lower(asked, name, length);
    long group = look_up(names, asked);
    char *dot = strchr(asked, '.');
    if (group >= 0 || !dot || dot == asked) {
        return group;
    }
    dot[-1] = '*';
    return look_up(names, dot - 1);
}

const char *mw_tls_names_at(const struct mw_tls_names *names, size_t index) {
    return index < names->count ? names->entries[index].name : NULL;
}
