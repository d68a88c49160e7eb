/* layers: net loop base */
/* A handshake that somebody meddles with: bytes from nowhere come to a server or a client, or those between the two are
 * cut, changed, or said twice. Whatever comes, on_done is called once or the connection waits for more, and nothing is
 * left in the end.
 *   one byte: 0 to the server, 1 to the client, 2 and 3 between them; what follows is the bytes, or the orders */
#include "net/stream.h"
#include "net/tls.h"
#include "net/tls_development.h"
#include "target.h"

#include <string.h>

struct end {
    struct mw_stream *stream, *far; /* `far` is where its transport leads */
    struct mw_tls_context *context;
    int done;
    bool failed;
};

static struct mw_loop *loop;
static struct mw_net *net;
static struct mw_tls_context *contexts[2]; /* of the client, of the server */

static void on_done(void *owner, const struct mw_fault *fault) {
    struct end *end = owner;
    end->done++;
    end->failed = fault != NULL;
    must(!fault || (fault->code && fault->message[0]));
}

static void on_readable(void *owner) {
    struct end *end = owner;
    size_t size;
    must(end->done == 1);
    if (mw_stream_unread(end->stream, &size)) {
        mw_stream_take(end->stream, size);
    }
}

static const struct mw_stream_events events = {.on_readable = on_readable};

static void prepare(void) {
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    struct mw_tls_development development;
    struct mw_fault fault;
    must((loop = mw_loop_new()) != NULL && (net = mw_net_new(loop)) != NULL);
    must(mw_tls_development_make(&development, &fault));
    struct mw_tls_pair pair = {.certificate = development.certificate,
                               .certificate_size = development.certificate_size,
                               .key = development.key,
                               .key_size = development.key_size};
    struct mw_tls_rules rules = {.server = true, .pairs = &pair, .pair_count = 1, .protocols = protocols};
    must((contexts[1] = mw_tls_context_new(&rules, &fault)) != NULL);
    rules = (struct mw_tls_rules){.verify = MW_TLS_VERIFY_REQUIRED,
                                  .authorities = development.certificate,
                                  .authorities_size = development.certificate_size,
                                  .protocols = protocols};
    must((contexts[0] = mw_tls_context_new(&rules, &fault)) != NULL);
    mw_tls_development_free(&development);
}

static void open_end(struct end *end, struct mw_tls_context *context) {
    struct mw_stream *streams[2];
    struct mw_fault fault;
    must(mw_stream_new_memory(net, streams));
    *end = (struct end){.stream = streams[0], .far = streams[1], .context = context};
    mw_stream_set_owner(end->stream, &events, end);
    struct mw_tls_handshake handshake = {
        .server_name = "localhost", .timeout = MW_TIMER_NEVER, .on_done = on_done, .owner = end};
    must(mw_tls_start(end->stream, context, &handshake, &fault));
}

static void close_end(struct end *end) {
    must(end->done <= 1);
    must(end->done || mw_tls_is_on(end->stream));
    mw_tls_cancel(end->stream);
    mw_stream_close(end->stream, 0);
    mw_stream_abort(end->far);
}

static void turn(void) {
    mw_net_flush(net);
    ev_run(mw_loop_ev(loop), EVRUN_NOWAIT);
    ev_run(mw_loop_ev(loop), EVRUN_NOWAIT);
}

static void send_bytes(struct mw_stream *far, const uint8_t *bytes, size_t size) {
    mw_stream_queue(far, (const char *)bytes, size);
    mw_stream_flush(far);
}

/* All of the input comes to one end, in pieces of a size that it says itself. */
static void talk_to(struct mw_tls_context *context, struct input *input) {
    struct end end;
    open_end(&end, context);
    turn();
    size_t piece = 1 + input_byte(input) * 8, taken;
    while (input->left > 0) {
        const uint8_t *bytes = input_take(input, piece, &taken);
        send_bytes(end.far, bytes, taken);
        turn();
        size_t size;
        if (mw_stream_unread(end.far, &size)) {
            mw_stream_take(end.far, size);
        }
    }
    turn();
    close_end(&end);
}

/* Takes what one end has said and gives it to the other, as the order says. */
static void pass(struct mw_stream *from, struct mw_stream *to, unsigned order, struct input *input) {
    static uint8_t bytes[70 * 1024];
    size_t size;
    const char *unread = mw_stream_unread(from, &size);
    if (!unread) {
        return;
    }
    size = size < sizeof bytes ? size : sizeof bytes;
    memcpy(bytes, unread, size);
    size_t at = input_16(input) % size;
    switch (order % 8) {
    case 0:
        bytes[at] ^= (uint8_t)(1U << (order >> 5));
        break;
    case 1:
        size = at + 1; /* the rest comes later */
        break;
    case 2:
        send_bytes(to, bytes, at); /* and a part of it twice */
        break;
    default:
        break;
    }
    mw_stream_take(from, size);
    send_bytes(to, bytes, size);
}

static void meddle(struct input *input) {
    struct end ends[2];
    open_end(&ends[0], contexts[0]);
    open_end(&ends[1], contexts[1]);
    for (int i = 0; i < 16 || input->left > 0; i++) {
        unsigned order = input->left ? input_byte(input) : 7;
        turn();
        pass(ends[0].far, ends[1].far, order, input);
        turn();
        pass(ends[1].far, ends[0].far, order >> 3, input);
        if (order == 6) {
            mw_stream_queue(ends[0].stream, "hello", 5);
            mw_stream_queue(ends[1].stream, "hello", 5);
        }
    }
    turn();
    close_end(&ends[0]);
    close_end(&ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input input = {bytes, size};
    if (!net) {
        prepare();
    }
    unsigned what = input_byte(&input) % 4;
    if (what < 2) {
        talk_to(contexts[!what], &input);
    } else {
        meddle(&input);
    }
    turn();
    must(net->streams == 0);
    return 0;
}
