/* The access log: one entry a request. */
#include "script/l_http_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_text(struct mw_log_field *field, const char *key, const char *text, size_t size) {
    *field = (struct mw_log_field){.key = key, .value = text, .length = size};
}

static void add_bare(struct mw_log_field *field, const char *key, const char *text) {
    *field = (struct mw_log_field){.key = key, .value = text, .length = strlen(text), .bare = true};
}

static void add_field(struct mw_log_field *field, const char *key, const struct mw_http_request *request, const char *name) {
    struct mw_http1_field found = {.value = ""};
    uint32_t at = request->head.fields;
    mw_http1_find_field(request->bytes, request->head.size, &at, name, strlen(name), &found);
    add_text(field, key, found.value, found.value_size);
}

void mw_http_log_access(struct mw_http_request *request, const struct mw_http_response *response) {
    const struct mw_http1_head *head = &request->head;
    const struct mw_sched *sched = request->connection->server->handler.sched;
    char name[MW_ADDR_TEXT], status[8], bytes[24], seconds[24], id[20];
    struct mw_log_field fields[11];
    snprintf(status, sizeof status, "%d", response->status);
    snprintf(bytes, sizeof bytes, "%" PRIu64, response->sent);
    snprintf(seconds, sizeof seconds, "%.6f", mw_loop_now(sched->loop) - request->begun);
    snprintf(id, sizeof id, "%016" PRIx64, mw_http_request_id(request));
    add_text(&fields[0], "service", sched->name, strlen(sched->name));
    const char *peer = mw_l_stream_name(&request->stream, name, sizeof name);
    add_text(&fields[1], "peer", peer, strlen(peer));
    add_text(&fields[2], "method", request->bytes + head->method.at, head->method.size);
    add_text(&fields[3], "host", request->bytes + head->host.at, head->host.size);
    add_text(&fields[4], "target", request->bytes + head->target.at, head->target.size);
    add_bare(&fields[5], "status", status);
    add_bare(&fields[6], "bytes", bytes);
    add_bare(&fields[7], "seconds", seconds);
    add_bare(&fields[8], "request", id);
    add_field(&fields[9], "referer", request, "referer");
    add_field(&fields[10], "agent", request, "user-agent");
    mw_log_write(MW_LOG_INFO, "request", 7, fields, sizeof fields / sizeof *fields);
}
