/* WebSockets that pass to a newer generation of their service, between two messages (see l_checkpoint, move). */
#include "script/l_checkpoint.h"
#include "script/l_websocket_internal.h"
#include "script/sched.h"

#include <string.h>

/* Protected, in the new state: on the stack of the new stream, the WebSocket that `resume` gets instead. */
static void *push_successor(lua_State *L, const void *rider) {
    return mw_ws_push(L, -1, rider);
}

/* What the peer and we have agreed on and what came and went so far goes along; nothing of it can fail. */
static void pass(void *from, void *to) {
    struct mw_l_websocket *old = from, *new = to;
    struct mw_l_stream *stream = new->stream;
    struct mw_list *node = &new->resource.node;
    struct mw_resource resource = old->resource;
    *new = *old;
    new->stream = stream;
    new->resource.close = resource.close;
    mw_list_init(node);
    mw_list_append(&stream->resource.node, node); /* before it */
    new->parks = false;
    new->closer = NULL;
    old->deflate = NULL;
    old->collected = old->protocol = (struct mw_text){.bytes = NULL};
    old->state = MW_WS_CLOSED;
    old->close_code = MW_WSFRAME_ABNORMAL;
    mw_task_disown(&old->resource);
}

static const struct mw_rider_type type = {.push = push_successor, .pass = pass};

/* ws:checkpoint(state) → true | nil, "closed", "closed" */
int mw_l_websocket_checkpoint(lua_State *L) {
    struct mw_l_websocket *ws = mw_ws_check(L, 1);
    lua_settop(L, 2);
    int count = mw_l_checkpoint_make(L, ws->stream, 2, &type, ws);
    ws->parks = ws->stream->stream && ws->state == MW_WS_OPEN;
    return count;
}

void mw_ws_park(struct mw_l_websocket *ws, const struct mw_task *task, bool first) {
    if (ws->parks) {
        ws->parks = mw_l_checkpoint_renew(ws->stream, task, first);
    }
}
