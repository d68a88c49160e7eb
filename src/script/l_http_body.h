/* The body of an HTTP message, read by a task from the stream that it arrives on: what the requests of a server and the
 * responses of a client have in common. It is the first member of their userdata, whose metatable has a field
 * `__http_body` that is true. */
#ifndef MW_SCRIPT_L_HTTP_BODY_H
#define MW_SCRIPT_L_HTTP_BODY_H

#include "base/text.h"
#include "proto/http1.h"
#include "script/l_stream.h"

struct mw_l_http_body {
    struct mw_l_stream *stream; /* what it arrives on; NULL: the message is over, nothing can be read any more */
    struct mw_http1_body decoder;
    uint64_t limit; /* bytes that may be read in all; UINT64_MAX: no limit */
    uint64_t length; /* what the head announced, with MW_HTTP1_LENGTH */
    double due;     /* until when the bytes that are waited for must come, see mw_l_http_body_start */
    double begun;   /* when it was first waited for; 0: not yet */
    double rate;    /* bytes a second that must come at least, averaged; 0: any */
    size_t ready;   /* unread bytes of the stream that are decoded data */
    size_t behind;  /* and the framing behind these */
    struct mw_text collected; /* of read_all */
    struct mw_text trailer;   /* field lines */
    bool ended;     /* the decoder has seen the end */
    uint16_t blame; /* the status of what the peer has done wrong, when a fault of it was raised; 0: nothing */
    bool awaits_continue; /* the peer sends the body when it is told to (RFC 9110 section 10.1.1) */
    const char *why; /* the peer broke the rules: what it did; NULL: nothing */
};

/* In place: the body behind that head, whose bytes have been taken from the stream. */
void mw_l_http_body_start(struct mw_l_http_body *body, struct mw_l_stream *stream, const struct mw_http1_head *head);

/* Frees what it has; reading answers "closed" from now on. */
void mw_l_http_body_close(struct mw_l_http_body *body);

/* Takes what has arrived of the rest off the stream, unread. True: it was all of it. */
bool mw_l_http_body_skip(struct mw_l_http_body *body);

/* Whether all of it was read. */
static inline bool mw_l_http_body_is_read(const struct mw_l_http_body *body) {
    return body->ended && body->ready == 0;
}

/* For those who read it in C. Looks for data: its first `ready` bytes are the first unread ones of the stream then.
 * False when nothing can be read: the results that say why are pushed, their number in `*count`. */
bool mw_l_http_body_look(lua_State *L, struct mw_l_http_body *body, int *count);

/* `size` of the ready bytes are done with. */
void mw_l_http_body_consume(struct mw_l_http_body *body, size_t size);

/* The running task waits for more of it and goes on with `k`: `return mw_l_http_body_wait(…)`. */
int mw_l_http_body_wait(lua_State *L, struct mw_l_http_body *body, bool first, lua_KContext context, lua_KFunction k);

/* Nothing more will come: pushes what is wrong with that, and returns the number of results; 0: it is the end of a body
 * that ends so. */
int mw_l_http_body_end(lua_State *L, struct mw_l_http_body *body);

/* body:read_some(max) → data | nil, "eof" | nil, err, code ("timeout", "closed", "reset", "too_large" past the limit,
 * "invalid" when the framing is bad). For the methods of a userdata that begins with the struct and is at index 1. */
int mw_l_http_body_read_some(lua_State *L);
int mw_l_http_body_read_all(lua_State *L);
int mw_l_http_body_chunks(lua_State *L);

/* body:limit_body(bytes | false) */
int mw_l_http_body_limit(lua_State *L);

/* body:trailers() → table, lower-case name → value; empty before the end of the body and without any */
int mw_l_http_body_trailers(lua_State *L);

/* Pushes a table of all fields of a head or trailer section: lower-case names, values of one name joined with ", "
 * (cookies with "; "). */
void mw_l_http_push_fields(lua_State *L, const char *bytes, uint32_t at, uint32_t end);

/* Pushes the joined value of one field, nil when there is none. */
void mw_l_http_push_field(lua_State *L, const char *bytes, uint32_t at, uint32_t end, const char *name, size_t size);

#endif
