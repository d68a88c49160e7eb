/* The inside of a WebSocket, for the files that are its parts. */
#ifndef MW_SCRIPT_L_WEBSOCKET_INTERNAL_H
#define MW_SCRIPT_L_WEBSOCKET_INTERNAL_H

#include "base/text.h"
#include "base/utf8.h"
#include "proto/coding.h"
#include "proto/wsframe.h"
#include "script/l_stream.h"

/* permessage-deflate (RFC 7692), as negotiated. Coders exist from their first use on. */
struct mw_ws_deflate {
    struct mw_encoder *encoder;
    struct mw_decoder *decoder;
    uint32_t threshold;             /* bytes of a message that is worth it */
    uint8_t own_window, peer_window; /* bits, 9 to 15 */
    uint8_t level;                  /* 1 to 9 */
    bool own_keeps, peer_keeps;     /* the context, from message to message */
};

/* A message that comes or goes. */
struct mw_ws_message {
    struct mw_wsmessage order;
    struct mw_utf8_check utf8; /* of a text */
};

enum mw_ws_state {
    MW_WS_OPEN,
    MW_WS_CLOSING, /* our close frame was sent */
    MW_WS_CLOSED,
};

/* Seconds and bytes. */
struct mw_ws_limits {
    double ping_interval, ping_timeout; /* MW_TIMER_NEVER: no pings of our own */
    double close_timeout;
    size_t message;  /* that `receive` takes */
    uint32_t frames; /* of one message */
};

struct mw_l_websocket {
    const void *type;
    struct mw_l_stream *stream;  /* lives as long: it is user value STREAM */
    struct mw_resource resource; /* closes before the stream does */
    struct mw_wsframe_rules rules;
    struct mw_ws_limits limits;
    struct mw_ws_deflate *deflate; /* NULL: not negotiated */
    uint8_t state;                 /* enum mw_ws_state */
    uint16_t close_code;           /* once it is closed; 0: open */
    bool is_client;
    bool in_frame; /* the payload of `frame` is being taken */
    bool pinged;   /* by us, and nothing has come since */
    bool parks;    /* the checkpoint of the stream is one of ours, and no message has come since */
    struct mw_wsframe frame;
    uint64_t done;               /* bytes of its payload that were taken */
    struct mw_ws_message input;
    struct mw_ws_message output; /* that is sent in pieces */
    struct mw_text collected;    /* what has come of the message */
    struct mw_text protocol;     /* that was agreed on */
    struct mw_task *closer;      /* awaits the end while another task receives; NULL: nobody */
    double heard, due;           /* moments: the last sign of the peer, the end of the present wait */
};

/* User values. */
enum { MW_WS_STREAM = 1, MW_WS_REASON, MW_WS_VALUES = MW_WS_REASON };

/* --- l_websocket.c --- */

/* The one at index 1 (or another); raises for anything else. */
struct mw_l_websocket *mw_ws_check(lua_State *L, int index);
struct mw_l_websocket *mw_ws_test(lua_State *L, int index); /* NULL for anything else */

/* Pushes a new one over the stream at `stream`, of the settings of `like`, without contexts. */
struct mw_l_websocket *mw_ws_push(lua_State *L, int stream, const struct mw_l_websocket *like);

/* It is over: the stream closes, its output still leaves. */
void mw_ws_end(struct mw_l_websocket *ws, unsigned code);

/* Frees buffers and contexts. */
void mw_ws_free(struct mw_l_websocket *ws);

static inline bool mw_ws_is_over(const struct mw_l_websocket *ws) {
    return ws->state == MW_WS_CLOSED || !ws->stream->stream;
}

/* --- l_websocket_frames.c: from unread bytes to messages --- */

/* What is made of a message. */
enum mw_ws_mode { MW_WS_WHOLE, MW_WS_PIECES, MW_WS_NOTHING };

enum mw_ws_event {
    MW_WS_MORE,    /* more bytes are needed */
    MW_WS_MESSAGE, /* one, or a piece of one, was pushed */
    MW_WS_END,     /* the peer has closed */
    MW_WS_FAILED,  /* we have, for what the peer did */
};

/* What one look at the unread bytes has found. */
struct mw_ws_glance {
    enum mw_ws_mode mode;
    uint8_t opcode;   /* of the message */
    bool final;       /* the piece is its last */
    bool was_pinged;  /* and owes an answer with the payload of the last ping */
    uint8_t pong_size;
    const char *why;  /* of a failure */
    const char *code; /* and its word for scripts */
    char pong[MW_WSFRAME_CONTROL];
};

/* The WebSocket is at index 1. */
enum mw_ws_event mw_ws_advance(lua_State *L, struct mw_l_websocket *ws, struct mw_ws_glance *glance);

/* Queues the pong that is owed, if one is. */
void mw_ws_answer_ping(struct mw_l_websocket *ws, struct mw_ws_glance *glance);

/* --- l_websocket_read.c --- */
int mw_l_websocket_receive(lua_State *L);
int mw_l_websocket_receive_some(lua_State *L);
int mw_l_websocket_messages(lua_State *L);
int mw_l_websocket_close(lua_State *L);

/* --- l_websocket_write.c --- */
int mw_l_websocket_send(lua_State *L);
int mw_l_websocket_try_send(lua_State *L);
int mw_l_websocket_write(lua_State *L);
int mw_l_websocket_finish(lua_State *L);
int mw_l_websocket_flush(lua_State *L);
int mw_l_websocket_ping(lua_State *L);

/* Queues a frame that stands for itself: `*frame` says all but size and mask. 0 or errno. */
int mw_ws_queue(struct mw_l_websocket *ws, struct mw_wsframe *frame, const char *bytes, size_t size);

/* Queues a control frame, unless the peer does not read: it is dropped then. */
void mw_ws_queue_control(struct mw_l_websocket *ws, uint8_t opcode, const char *bytes, size_t size);

/* Queues the close frame, if none was sent. */
void mw_ws_queue_close(struct mw_l_websocket *ws, unsigned code, const char *reason, size_t size);

/* Queues a whole message of the caller's. NULL, or the word for why not: "closed", "busy", "too_large", "reset". */
const char *mw_ws_post(struct mw_l_websocket *ws, uint8_t opcode, const char *bytes, size_t size);

/* The word for why no message can be sent now; NULL: it can. `waits`: also while the peer is slow. */
const char *mw_ws_obstacle(struct mw_l_websocket *ws, bool waits);

/* The word for an errno of the queue; NULL for 0. */
const char *mw_ws_word(int error);

/* The opcode for the kind of a message, "text" or "binary", at `index`; nil is text. */
uint8_t mw_ws_check_kind(lua_State *L, int index);

/* Raises unless the bytes at `index` are UTF-8. */
void mw_ws_check_text(lua_State *L, int index, uint8_t opcode);

/* --- l_websocket_frame.c: messages that are encoded once and sent to many --- */

struct mw_ws_prepared;
struct mw_ws_prepared *mw_ws_test_prepared(lua_State *L, int index);
const char *mw_ws_post_prepared(struct mw_l_websocket *ws, struct mw_ws_prepared *prepared);
void mw_l_websocket_frame_open(lua_State *L); /* to the table on top: frame and broadcast */

/* --- l_websocket_deflate.c --- */

/* What decoding a part of a message has come to. */
enum mw_ws_inflation { MW_WS_INFLATED, MW_WS_TOO_MUCH, MW_WS_BAD_DATA, MW_WS_NO_MEMORY };

/* Decodes all of the bytes to the end of `collected`, which gets no larger than `most`, or stops at that: `*used` says
 * where. */
enum mw_ws_inflation mw_ws_inflate(struct mw_l_websocket *ws, const char *bytes, size_t size, size_t most,
                                   size_t *used);

/* The message is whole. */
enum mw_ws_inflation mw_ws_inflate_end(struct mw_l_websocket *ws, size_t most);

/* Whether a whole message of that size is to be compressed; if so, `*text` is its payload until the next call for any
 * WebSocket. */
bool mw_ws_deflate(struct mw_l_websocket *ws, const char *bytes, size_t size, struct mw_text **text);

/* The same for a piece of a message; `final`: the last one. */
bool mw_ws_deflate_piece(struct mw_l_websocket *ws, const char *bytes, size_t size, bool final, struct mw_text **text);

/* A payload that any peer with the widest window can decode: appended to `text`. False when memory is out. */
bool mw_ws_deflate_once(const char *bytes, size_t size, int level, struct mw_text *text);

/* Whether such a payload may be sent; it is about to be. */
bool mw_ws_takes_deflated(struct mw_l_websocket *ws, size_t size);

/* Nothing was sent for long: the encoder can begin anew. */
void mw_ws_deflate_rest(struct mw_l_websocket *ws);
void mw_ws_deflate_free(struct mw_ws_deflate *deflate);

/* --- l_websocket_checkpoint.c --- */
int mw_l_websocket_checkpoint(lua_State *L);

/* The task is about to wait in `receive`, `first` or once more: the checkpoint made before holds on. */
void mw_ws_park(struct mw_l_websocket *ws, const struct mw_task *task, bool first);

/* --- l_websocket_wrap.c --- */
int mw_l_websocket_wrap(lua_State *L);
int mw_l_websocket_parse_response(lua_State *L);
int mw_l_websocket_is_field(lua_State *L);

#endif
