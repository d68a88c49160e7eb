/* Streams for scripts: the userdata that a connection handler gets. */
#ifndef MW_SCRIPT_L_STREAM_H
#define MW_SCRIPT_L_STREAM_H

#include "base/addr.h"
#include "net/stream.h"
#include "script/task.h"

/* Settings that many streams share: counted references. */
struct mw_l_profile {
    struct mw_stream_marks marks;
    double read_timeout, write_timeout; /* seconds for one call; MW_TIMER_NEVER: none */
    struct mw_tls_settings *tls; /* of a server that begins TLS in mid-stream, held; NULL: none */
    unsigned references;
};

/* What else has a say in a stream: the protocol that has lent it to its task. */
struct mw_l_stream;
struct mw_l_stream_role {
    /* Bytes came that nobody reads, the end, or a fault. */
    void (*on_unread)(struct mw_l_stream *stream);
    /* The task has ended; `ok`: by returning. Whatever owns the stream takes it back. */
    void (*on_left)(struct mw_l_stream *stream, struct mw_task *task, bool ok);
    /* What the log calls the present exchange. */
    uint64_t (*id)(struct mw_l_stream *stream);
};

/* Who has opened a connection to whom. */
enum mw_l_stream_origin { MW_L_STREAM_OTHER, MW_L_STREAM_ACCEPTED, MW_L_STREAM_CONNECTED };

struct mw_l_stream {
    const void *type;         /* tells our userdata from others */
    struct mw_stream *stream; /* NULL once closed */
    struct mw_task *reader, *writer;
    struct mw_l_profile *profile;
    struct mw_resource resource;
    double read_due; /* when the present read times out */
    bool is_of_child; /* a pipe to a process, or a pool's: the collector closes it without a word */
    uint8_t origin;   /* enum mw_l_stream_origin */
    char *host;       /* what a client has connected to; NULL: nothing, or no longer known */
    struct mw_endpoint peer;
    struct mw_task *task;             /* that serves it as a connection; NULL: none */
    struct mw_checkpoint *checkpoint; /* see l_checkpoint; NULL: there never was one */
    const struct mw_l_stream_role *role; /* NULL: it is all the task's */
};

/* Registers the type. */
void mw_l_stream_open(lua_State *L);

/* Pushes the userdata of a stream that is still to come: a closed one. */
struct mw_l_stream *mw_l_stream_push(lua_State *L);

/* Opens it: the transport is its own from now on. It belongs to no task yet. */
void mw_l_stream_hold(struct mw_l_stream *stream, struct mw_stream *transport, const struct mw_addr *peer,
                      struct mw_l_profile *profile);

/* The userdata of a transport that a script holds; NULL: it is nobody's or another's. */
struct mw_l_stream *mw_l_stream_of(const struct mw_stream *transport);

/* Closes it, from outside of the script, which finds it closed; what it has written still leaves. */
void mw_l_stream_close(struct mw_l_stream *stream);

/* Closes it at once with a reset, from outside of the script, which finds it closed. */
void mw_l_stream_abort(struct mw_l_stream *stream);

/* Hands the transport of `from`, with peer and settings, to `to`, which is closed. Nobody waits in `from`,
 * which is closed after. */
void mw_l_stream_pass(struct mw_l_stream *from, struct mw_l_stream *to);

/* The stream userdata at `index`; raises for anything else. It may be closed. */
struct mw_l_stream *mw_l_stream_check(lua_State *L, int index);

/* Writes the name of its peer for log and messages: "10.0.0.1:25". */
const char *mw_l_stream_name(const struct mw_l_stream *stream, char *text, size_t size);

/* Pushes nil, err, code for a fault of an operation on the stream. */
int mw_l_stream_push_fault(lua_State *L, const struct mw_l_stream *stream, const char *operation, int error);

/* The profile that options at `index` ask for (the keys below), based on
 * `base`: one more reference to it, or a new one. */
#define MW_L_PROFILE_OPTIONS "read_timeout", "write_timeout", "input_mark", "high_mark", "low_mark", "queue_limit"
struct mw_l_profile *mw_l_profile_options(lua_State *L, int index, struct mw_l_profile *base);
/* The same settings with what a server says of TLS, which is held; `base` is released. Raises when memory is out, and then
 * it is the caller's still. */
struct mw_l_profile *mw_l_profile_with_tls(lua_State *L, struct mw_l_profile *base, struct mw_tls_settings *tls);
void mw_l_profile_release(struct mw_l_profile *profile);
extern struct mw_l_profile mw_l_profile_default;

/* The reading and writing methods, in files of their own. */
int mw_l_stream_read(lua_State *L);
int mw_l_stream_read_some(lua_State *L);
int mw_l_stream_read_line(lua_State *L);
int mw_l_stream_read_until(lua_State *L);
int mw_l_stream_read_all(lua_State *L);
int mw_l_stream_peek(lua_State *L);
int mw_l_stream_peek_some(lua_State *L);
int mw_l_stream_lines(lua_State *L);
int mw_l_stream_chunks(lua_State *L);
int mw_l_stream_write(lua_State *L);
int mw_l_stream_try_write(lua_State *L);
int mw_l_stream_flush(lua_State *L);
int mw_l_stream_shutdown_write(lua_State *L);

/* Events of the stream: wake who waits. */
void mw_l_stream_on_readable(void *owner);
void mw_l_stream_on_writable(void *owner);

#endif
