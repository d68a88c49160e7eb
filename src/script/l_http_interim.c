/* Interim answers (RFC 9110 section 15.2) of a server behind a proxy, such as 103 Early Hints, on their way to the client. */
#include "script/l_http_pass.h"

#include "script/fault.h"

#include <errno.h>
#include <stdio.h>

/* Status, and the fields that may pass, as a head of its own. 0 or errno. */
static int queue_interim(struct mw_stream *client, const struct mw_http_reply *reply,
                         const struct mw_http_pass_rules *rules) {
    struct mw_http_response made = {.type = NULL}; /* has the fields for a moment */
    char line[64];
    int status = reply->head.status;
    int size = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", status, status == 103 ? "Early Hints" : "Interim");
    if (!mw_http_pass_fields(&made, reply, rules)) {
        return ENOMEM;
    }
    struct iovec pieces[3] = {{.iov_base = line, .iov_len = (size_t)size},
                              {.iov_base = made.fields.bytes, .iov_len = made.fields.size},
                              {.iov_base = (char *)(uintptr_t) "\r\n", .iov_len = 2}};
    int error = mw_stream_queue_pieces(client, pieces, 3);
    mw_text_free(&made.fields);
    return error;
}

/* pass_interim(response, reply, rules) → whether it was sent: clients of HTTP/1.0 know no such answers (section 15.2) */
static int pass_interim(lua_State *L) {
    const struct mw_http_response *response = mw_http_response_check(L);
    const struct mw_http_reply *reply = mw_http_reply_check(L, 2);
    const struct mw_http_pass_rules *rules = mw_http_pass_rules_check(L, 3);
    const struct mw_http_request *request = response->request;
    bool can = request && request->stream.stream && request->head.minor && response->phase == MW_HTTP_FRESH;
    lua_pushboolean(L, can && queue_interim(request->stream.stream, reply, rules) == 0);
    return 1;
}

void mw_l_http_interim_open(lua_State *L) {
    lua_pushcfunction(L, pass_interim);
    lua_setfield(L, -2, "pass_interim");
}
