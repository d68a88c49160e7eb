/* permessage-deflate (RFC 7692): messages through zlib, with the four bytes off that end each of them. */
#include "script/l_websocket_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAIL = 4, /* 00 00 ff ff */
    KEPT = 64 * 1024, /* bytes of a buffer */
    WIDEST = 15,
    LEAST_WINDOW = 9,
};

static const char tail[TAIL] = {0, 0, (char)0xFF, (char)0xFF};

/* --- out --- */

/* For those who forget the context behind each message, one coder a window does. */
static struct {
    struct mw_encoder *encoder;
    int level;
} shared[WIDEST + 1];

static struct mw_text coded;

static struct mw_encoder *shared_encoder(int window, int level) {
    if (shared[window].level != level) {
        mw_encoder_free(shared[window].encoder);
        shared[window].encoder = mw_encoder_new(MW_CODING_RAW, level, window);
        shared[window].level = shared[window].encoder ? level : 0;
    }
    return shared[window].encoder;
}

static struct mw_text *clear(void) {
    if (coded.room > KEPT || coded.failed) {
        mw_text_free(&coded);
    }
    coded.size = 0;
    return &coded;
}

/* A whole message, or its last piece: without the tail, and never empty. */
static bool encode_end(struct mw_encoder *encoder, const char *bytes, size_t size, struct mw_text *text) {
    size_t before = text->size;
    if (size == 0) {
        mw_text_add(text, "", 1); /* the header of a block without data */
        return !text->failed;
    }
    if (!mw_encoder_add(encoder, bytes, size, MW_CODING_SYNC, text) || text->size - before < TAIL) {
        return false;
    }
    text->size -= TAIL;
    return true;
}

static struct mw_encoder *own_encoder(struct mw_ws_deflate *deflate) {
    if (!deflate->encoder) {
        deflate->encoder = mw_encoder_new(MW_CODING_RAW, deflate->level, deflate->own_window);
    }
    return deflate->encoder;
}

static void drop_encoder(struct mw_ws_deflate *deflate) {
    mw_encoder_free(deflate->encoder);
    deflate->encoder = NULL;
}

bool mw_ws_deflate(struct mw_l_websocket *ws, const char *bytes, size_t size, struct mw_text **text) {
    struct mw_ws_deflate *deflate = ws->deflate;
    if (size == 0 || size < deflate->threshold) {
        return false;
    }
    struct mw_encoder *encoder =
        deflate->own_keeps ? own_encoder(deflate) : shared_encoder(deflate->own_window, deflate->level);
    *text = clear();
    bool is_good = encoder && encode_end(encoder, bytes, size, *text);
    if (!deflate->own_keeps && encoder) {
        mw_encoder_reset(encoder);
    } else if (!is_good) {
        drop_encoder(deflate); /* a new one refers to nothing that was lost */
    }
    return is_good;
}

bool mw_ws_deflate_piece(struct mw_l_websocket *ws, const char *bytes, size_t size, bool final, struct mw_text **text) {
    struct mw_ws_deflate *deflate = ws->deflate;
    struct mw_encoder *encoder = own_encoder(deflate);
    *text = clear();
    if (!encoder) {
        return false;
    }
    bool is_good = final ? encode_end(encoder, bytes, size, *text)
                         : size == 0 || mw_encoder_add(encoder, bytes, size, MW_CODING_SYNC, *text);
    if (!is_good || (final && !deflate->own_keeps)) {
        drop_encoder(deflate);
    }
    return is_good;
}

bool mw_ws_deflate_once(const char *bytes, size_t size, int level, struct mw_text *text) {
    struct mw_encoder *encoder = size ? shared_encoder(WIDEST, level) : NULL;
    bool is_good = encoder && encode_end(encoder, bytes, size, text);
    if (encoder) {
        mw_encoder_reset(encoder);
    }
    return is_good;
}

/* What the encoder knows of earlier messages is not what the peer will have before it then: it begins anew. */
bool mw_ws_takes_deflated(struct mw_l_websocket *ws, size_t size) {
    struct mw_ws_deflate *deflate = ws->deflate;
    if (!deflate || size < deflate->threshold || deflate->own_window < WIDEST) {
        return false;
    }
    if (deflate->encoder) {
        mw_encoder_reset(deflate->encoder);
    }
    return true;
}

void mw_ws_deflate_rest(struct mw_l_websocket *ws) {
    if (ws->deflate && ws->output.order.opcode == 0) {
        drop_encoder(ws->deflate);
    }
}

/* --- in --- */

static enum mw_ws_inflation inflation(enum mw_decoding result) {
    switch (result) {
    case MW_DECODING_MORE:
    case MW_DECODING_END: return MW_WS_INFLATED;
    case MW_DECODING_FULL: return MW_WS_TOO_MUCH;
    case MW_DECODING_MEMORY: return MW_WS_NO_MEMORY;
    default: return MW_WS_BAD_DATA;
    }
}

/* The peer may end a stream of zlib's and begin another within a message (section 7.2.3.4 and 7.2.3.5). */
enum mw_ws_inflation mw_ws_inflate(struct mw_l_websocket *ws, const char *bytes, size_t size, size_t most,
                                   size_t *used) {
    struct mw_ws_deflate *deflate = ws->deflate;
    struct mw_text *text = &ws->collected;
    enum mw_decoding result = MW_DECODING_MORE;
    *used = 0;
    if (!deflate->decoder) {
        deflate->decoder = mw_decoder_new(MW_CODING_RAW, deflate->peer_window);
    }
    if (!deflate->decoder) {
        return MW_WS_NO_MEMORY;
    }
    do {
        size_t part;
        result = mw_decoder_add(deflate->decoder, bytes + *used, size - *used, most - text->size, text, &part);
        *used += part;
        if (result == MW_DECODING_END) {
            mw_decoder_reset(deflate->decoder);
        }
    } while (result == MW_DECODING_END && *used < size);
    return inflation(result);
}

enum mw_ws_inflation mw_ws_inflate_end(struct mw_l_websocket *ws, size_t most) {
    struct mw_ws_deflate *deflate = ws->deflate;
    size_t used;
    enum mw_ws_inflation result = mw_ws_inflate(ws, tail, TAIL, most, &used);
    if (!deflate->peer_keeps) {
        mw_decoder_free(deflate->decoder);
        deflate->decoder = NULL;
    }
    return result;
}

void mw_ws_deflate_free(struct mw_ws_deflate *deflate) {
    if (deflate) {
        mw_encoder_free(deflate->encoder);
        mw_decoder_free(deflate->decoder);
        free(deflate);
    }
}
