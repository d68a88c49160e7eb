#include "net/net.h"

#include "net/stream_internal.h"

#include <stdlib.h>

enum {
    POOLED_BUFFERS = 64,
    THREADS = 4,
    WAITING_JOBS = 64 * 1024, /* above this something is wrong, and refused */
};

struct mw_net *mw_net_new(struct mw_loop *loop) {
    struct mw_net *net = calloc(1, sizeof *net);
    if (!net) {
        return NULL;
    }
    net->scratch = mw_buf_new(MW_NET_SCRATCH);
    net->threads = mw_pool_new(loop, THREADS, WAITING_JOBS);
    if (!net->scratch || !net->threads) {
        mw_pool_free(net->threads);
        free(net->scratch);
        free(net);
        return NULL;
    }
    net->loop = loop;
    mw_buf_pool_init(&net->pool, POOLED_BUFFERS);
    mw_list_init(&net->closing);
    mw_list_init(&net->stores);
    return net;
}

void mw_net_free(struct mw_net *net) {
    net->on_drained = NULL;
    mw_pool_free(net->threads);
    while (!mw_list_empty(&net->closing)) {
        mw_stream_destroy(mw_list_owner(net->closing.next, struct mw_farewell, node)->stream);
    }
    mw_buf_pool_clear(&net->pool);
    free(net->scratch);
    free(net);
}

void mw_net_drain(struct mw_net *net, void (*on_drained)(void *context), void *context) {
    net->on_drained = on_drained;
    net->drained_context = context;
    mw_net_tell_drained(net);
}

void mw_net_tell_drained(struct mw_net *net) {
    void (*on_drained)(void *context) = net->on_drained;
    if (on_drained && mw_list_empty(&net->closing)) {
        net->on_drained = NULL;
        on_drained(net->drained_context);
    }
}

void mw_net_flush(struct mw_net *net) {
    while (net->dirty) {
        struct mw_stream *stream = net->dirty;
        net->dirty = stream->next_dirty;
        stream->dirty = false;
        mw_stream_go_on_sending(stream);
    }
}
