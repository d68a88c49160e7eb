#include "script/child_log.h"

#include "base/log.h"
#include "net/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mw_child_log {
    struct mw_stream *stream;
    struct mw_resource resource;
    char program[64], id[16];
};

static void write_entry(const struct mw_child_log *log, const char *line, size_t length) {
    const struct mw_log_field fields[] = {
        {.key = "program", .value = log->program, .length = strlen(log->program)},
        {.key = "process", .value = log->id, .length = strlen(log->id), .bare = true},
    };
    if (length > 0 && line[length - 1] == '\r') {
        length--;
    }
    if (length > 0) {
        mw_log_write(MW_LOG_INFO, line, length, fields, sizeof fields / sizeof *fields);
    }
}

/* A line that is longer than an entry is cut into several. */
static void take_lines(struct mw_child_log *log, bool at_end) {
    for (;;) {
        size_t size;
        const char *bytes = mw_stream_unread(log->stream, &size);
        const char *end = size ? memchr(bytes, '\n', size) : NULL;
        size_t length = end ? (size_t)(end - bytes) : size;
        if (length > MW_LOG_VALUE_MAX) {
            length = MW_LOG_VALUE_MAX;
            end = NULL;
        } else if (size == 0 || (!end && length < MW_LOG_VALUE_MAX && !at_end)) {
            return;
        }
        write_entry(log, bytes, length);
        mw_stream_take(log->stream, length + (end ? 1 : 0));
    }
}

static void on_readable(void *owner) {
    struct mw_child_log *log = owner;
    bool at_end = mw_stream_at_end(log->stream) || mw_stream_input_fault(log->stream);
    take_lines(log, at_end);
    if (at_end) {
        mw_child_log_free(log);
    }
}

static void on_writable(void *owner) {
    (void)owner;
}

static void close_resource(struct mw_resource *resource) {
    mw_child_log_free(mw_list_owner(resource, struct mw_child_log, resource));
}

struct mw_child_log *mw_child_log_new(struct mw_sched *sched, int fd, const char *program) {
    static const struct mw_stream_events events = {.on_readable = on_readable, .on_writable = on_writable};
    struct mw_child_log *log = calloc(1, sizeof *log);
    if (!log) {
        return NULL;
    }
    log->stream = mw_stream_new_pipe(sched->net, fd, false);
    if (!log->stream) {
        free(log);
        return NULL;
    }
    const char *slash = strrchr(program, '/');
    snprintf(log->program, sizeof log->program, "%s", slash ? slash + 1 : program);
    mw_stream_set_owner(log->stream, &events, log);
    log->resource.close = close_resource;
    mw_list_append(&sched->last, &log->resource.node);
    return log;
}

void mw_child_log_name(struct mw_child_log *log, pid_t id) {
    snprintf(log->id, sizeof log->id, "%d", (int)id);
}

void mw_child_log_free(struct mw_child_log *log) {
    mw_task_disown(&log->resource);
    mw_stream_close(log->stream, 0);
    free(log);
}
