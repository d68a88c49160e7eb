/* WebSocket frames as bytes (RFC 6455), and the rules for messages that are made of them. Strict: what the RFC says an
 * endpoint must not send is refused. Nothing is allocated. */
#ifndef MW_PROTO_WSFRAME_H
#define MW_PROTO_WSFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_wsframe_opcode {
    MW_WSFRAME_CONTINUATION = 0,
    MW_WSFRAME_TEXT = 1,
    MW_WSFRAME_BINARY = 2,
    MW_WSFRAME_CLOSE = 8,
    MW_WSFRAME_PING = 9,
    MW_WSFRAME_PONG = 10,
};

enum {
    MW_WSFRAME_HEADER = 14,   /* bytes of a header at most */
    MW_WSFRAME_CONTROL = 125, /* bytes of a control frame's payload at most */
    MW_WSFRAME_REASON = 123,  /* and of the reason in a close frame */
};

/* What a close frame says (section 7.4.1). Two of them are never sent. */
enum {
    MW_WSFRAME_NORMAL = 1000,
    MW_WSFRAME_GOING_AWAY = 1001,
    MW_WSFRAME_PROTOCOL_ERROR = 1002,
    MW_WSFRAME_NO_CODE = 1005, /* the close frame had none */
    MW_WSFRAME_ABNORMAL = 1006, /* the connection ended without one */
    MW_WSFRAME_INVALID_DATA = 1007,
    MW_WSFRAME_TOO_BIG = 1009,
    MW_WSFRAME_INTERNAL_ERROR = 1011,
};

/* --- receiving --- */

/* What was agreed on with the peer. */
struct mw_wsframe_rules {
    bool masked;   /* it is a client: it must mask, and a server must not */
    bool deflated; /* permessage-deflate: messages may be compressed (RFC 7692) */
};

/* A frame without its payload. */
struct mw_wsframe {
    uint64_t size; /* of the payload, below 2^63 */
    unsigned char mask[4]; /* zero when it is not masked */
    uint8_t header; /* bytes of the header itself */
    uint8_t opcode;
    bool final, compressed;
};

enum mw_wsframe_result {
    MW_WSFRAME_BAD = -1, /* a protocol error: the connection fails with 1002 */
    MW_WSFRAME_MORE,     /* more bytes are needed */
    MW_WSFRAME_DONE,
};

/* Reads the header at the front of the bytes, among them those of earlier calls. Each byte is judged as soon as it is
 * there; `*why` says what is wrong. */
enum mw_wsframe_result mw_wsframe_parse(struct mw_wsframe *frame, const char *bytes, size_t size,
                                        const struct mw_wsframe_rules *rules, const char **why);

static inline bool mw_wsframe_is_control(const struct mw_wsframe *frame) {
    return frame->opcode >= MW_WSFRAME_CLOSE;
}

/* The message under way, zeroed when there is none. */
struct mw_wsmessage {
    uint8_t opcode; /* MW_WSFRAME_TEXT or MW_WSFRAME_BINARY; 0: none */
    bool compressed;
    uint32_t frames; /* so far */
};

/* The next data frame, in order: it begins a message when none is under way, or continues it. False when it must not
 * come now, with `*why`: a protocol error. The caller zeroes `message` behind a final frame. */
bool mw_wsmessage_add(struct mw_wsmessage *message, const struct mw_wsframe *frame, const char **why);

/* Applies the mask, which also takes it off, to the bytes of a payload from `offset` on. `to` may be `from`. */
void mw_wsframe_mask(char *to, const char *from, size_t size, const unsigned char mask[4], uint64_t offset);

/* Reads the payload of a close frame. The result is 0, or the code that the connection fails with (1002, 1007) and
 * `*why`. `*code` is MW_WSFRAME_NO_CODE without one; the reason is what follows the first two bytes. */
unsigned mw_wsframe_read_close(const char *payload, size_t size, unsigned *code, const char **why);

/* Whether a close frame may have that code. */
bool mw_wsframe_is_code(unsigned code);

/* --- sending --- */

/* Writes the header that `frame` says and returns its length; `masked`: with its mask. */
size_t mw_wsframe_write_header(char header[MW_WSFRAME_HEADER], const struct mw_wsframe *frame, bool masked);

/* Writes the payload of a close frame, `size` bytes of a reason in it, at most MW_WSFRAME_REASON. Its length. */
size_t mw_wsframe_write_close(char payload[MW_WSFRAME_CONTROL], unsigned code, const char *reason, size_t size);

#endif
