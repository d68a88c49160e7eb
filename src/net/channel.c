#include "net/channel.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A message is its length (4 bytes, as the machine has them), its kind, its number of descriptors, and its
 * bytes. */
enum { HEADER = 6, PIECES = 16, READ_LEAST = 64 * 1024, ROOM_KEPT = 512 * 1024 };

/* A message, or the rest of one, that waits for the kernel. */
struct packet {
    struct packet *next;
    size_t size;
    int count;   /* of descriptors that are still to go, and ours */
    char *bytes; /* behind the descriptors */
    int descriptors[];
};

/* Descriptors that came with the bytes `from` to `to` of all that were received. The
 * kernel ends a read behind the piece that has some, so there is one batch a read,
 * and the message that it belongs to begins within. */
struct batch {
    struct batch *next;
    uint64_t from, to;
    int count;
    int descriptors[];
};

struct mw_channel {
    ev_io input, output;
    struct mw_loop *loop;
    int fd;
    const struct mw_channel_events *events;
    void *owner;
    struct packet *packets, **last_packet; /* the place of the next one */
    size_t pending;
    struct batch *batches;
    char *in; /* what was received, from `at` on yet to be delivered */
    size_t at, size, room;
    uint64_t received; /* so far */
    char *lent;        /* the buffer of which the owner has a message just now: not to be moved */
    unsigned calls;    /* that are under way, and end after the last callback */
    bool mute;         /* nobody reads what is sent */
    bool over;         /* nothing more will be received */
    bool ended;        /* and the owner knows */
    bool closed;
};

struct head {
    uint32_t length;
    uint8_t kind, count;
};

bool mw_channel_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
}

static void close_all(const int *descriptors, int count) {
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

/* --- the end --- */

static void drop_packet(struct mw_channel *channel) {
    struct packet *packet = channel->packets;
    channel->pending -= packet->size;
    channel->packets = packet->next;
    if (!channel->packets) {
        channel->last_packet = &channel->packets;
    }
    close_all(packet->descriptors, packet->count);
    free(packet);
}

static void fall_mute(struct mw_channel *channel) {
    channel->mute = true;
    ev_io_stop(mw_loop_ev(channel->loop), &channel->output);
    while (channel->packets) {
        drop_packet(channel);
    }
}

static void stop(struct mw_channel *channel) {
    channel->ended = true;
    fall_mute(channel);
    ev_io_stop(mw_loop_ev(channel->loop), &channel->input);
    while (channel->batches) {
        struct batch *batch = channel->batches;
        channel->batches = batch->next;
        close_all(batch->descriptors, batch->count);
        free(batch);
    }
}

/* `why` when there is more to say than that the other end is gone. */
static void end(struct mw_channel *channel, const char *why) {
    if (why) {
        mw_log(MW_LOG_ERROR, "a channel between processes has ended: %s", why);
    }
    stop(channel);
    channel->events->on_end(channel->owner);
}

static void enter(struct mw_channel *channel) {
    channel->calls++;
}

/* The memory of a channel lasts until the last call that is under way has ended. */
static void leave(struct mw_channel *channel) {
    channel->calls--;
    if (channel->closed && channel->calls == 0) {
        free(channel->in);
        free(channel);
    } else if (channel->at == channel->size && channel->in != channel->lent && channel->room > ROOM_KEPT) {
        free(channel->in);
        channel->in = NULL;
        channel->at = channel->size = channel->room = 0;
    }
}

void mw_channel_close(struct mw_channel *channel) {
    enter(channel);
    stop(channel);
    close(channel->fd);
    channel->closed = true;
    leave(channel);
}

/* --- sending --- */

/* The bytes that the kernel took; -1 and errno. */
static ssize_t send_pieces(int fd, struct iovec *pieces, size_t count, const int *descriptors,
                           int descriptor_count) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(MW_CHANNEL_DESCRIPTORS * sizeof(int))];
    } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    if (descriptor_count > 0) {
        size_t size = (size_t)descriptor_count * sizeof(int);
        control.head.cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(&control.head), descriptors, size);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* What the first packets still have to send, up to one that has descriptors: those go with the first byte of
 * a call. */
static size_t gather(const struct mw_channel *channel, struct iovec *pieces) {
    size_t count = 0;
    for (const struct packet *packet = channel->packets; packet && count < PIECES; packet = packet->next) {
        if (count > 0 && packet->count > 0) {
            break;
        }
        pieces[count++] = (struct iovec){packet->bytes, packet->size};
    }
    return count;
}

static void note_sent(struct mw_channel *channel, size_t sent) {
    while (sent > 0) {
        struct packet *packet = channel->packets;
        size_t part = sent < packet->size ? sent : packet->size;
        close_all(packet->descriptors, packet->count);
        packet->count = 0;
        packet->bytes += part;
        packet->size -= part;
        channel->pending -= part;
        sent -= part;
        if (packet->size == 0) {
            drop_packet(channel);
        }
    }
}

/* That the other end is gone shows when it is read from, after all that it has said. */
static void flush(struct mw_channel *channel) {
    while (channel->packets) {
        struct iovec pieces[PIECES];
        const struct packet *first = channel->packets;
        size_t count = gather(channel, pieces);
        ssize_t sent = send_pieces(channel->fd, pieces, count, first->descriptors, first->count);
        if (sent < 0 && errno == EAGAIN) {
            return;
        }
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            fall_mute(channel);
            return;
        }
        if (sent < 0) {
            end(channel, strerror(errno));
            return;
        }
        note_sent(channel, (size_t)sent);
    }
    ev_io_stop(mw_loop_ev(channel->loop), &channel->output);
}

static bool duplicate(struct packet *packet, const int *descriptors, int count) {
    for (; packet->count < count; packet->count++) {
        int copy = fcntl(descriptors[packet->count], F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            int error = errno;
            close_all(packet->descriptors, packet->count);
            errno = error;
            return false;
        }
        packet->descriptors[packet->count] = copy;
    }
    return true;
}

/* Its descriptors are not in it yet. */
static struct packet *new_packet(size_t size, int count) {
    struct packet *packet = malloc(sizeof *packet + (size_t)count * sizeof(int) + size);
    if (packet) {
        *packet = (struct packet){.size = size};
        packet->bytes = (char *)(packet->descriptors + count);
    }
    return packet;
}

static int discard(struct packet *packet, int error) {
    free(packet);
    return error;
}

/* Sends now what can be; how much that was, or -1 and errno. */
static ssize_t try_to_send(const struct mw_channel *channel, struct iovec pieces[2], const int *descriptors,
                           int count) {
    if (channel->packets) {
        return 0;
    }
    ssize_t sent = send_pieces(channel->fd, pieces, 2, descriptors, count);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

/* Memory for the rest is taken before anything is sent, because a message of which a part has gone cannot be
 * dropped. */
int mw_channel_send(struct mw_channel *channel, uint8_t kind, const void *bytes, size_t size,
                    const int *descriptors, int count) {
    if (size > MW_CHANNEL_SIZE_MOST || count > MW_CHANNEL_DESCRIPTORS) {
        return EMSGSIZE;
    }
    if (channel->mute) {
        return EPIPE;
    }
    struct packet *packet = new_packet(HEADER + size, count);
    if (!packet) {
        return ENOMEM;
    }
    char header[HEADER];
    memcpy(header, &(uint32_t){(uint32_t)size}, sizeof(uint32_t));
    header[4] = (char)kind;
    header[5] = (char)count;
    ssize_t sent = try_to_send(channel, (struct iovec[]){{header, HEADER}, {(void *)(uintptr_t)bytes, size}},
                               descriptors, count);
    if (sent == (ssize_t)(HEADER + size)) {
        return discard(packet, 0);
    }
    if (sent < 0 || (sent == 0 && !duplicate(packet, descriptors, count))) {
        return discard(packet, errno == ECONNRESET ? EPIPE : errno);
    }
    memcpy(packet->bytes, header, HEADER);
    if (size > 0) {
        memcpy(packet->bytes + HEADER, bytes, size);
    }
    packet->bytes += sent;
    packet->size -= (size_t)sent;
    channel->pending += packet->size;
    *channel->last_packet = packet;
    channel->last_packet = &packet->next;
    ev_io_start(mw_loop_ev(channel->loop), &channel->output);
    return 0;
}

size_t mw_channel_pending(const struct mw_channel *channel) {
    return channel->pending;
}

/* --- receiving --- */

/* Room for a read. A buffer that is lent stays where it is; whoever lent it frees it. */
static bool make_room(struct mw_channel *channel) {
    bool lent = channel->in == channel->lent;
    size_t left = channel->size - channel->at;
    if (!lent && channel->at > 0) {
        memmove(channel->in, channel->in + channel->at, left);
        channel->at = 0;
        channel->size = left;
    }
    if (channel->room - channel->size >= READ_LEAST) {
        return true;
    }
    size_t room = 2 * (left + READ_LEAST);
    char *in = realloc(lent ? NULL : channel->in, room);
    if (!in) {
        return false;
    }
    if (lent && left > 0) {
        memcpy(in, channel->in + channel->at, left);
    }
    channel->in = in;
    channel->at = 0;
    channel->size = left;
    channel->room = room;
    return true;
}

/* Takes over the descriptors that came with `size` bytes; those that cannot be kept are
 * closed, and then their message lacks them. */
static void take_descriptors(struct mw_channel *channel, struct msghdr *message, size_t size) {
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t bytes = head->cmsg_len - CMSG_LEN(0);
        struct batch *batch = malloc(sizeof *batch + bytes);
        int descriptors[MW_CHANNEL_DESCRIPTORS], count = (int)(bytes / sizeof(int));
        memcpy(descriptors, CMSG_DATA(head), bytes);
        if (!batch || message->msg_flags & MSG_CTRUNC) {
            close_all(descriptors, count);
            free(batch);
            continue;
        }
        *batch = (struct batch){.from = channel->received, .to = channel->received + size, .count = count};
        memcpy(batch->descriptors, descriptors, bytes);
        struct batch **last = &channel->batches;
        while (*last) {
            last = &(*last)->next;
        }
        *last = batch;
    }
}

/* One read. Sets `over` when it was the last. */
static void receive(struct mw_channel *channel) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(MW_CHANNEL_DESCRIPTORS * sizeof(int))];
    } control;
    if (!make_room(channel)) {
        mw_log(MW_LOG_ERROR, "a channel between processes has no memory for what it receives");
        channel->over = true;
        return;
    }
    struct iovec piece = {channel->in + channel->size, channel->room - channel->size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size;
    do {
        size = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
        channel->over = size == 0 || errno != EAGAIN;
        return;
    }
    take_descriptors(channel, &message, (size_t)size);
    channel->size += (size_t)size;
    channel->received += (uint64_t)size;
}

/* Looks at the message at the front, of which `left` bytes are there: why it is none, or NULL.
 * Its descriptors came with its first byte, and others that came by its end would be nobody's. */
static const char *judge(const struct mw_channel *channel, const struct head *head, size_t left) {
    uint64_t start = channel->received - left;
    const struct batch *batch = channel->batches;
    if (head->length > MW_CHANNEL_SIZE_MOST) {
        return "a message is too long";
    }
    if (head->count > 0) {
        if (!batch || batch->from > start || batch->to <= start || batch->count != head->count) {
            return "a message lacks descriptors (or this process may open no more: LimitNOFILE, ulimit -n)";
        }
        batch = batch->next;
    }
    if (batch && batch->to <= start + HEADER + head->length) {
        return "there are descriptors that belong to no message";
    }
    return NULL;
}

/* What the owner gets is out of the buffer by then, so that it may converse meanwhile. */
static void hand_over(struct mw_channel *channel, const struct head *head) {
    const char *bytes = channel->in + channel->at + HEADER;
    struct batch *batch = head->count > 0 ? channel->batches : NULL;
    char *outer = channel->lent, *mine = channel->in;
    if (batch) {
        channel->batches = batch->next;
    }
    channel->at += HEADER + head->length;
    channel->lent = mine;
    channel->events->on_message(channel->owner, head->kind, bytes, head->length,
                                batch ? batch->descriptors : NULL, head->count);
    if (channel->in != mine && mine != outer) {
        free(mine);
    }
    channel->lent = outer;
    free(batch);
}

/* Hands over the message at the front, if it is whole. Ends the channel when it is none, or none will follow.
 */
static bool deliver(struct mw_channel *channel) {
    size_t left = channel->size - channel->at;
    struct head head;
    if (channel->ended) {
        return false;
    }
    if (left >= HEADER) {
        const char *bytes = channel->in + channel->at;
        memcpy(&head.length, bytes, sizeof head.length);
        head.kind = (uint8_t)bytes[4];
        head.count = (uint8_t)bytes[5];
        const char *fault = judge(channel, &head, left);
        if (fault) {
            end(channel, fault);
            return false;
        }
        if (left - HEADER >= head.length) {
            hand_over(channel, &head);
            return true;
        }
    }
    if (channel->over) {
        end(channel, NULL);
    }
    return false;
}

static struct mw_channel *owner_of(ev_io *watcher) {
    return watcher->data;
}

static void on_input(struct ev_loop *ev, ev_io *input, int events) {
    struct mw_channel *channel = owner_of(input);
    (void)ev;
    (void)events;
    enter(channel);
    if (!channel->over) {
        receive(channel);
    }
    while (deliver(channel)) {
    }
    leave(channel);
}

static void on_output(struct ev_loop *ev, ev_io *output, int events) {
    struct mw_channel *channel = owner_of(output);
    (void)ev;
    (void)events;
    enter(channel);
    flush(channel);
    leave(channel);
}

struct mw_channel *mw_channel_new(struct mw_loop *loop, int fd, const struct mw_channel_events *events,
                                  void *owner) {
    struct mw_channel *channel = malloc(sizeof *channel);
    if (!channel) {
        return NULL;
    }
    *channel = (struct mw_channel){.loop = loop, .fd = fd, .events = events, .owner = owner};
    channel->last_packet = &channel->packets;
    ev_io_init(&channel->input, on_input, fd, EV_READ);
    ev_io_init(&channel->output, on_output, fd, EV_WRITE);
    channel->input.data = channel->output.data = channel;
    ev_io_start(mw_loop_ev(loop), &channel->input);
    return channel;
}

/* --- outside of the loop's turn --- */

/* Waits for the other end, sends and receives. False when the time is up. */
static bool take_turn(struct mw_channel *channel, double end_of_time) {
    double left = end_of_time - mw_loop_update(channel->loop);
    struct pollfd wanted = {.fd = channel->fd, .events = POLLIN};
    if (left <= 0) {
        return false;
    }
    if (channel->packets) {
        wanted.events |= POLLOUT;
    }
    if (poll(&wanted, 1, left < 1000 ? (int)(left * 1000) + 1 : 1000 * 1000) <= 0) {
        return true;
    }
    if (wanted.revents & (POLLOUT | POLLERR | POLLHUP)) {
        flush(channel);
    }
    if (!channel->ended && wanted.revents & ~POLLOUT) {
        receive(channel);
    }
    return true;
}

void mw_channel_converse(struct mw_channel *channel, double seconds, bool (*until)(void *context),
                         void *context) {
    double end_of_time = mw_loop_update(channel->loop) + seconds;
    enter(channel);
    while (!channel->ended && !(until && until(context))) {
        if (!deliver(channel) && !channel->ended && !take_turn(channel, end_of_time)) {
            break;
        }
    }
    if (!channel->ended && channel->at < channel->size) {
        ev_feed_event(mw_loop_ev(channel->loop), &channel->input, EV_CUSTOM);
    }
    leave(channel);
}
