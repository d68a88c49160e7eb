/* layers: base */
/* The byte queue against the plainest model there is: one long array. */
#include "base/buf.h"
#include "target.h"

#include <string.h>

enum { MODEL_MAX = 256 * 1024, PIECE_MAX = 40 * 1024 };

struct model {
    unsigned char bytes[MODEL_MAX];
    size_t size;
};

static unsigned char piece[PIECE_MAX];

static void compare(const struct model *model, const struct mw_buf *buf) {
    must(mw_buf_size(buf) == model->size);
    must(model->size == 0 || memcmp(mw_buf_bytes(buf), model->bytes, model->size) == 0);
    must(!buf || (buf->start <= buf->end && buf->end <= buf->capacity));
}

static void append(struct mw_buf_pool *pool, struct mw_buf **buf, struct model *model, size_t size) {
    static unsigned char mark;
    if (size > PIECE_MAX || model->size + size > MODEL_MAX) {
        return;
    }
    memset(piece, ++mark, size);
    must(mw_buf_append(pool, buf, piece, size));
    memcpy(model->bytes + model->size, piece, size);
    model->size += size;
}

static void consume(struct mw_buf_pool *pool, struct mw_buf **buf, struct model *model, size_t size) {
    size = size < model->size ? size : model->size;
    mw_buf_consume(pool, buf, size);
    memmove(model->bytes, model->bytes + size, model->size - size);
    model->size -= size;
    must(model->size > 0 || !*buf);
}

/* Room that is asked for may be written to, as reads from a socket do. */
static void fill(struct mw_buf_pool *pool, struct mw_buf **buf, struct model *model, size_t size) {
    if (model->size + size > MODEL_MAX) {
        return;
    }
    must(mw_buf_reserve(pool, buf, size));
    must(size == 0 || mw_buf_room(*buf) >= size);
    if (size > 0) {
        memset((*buf)->data + (*buf)->end, 0xa5, size);
        memset(model->bytes + model->size, 0xa5, size);
        (*buf)->end += size;
        model->size += size;
    } else if (*buf) {
        mw_buf_consume(pool, buf, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct model models[2];
    struct mw_buf *bufs[2] = {NULL, NULL};
    struct mw_buf_pool pool;
    struct input input = {bytes, size};
    mw_buf_pool_init(&pool, input_byte(&input) % 4);
    models[0].size = models[1].size = 0;
    while (input.left > 0) {
        unsigned what = input_byte(&input), which = what >> 7;
        size_t count = what & 0x40 ? input_16(&input) : input_byte(&input);
        switch (what % 4) {
        case 0:
            append(&pool, &bufs[which], &models[which], count);
            break;
        case 1:
            consume(&pool, &bufs[which], &models[which], count);
            break;
        case 2:
            fill(&pool, &bufs[which], &models[which], count);
            break;
        default:
            mw_buf_release(&pool, &bufs[which]);
            models[which].size = 0;
        }
        compare(&models[which], bufs[which]);
        must(pool.count <= pool.limit);
    }
    mw_buf_release(&pool, &bufs[0]);
    mw_buf_release(&pool, &bufs[1]);
    mw_buf_pool_clear(&pool);
    return 0;
}
