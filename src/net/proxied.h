/* What the PROXY header of a connection has said, kept for as long as its stream lives. */
#ifndef MW_NET_PROXIED_H
#define MW_NET_PROXIED_H

#include "net/stream.h"
#include "proto/proxyhdr.h"

struct mw_proxied {
    struct mw_endpoint proxy;       /* who has sent it */
    struct mw_endpoint destination; /* what the client has connected to; family 0: it does not say */
    uint8_t version;
    bool is_local;   /* the proxy's own connection, say a health check */
    bool has_client; /* it says who the client is */
    uint16_t size;   /* of what follows */
    char tlvs[];     /* for mw_proxyhdr_next_tlv, from 0 to `size` */
};

/* NULL: the connection came without a header. */
const struct mw_proxied *mw_stream_proxied(const struct mw_stream *stream);

/* Keeps what the header says; `bytes` are those it was read from. False when memory is out. Once a stream. */
bool mw_proxied_note(struct mw_stream *stream, const struct mw_addr *proxy, const struct mw_proxyhdr *header,
                     const char *bytes);

#endif
