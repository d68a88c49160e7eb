#include "script/history.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Entries; bytes of one entry in the file; bytes of the file above which it is written anew. */
enum { ENTRIES_MAX = 1000, ENTRY_MAX = 8192, FILE_MAX = 256 * 1024 };

struct mw_history {
    History *entries;
    int file; /* -1: none */
    char path[PATH_MAX];
};

/* Makes the folders above the file, for nobody else to look into. */
static void make_folders(const char *path) {
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
}

/* A regular file of ours, or none: a FIFO must not hold anybody up. */
static int open_file(const char *path, int flags) {
    struct stat status;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags, 0600);
    if (file >= 0 && (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || fchmod(file, 0600) < 0)) {
        close(file);
        errno = EINVAL;
        return -1;
    }
    return file;
}

/* In the file an entry is a line: \n and \\ stand for a newline and a backslash. */
static size_t escape(char *line, size_t room, const char *text) {
    size_t length = 0;
    for (; *text && length + 3 < room; text++) {
        if (*text == '\n' || *text == '\\') {
            line[length++] = '\\';
        }
        line[length] = *text;
        if (*text == '\n') {
            line[length] = 'n';
        }
        length++;
    }
    line[length++] = '\n';
    return *text ? 0 : length;
}

static void unescape(char *line) {
    char *to = line;
    for (const char *from = line; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to = *from;
            if (*from == 'n') {
                *to = '\n';
            }
            to++;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void remember(struct mw_history *past, const char *text) {
    HistEvent event;
    history(past->entries, &event, H_ENTER, text);
}

static void write_entry(int file, const char *text) {
    char line[ENTRY_MAX];
    size_t length = escape(line, sizeof line, text);
    if (length > 0 && write(file, line, length) < 0) {
        mw_log(MW_LOG_DEBUG, "history: %m");
    }
}

static void load(struct mw_history *past) {
    char *line = NULL;
    size_t room = 0;
    FILE *stream = fopen(past->path, "re");
    while (stream && getline(&line, &room, stream) > 0) {
        line[strcspn(line, "\n")] = '\0';
        unescape(line);
        if (*line) {
            remember(past, line);
        }
    }
    free(line);
    if (stream) {
        fclose(stream);
    }
}

/* Writes the file anew with what is remembered, oldest first. */
static void shorten(struct mw_history *past) {
    char fresh[PATH_MAX + 8];
    HistEvent event;
    snprintf(fresh, sizeof fresh, "%s.new", past->path);
    int file = open_file(fresh, O_TRUNC | O_APPEND);
    if (file < 0) {
        return;
    }
    for (int more = history(past->entries, &event, H_LAST); more >= 0;
         more = history(past->entries, &event, H_PREV)) {
        write_entry(file, event.str);
    }
    if (rename(fresh, past->path) < 0) {
        close(file);
        return;
    }
    close(past->file);
    past->file = file;
}

static void open_past(struct mw_history *past, const char *path) {
    struct stat status;
    if ((size_t)snprintf(past->path, sizeof past->path, "%s", path) >= sizeof past->path) {
        return;
    }
    make_folders(path);
    past->file = open_file(path, O_APPEND);
    if (past->file < 0) {
        mw_log(MW_LOG_DEBUG, "history %s: %m", path);
        return;
    }
    load(past);
    if (fstat(past->file, &status) == 0 && status.st_size > FILE_MAX) {
        shorten(past);
    }
}

struct mw_history *mw_history_new(const char *path) {
    HistEvent event;
    struct mw_history *past = calloc(1, sizeof *past);
    if (past) {
        past->entries = history_init();
    }
    if (!past || !past->entries) {
        free(past);
        return NULL;
    }
    history(past->entries, &event, H_SETSIZE, ENTRIES_MAX);
    history(past->entries, &event, H_SETUNIQUE, 1);
    past->file = -1;
    if (path) {
        open_past(past, path);
    }
    return past;
}

void mw_history_free(struct mw_history *past) {
    history_end(past->entries);
    if (past->file >= 0) {
        close(past->file);
    }
    free(past);
}

void mw_history_attach(struct mw_history *past, EditLine *editline) {
    el_set(editline, EL_HIST, history, past->entries);
}

void mw_history_add(struct mw_history *past, const char *text) {
    HistEvent event;
    bool again = history(past->entries, &event, H_FIRST) >= 0 && strcmp(event.str, text) == 0;
    if (again) {
        return;
    }
    remember(past, text);
    if (past->file >= 0) {
        write_entry(past->file, text);
    }
}
