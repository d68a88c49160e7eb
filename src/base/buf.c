#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void mw_buf_pool_init(struct mw_buf_pool *pool, unsigned limit) {
    pool->free = NULL;
    pool->count = 0;
    pool->limit = limit;
}

void mw_buf_pool_clear(struct mw_buf_pool *pool) {
    while (pool->free) {
        struct mw_buf *buf = pool->free;
        pool->free = buf->next_free;
        free(buf);
    }
    pool->count = 0;
}

struct mw_buf *mw_buf_new(size_t capacity) {
    if (capacity > SIZE_MAX - sizeof(struct mw_buf)) {
        return NULL;
    }
    struct mw_buf *buf = malloc(sizeof(struct mw_buf) + capacity);
    if (buf) {
        buf->start = buf->end = 0;
        buf->capacity = capacity;
        buf->next_free = NULL;
    }
    return buf;
}

static struct mw_buf *take_standard(struct mw_buf_pool *pool) {
    struct mw_buf *buf = pool->free;
    if (!buf) {
        return mw_buf_new(MW_BUF_STANDARD);
    }
    pool->free = buf->next_free;
    pool->count--;
    buf->next_free = NULL;
    return buf;
}

static void give_back(struct mw_buf_pool *pool, struct mw_buf *buf) {
    if (buf->capacity != MW_BUF_STANDARD || pool->count >= pool->limit) {
        free(buf);
        return;
    }
    buf->start = buf->end = 0;
    buf->next_free = pool->free;
    pool->free = buf;
    pool->count++;
}

/* A buffer for `size` bytes: the standard size, doubled until it is enough. */
static struct mw_buf *take(struct mw_buf_pool *pool, size_t size) {
    if (size <= MW_BUF_STANDARD) {
        return take_standard(pool);
    }
    size_t capacity = MW_BUF_STANDARD;
    while (capacity < size) {
        if (capacity > SIZE_MAX / 2) {
            return NULL;
        }
        capacity *= 2;
    }
    return mw_buf_new(capacity);
}

static void compact(struct mw_buf *buf) {
    memmove(buf->data, buf->data + buf->start, buf->end - buf->start);
    buf->end -= buf->start;
    buf->start = 0;
}

/* Copies into a new buffer instead of realloc: the bytes that were consumed are
 * not copied, and a standard buffer goes back to the pool. */
static bool grow(struct mw_buf_pool *pool, struct mw_buf **buf, size_t size) {
    size_t used = mw_buf_size(*buf);
    if (size > SIZE_MAX - used) {
        return false;
    }
    struct mw_buf *bigger = take(pool, used + size);
    if (!bigger) {
        return false;
    }
    if (*buf) {
        memcpy(bigger->data, mw_buf_bytes(*buf), used);
        bigger->end = used;
        give_back(pool, *buf);
    }
    *buf = bigger;
    return true;
}

bool mw_buf_reserve(struct mw_buf_pool *pool, struct mw_buf **buf, size_t size) {
    if (!*buf) {
        return grow(pool, buf, size);
    }
    if (mw_buf_room(*buf) >= size) {
        return true;
    }
    if ((*buf)->capacity - mw_buf_size(*buf) >= size) {
        compact(*buf);
        return true;
    }
    return grow(pool, buf, size);
}

bool mw_buf_append(struct mw_buf_pool *pool, struct mw_buf **buf, const void *bytes, size_t size) {
    if (size == 0) {
        return true;
    }
    if (!mw_buf_reserve(pool, buf, size)) {
        return false;
    }
    memcpy((*buf)->data + (*buf)->end, bytes, size);
    (*buf)->end += size;
    return true;
}

void mw_buf_consume(struct mw_buf_pool *pool, struct mw_buf **buf, size_t size) {
    if (!*buf) {
        return;
    }
    (*buf)->start += size;
    if ((*buf)->start == (*buf)->end) {
        mw_buf_release(pool, buf);
    }
}

void mw_buf_release(struct mw_buf_pool *pool, struct mw_buf **buf) {
    if (*buf) {
        give_back(pool, *buf);
        *buf = NULL;
    }
}
