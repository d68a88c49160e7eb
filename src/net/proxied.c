#include "net/proxied.h"

#include "net/stream_internal.h"

#include <stdlib.h>
#include <string.h>

const struct mw_proxied *mw_stream_proxied(const struct mw_stream *stream) {
    return stream->proxied;
}

bool mw_proxied_note(struct mw_stream *stream, const struct mw_addr *proxy, const struct mw_proxyhdr *header,
                     const char *bytes) {
    size_t size = (size_t)(header->tlvs_end - header->tlvs);
    struct mw_proxied *proxied = calloc(1, sizeof *proxied + size);
    if (!proxied) {
        return false;
    }
    mw_endpoint_pack(&proxied->proxy, proxy);
    if (header->destination.length) {
        mw_endpoint_pack(&proxied->destination, &header->destination);
    }
    proxied->version = header->version;
    proxied->is_local = header->is_local;
    proxied->has_client = header->source.length != 0;
    proxied->size = (uint16_t)size;
    memcpy(proxied->tlvs, bytes + header->tlvs, size);
    stream->proxied = proxied;
    return true;
}
