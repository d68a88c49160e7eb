/* layers: net loop base */
/* Two streams in memory: bytes written in any pieces arrive in any cuts, all of
 * them, in order, and the end and the counters tell the truth. */
#include "net/stream.h"
#include "target.h"

#include <errno.h>
#include <string.h>

enum { WRITTEN_MAX = 1024 * 1024, PIECE_MAX = 70 * 1024 };

/* One end, and what it should have received of the endless pattern by now. */
struct end {
    struct mw_stream *stream;
    size_t written, received;
    bool ended, lazy;
    size_t wanted;
};

static char pattern(size_t position) {
    return (char)(position * 7 + position / 251);
}

static void take(struct end *end, size_t most) {
    size_t size;
    const char *bytes = mw_stream_unread(end->stream, &size);
    size = size < most ? size : most;
    for (size_t i = 0; i < size; i++) {
        must(bytes[i] == pattern(end->received + i));
    }
    if (size > 0) {
        mw_stream_take(end->stream, size);
        end->received += size;
    }
}

static void on_readable(void *owner) {
    struct end *end = owner;
    size_t size;
    mw_stream_unread(end->stream, &size);
    if (!end->lazy && size >= end->wanted) {
        take(end, size);
    }
}

static void on_writable(void *owner) {
    struct end *end = owner;
    must(mw_stream_pending(end->stream) <= mw_stream_marks(end->stream)->low);
}

static const struct mw_stream_events events = {.on_readable = on_readable, .on_writable = on_writable};

static void write_piece(struct end *end, size_t size) {
    static char bytes[PIECE_MAX];
    size = size * 3 % PIECE_MAX;
    if (size == 0 || end->written + size > WRITTEN_MAX) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern(end->written + i);
    }
    struct iovec pieces[2] = {{bytes, size / 3}, {bytes + size / 3, size - size / 3}};
    int error = size % 2 ? mw_stream_queue(end->stream, bytes, size)
                         : mw_stream_queue_pieces(end->stream, pieces, 2);
    must(error == (end->ended ? ESHUTDOWN : 0) || error == ENOBUFS);
    end->written += error ? 0 : size;
}

static void step(struct mw_net *net, struct end *end, struct input *input) {
    unsigned what = input_byte(input);
    switch (what % 8) {
    case 0:
    case 1:
        write_piece(end, input_16(input));
        break;
    case 2:
        mw_net_flush(net);
        ev_run(mw_loop_ev(net->loop), EVRUN_NOWAIT);
        break;
    case 3:
        take(end, input_16(input));
        break;
    case 4:
        end->wanted = input_16(input);
        mw_stream_await_input(end->stream, end->wanted);
        break;
    case 5:
        end->lazy = what & 0x40;
        break;
    case 6:
        mw_stream_await_output(end->stream, mw_stream_marks(end->stream)->low);
        break;
    default:
        must(mw_stream_flush(end->stream) == 0);
        if (what > 0xf0) {
            must(mw_stream_shutdown(end->stream) == 0);
            end->ended = true;
        }
    }
}

static bool is_over(const struct end *end, const struct end *other) {
    return end->received == other->written && mw_stream_at_end(end->stream) == other->ended;
}

/* Reads all that was written, and the end when there is one. */
static void finish(struct mw_net *net, struct end ends[2]) {
    for (int i = 0; i < 2; i++) {
        ends[i].lazy = false;
        ends[i].wanted = 1;
        take(&ends[i], SIZE_MAX);
        mw_stream_await_input(ends[i].stream, 1);
    }
    for (int turn = 0; turn < 200 && !(is_over(&ends[0], &ends[1]) && is_over(&ends[1], &ends[0])); turn++) {
        mw_net_flush(net);
        ev_run(mw_loop_ev(net->loop), EVRUN_NOWAIT);
    }
    for (int i = 0; i < 2; i++) {
        struct mw_stream_counters counters;
        mw_stream_count(ends[i].stream, &counters);
        must(ends[i].received == ends[!i].written && counters.received == ends[i].received);
        must(counters.sent == ends[i].written && mw_stream_pending(ends[i].stream) == 0);
        must(mw_stream_at_end(ends[i].stream) == ends[!i].ended);
        must(mw_stream_input_fault(ends[i].stream) == 0 && mw_stream_output_fault(ends[i].stream) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct mw_loop *loop;
    static struct mw_net *net;
    struct input input = {bytes, size};
    struct mw_stream *streams[2];
    struct end ends[2] = {{.wanted = 1}, {.wanted = 1}};
    if (!net) {
        loop = mw_loop_new();
        net = mw_net_new(loop);
        must(net != NULL);
    }
    must(mw_stream_new_memory(net, streams));
    for (int i = 0; i < 2; i++) {
        ends[i].stream = streams[i];
        mw_stream_set_owner(streams[i], &events, &ends[i]);
    }
    while (input.left > 0) {
        step(net, &ends[input_byte(&input) & 1], &input);
    }
    finish(net, ends);
    mw_stream_abort(streams[0]);
    mw_stream_abort(streams[1]);
    must(net->streams == 0);
    return 0;
}
