/* A byte queue on the heap that exists only while it holds bytes. Its owner
 * keeps one pointer, NULL when there is nothing: an idle connection costs no
 * buffer. Buffers of the standard size come from a pool and go back to it, so
 * that the exchange of small messages allocates nothing. */
#ifndef MW_BASE_BUF_H
#define MW_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

enum { MW_BUF_STANDARD = 16 * 1024 }; /* capacity of a pooled buffer, bytes */

struct mw_buf {
    size_t start, end, capacity; /* unread bytes are data[start..end) */
    struct mw_buf *next_free;    /* in the pool's free list */
    char data[];
};

/* The standard buffers that wait to be used again, at most `limit` of them. */
struct mw_buf_pool {
    struct mw_buf *free;
    unsigned count, limit;
};

void mw_buf_pool_init(struct mw_buf_pool *pool, unsigned limit);
void mw_buf_pool_clear(struct mw_buf_pool *pool);

/* A buffer outside any pool, empty, for a caller that keeps it for good (the
 * scratch buffer of a worker). NULL when memory is out. Freed with free(). */
struct mw_buf *mw_buf_new(size_t capacity);

static inline size_t mw_buf_size(const struct mw_buf *buf) {
    return buf ? buf->end - buf->start : 0;
}

static inline const char *mw_buf_bytes(const struct mw_buf *buf) {
    return buf->data + buf->start;
}

/* Makes room for `size` more bytes at the end: `*buf` may move, and is created
 * when NULL. False when memory is out; what is queued stays as it is. */
bool mw_buf_reserve(struct mw_buf_pool *pool, struct mw_buf **buf, size_t size);

/* The room behind the last byte, as left by mw_buf_reserve. */
static inline size_t mw_buf_room(const struct mw_buf *buf) {
    return buf->capacity - buf->end;
}

/* Appends a copy of `size` bytes from outside of `*buf`. False when memory is
 * out; nothing is queued then. */
bool mw_buf_append(struct mw_buf_pool *pool, struct mw_buf **buf, const void *bytes, size_t size);

/* Forgets the first `size` bytes, which must be there; releases `*buf` (NULL
 * after) when none is left. A size of 0 releases what was reserved for nothing. */
void mw_buf_consume(struct mw_buf_pool *pool, struct mw_buf **buf, size_t size);

/* Gives the buffer back with whatever it holds; `*buf` is NULL after. */
void mw_buf_release(struct mw_buf_pool *pool, struct mw_buf **buf);

#endif
