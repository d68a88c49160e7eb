/* layers: base loop net */
/* wrap: recvmsg sendmsg fcntl */
#include "base/log.h"
#include "net/channel.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER = 6, BIG = 5 * 1024 * 1024 };

/* What the kernel does: takes and gives at most so many bytes a call (0: what it likes), is interrupted so
 * many times, fails. */
static struct {
    size_t most;
    int interrupts, send_error, dup_error;
} kernel;

ssize_t wrapped_recvmsg(int fd, struct msghdr *message, int flags) __asm__("__wrap_recvmsg");
ssize_t libc_recvmsg(int fd, struct msghdr *message, int flags) __asm__("__real_recvmsg");
ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");
int wrapped_fcntl(int fd, int command, ...) __asm__("__wrap_fcntl");
int libc_fcntl(int fd, int command, ...) __asm__("__real_fcntl");

static bool is_interrupted(void) {
    if (kernel.interrupts > 0) {
        kernel.interrupts--;
        errno = EINTR;
        return true;
    }
    return false;
}

ssize_t wrapped_recvmsg(int fd, struct msghdr *message, int flags) {
    if (is_interrupted()) {
        return -1;
    }
    if (kernel.most && message->msg_iov->iov_len > kernel.most) {
        message->msg_iov->iov_len = kernel.most;
    }
    return libc_recvmsg(fd, message, flags);
}

ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) {
    struct msghdr less = *message;
    struct iovec piece;
    if (is_interrupted()) {
        return -1;
    }
    if (kernel.send_error) {
        errno = kernel.send_error;
        return -1;
    }
    if (kernel.most) {
        piece = message->msg_iov[0];
        piece.iov_len = piece.iov_len < kernel.most ? piece.iov_len : kernel.most;
        less.msg_iov = &piece;
        less.msg_iovlen = 1;
    }
    return libc_sendmsg(fd, &less, flags);
}

int wrapped_fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    int argument = va_arg(arguments, int);
    va_end(arguments);
    if (command == F_DUPFD_CLOEXEC && kernel.dup_error) {
        errno = kernel.dup_error;
        return -1;
    }
    return libc_fcntl(fd, command, argument);
}

/* --- an owner that notes what it is told --- */

struct end {
    struct mw_channel *channel;
    int messages, ends;
    uint8_t kind;    /* of the last message */
    size_t size;     /* of the last message */
    size_t received; /* bytes of the pattern, checked, of all messages of kind 'p' */
    ino_t inodes[MW_CHANNEL_DESCRIPTORS];
    int count;                     /* of descriptors of the last message that had some */
    bool numbered;                 /* messages are their own number, from 0 */
    void (*then)(struct end *end); /* done in a message */
};

static struct end here, there;
static int peer = -1; /* the other end, where a test speaks for itself */

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct end *end = owner;
    for (size_t i = 0; kind == 'p' && i < size; i++) {
        assert_int_equal(bytes[i], world_pattern(end->received++));
    }
    if (end->numbered) {
        assert_int_equal(size, sizeof(int));
        assert_memory_equal(bytes, &end->messages, sizeof(int));
    }
    for (int i = 0; i < count; i++) {
        struct stat about;
        assert_int_equal(fstat(descriptors[i], &about), 0);
        assert_true(libc_fcntl(descriptors[i], F_GETFD) & FD_CLOEXEC);
        end->inodes[i] = about.st_ino;
        close(descriptors[i]);
    }
    end->messages++;
    end->kind = kind;
    end->size = size;
    end->count = count ? count : end->count;
    if (end->then) {
        end->then(end);
    }
}

static void on_end(void *owner) {
    struct end *end = owner;
    end->ends++;
}

static const struct mw_channel_events events = {on_message, on_end};

static void close_end(struct end *end) {
    if (end->channel) {
        mw_channel_close(end->channel);
        end->channel = NULL;
    }
}

static void close_peer(void) {
    close(peer);
    peer = -1;
}

static int open_world(void **state) {
    alarm(60);
    memset(&kernel, 0, sizeof kernel);
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    mw_log_set_level(MW_LOG_ERROR + 1);
    return world_open(state);
}

static int close_world(void **state) {
    alloc_failure_disarm();
    close_end(&here);
    close_end(&there);
    if (peer >= 0) {
        close_peer();
    }
    return world_close(state);
}

static void open_both(void) {
    int ends[2];
    assert_true(mw_channel_pair(ends));
    here.channel = mw_channel_new(world.loop, ends[0], &events, &here);
    there.channel = mw_channel_new(world.loop, ends[1], &events, &there);
    assert_non_null(here.channel);
    assert_non_null(there.channel);
}

/* Only this end is a channel. */
static void open_one(void) {
    int ends[2];
    assert_true(mw_channel_pair(ends));
    here.channel = mw_channel_new(world.loop, ends[0], &events, &here);
    assert_non_null(here.channel);
    peer = ends[1];
}

static void send_pattern(struct end *end, size_t from, size_t size) {
    char *bytes = world_bytes(from, size);
    assert_int_equal(mw_channel_send(end->channel, 'p', bytes, size, NULL, 0), 0);
    free(bytes);
}

static void send_number(struct end *end, int number) {
    assert_int_equal(mw_channel_send(end->channel, 'n', &number, sizeof number, NULL, 0), 0);
}

/* Files without a name, to be known by their inodes. */
static void open_files(int *files, int count) {
    for (int i = 0; i < count; i++) {
        files[i] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_true(files[i] >= 0);
    }
}

static void close_files(const int *files, int count) {
    for (int i = 0; i < count; i++) {
        close(files[i]);
    }
}

static void assert_same_files(const struct end *end, const int *files, int count) {
    assert_int_equal(end->count, count);
    for (int i = 0; i < count; i++) {
        struct stat about;
        assert_int_equal(fstat(files[i], &about), 0);
        assert_int_equal(end->inodes[i], about.st_ino);
    }
}

/* Sends bytes as they are, with copies of one descriptor, from the end that is no channel. */
static void say(const void *bytes, size_t size, int fd, int count) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(253 * sizeof(int))];
    } control = {.head = {CMSG_LEN((size_t)count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    for (int i = 0; i < count; i++) {
        memcpy(CMSG_DATA(&control.head) + (size_t)i * sizeof(int), &fd, sizeof fd);
    }
    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    }
    assert_int_equal(libc_sendmsg(peer, &message, 0), size);
}

static void say_frame(uint32_t announced, int announced_descriptors, size_t size, int fd, int count) {
    char frame[64] = {0};
    memcpy(frame, &announced, sizeof announced);
    frame[4] = 'f';
    frame[5] = (char)announced_descriptors;
    say(frame, HEADER + size, fd, count);
}

/* --- tests --- */

static void messages_come_whole_and_in_order(void **state) {
    (void)state;
    open_both();
    there.numbered = true;
    for (int i = 0; i < 1000; i++) {
        send_number(&here, i);
    }
    world_run_until(there.messages == 1000);
    assert_int_equal(there.kind, 'n');
    assert_int_equal(mw_channel_send(there.channel, 255, NULL, 0, NULL, 0), 0);
    world_run_until(here.messages == 1);
    assert_int_equal(here.kind, 255);
    assert_int_equal(here.size, 0);
    assert_int_equal(here.ends + there.ends, 0);
}

static void big_messages_pass(void **state) {
    (void)state;
    open_both();
    send_pattern(&here, 0, BIG);
    assert_true(mw_channel_pending(here.channel) > 0);
    send_pattern(&here, BIG, 10);
    send_pattern(&here, BIG + 10, BIG);
    world_run_until(there.messages == 3);
    assert_int_equal(there.received, 2 * BIG + 10);
    assert_int_equal(mw_channel_pending(here.channel), 0);
}

static void what_is_beyond_the_limits_is_not_sent(void **state) {
    (void)state;
    open_both();
    char byte = 'x';
    int files[MW_CHANNEL_DESCRIPTORS + 1] = {0};
    assert_int_equal(mw_channel_send(here.channel, 1, &byte, MW_CHANNEL_SIZE_MOST + 1, NULL, 0), EMSGSIZE);
    assert_int_equal(mw_channel_send(here.channel, 1, &byte, 1, files, MW_CHANNEL_DESCRIPTORS + 1), EMSGSIZE);
    send_pattern(&here, 0, 1);
    world_run_until(there.messages == 1);
}

static void a_message_of_the_largest_size_passes(void **state) {
    (void)state;
    open_both();
    char *bytes = calloc(1, MW_CHANNEL_SIZE_MOST);
    assert_int_equal(mw_channel_send(here.channel, 1, bytes, MW_CHANNEL_SIZE_MOST, NULL, 0), 0);
    free(bytes);
    world_run_until(there.messages == 1);
    assert_int_equal(there.size, MW_CHANNEL_SIZE_MOST);
}

static void descriptors_come_with_their_message(void **state) {
    (void)state;
    enum { FILES = MW_CHANNEL_DESCRIPTORS };
    int files[FILES];
    open_both();
    open_files(files, FILES);
    send_pattern(&here, 0, 3);
    assert_int_equal(mw_channel_send(here.channel, 'd', "many", 4, files, FILES), 0);
    send_pattern(&here, 3, 3);
    world_run_until(there.messages == 3);
    assert_same_files(&there, files, FILES);
    close_files(files, FILES);
}

/* Each message has one descriptor more than the last one, and all wait for the kernel. */
static struct {
    int files[20];
} many;

static void check_files(struct end *end) {
    if (end->kind == 'd') {
        assert_same_files(end, many.files, (int)end->size);
    }
}

static void descriptors_that_wait_are_the_channels_own(void **state) {
    (void)state;
    open_both();
    open_files(many.files, 20);
    there.then = check_files;
    send_pattern(&here, 0, BIG);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(mw_channel_send(here.channel, 'd', "12345678901234567890", (size_t)i, many.files, i), 0);
        send_pattern(&here, BIG + (size_t)i - 1, 1);
    }
    world_run_until(there.messages == 41);
    assert_int_equal(there.received, BIG + 20);
    close_files(many.files, 20);
}

static void what_waits_is_closed_with_the_channel(void **state) {
    (void)state;
    int files[3];
    open_both();
    open_files(files, 3);
    send_pattern(&here, 0, BIG);
    assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, files, 3), 0);
    close_files(files, 3);
    close_end(&here);
    world_run_until(there.ends == 1);
    assert_int_equal(there.messages, 0);
}

static void short_and_interrupted_calls_change_nothing(void **state) {
    (void)state;
    open_both();
    there.then = check_files;
    open_files(many.files, 20);
    for (kernel.most = 1; kernel.most < 20; kernel.most++) {
        int before = there.messages;
        kernel.interrupts = 5;
        there.received = 0;
        send_pattern(&here, 0, 100);
        assert_int_equal(mw_channel_send(here.channel, 'd', "1234567890", 7, many.files, 7), 0);
        send_pattern(&here, 100, 3);
        assert_int_equal(mw_channel_send(here.channel, 'd', "1234567890", 1, many.files, 1), 0);
        assert_int_equal(mw_channel_send(here.channel, 'd', "1234567890", 2, many.files, 2), 0);
        world_run_until(there.messages == before + 5);
    }
    close_files(many.files, 20);
    assert_int_equal(there.ends, 0);
}

static void a_peer_that_does_not_read_is_waited_for(void **state) {
    (void)state;
    open_one();
    for (int i = 0; i < 100; i++) {
        send_pattern(&here, (size_t)i * 100000, 100000);
    }
    world_settle();
    size_t pending = mw_channel_pending(here.channel);
    assert_true(pending > 5000000 && pending < 100 * (100000 + HEADER));
    there.channel = mw_channel_new(world.loop, peer, &events, &there);
    peer = -1;
    world_run_until(there.messages == 100);
    assert_int_equal(mw_channel_pending(here.channel), 0);
}

static void what_was_said_before_the_end_is_delivered(void **state) {
    (void)state;
    open_both();
    send_pattern(&here, 0, 1000);
    send_pattern(&here, 1000, 1000);
    close_end(&here);
    world_run_until(there.ends == 1);
    assert_int_equal(there.received, 2000);
    world_settle();
    assert_int_equal(there.ends, 1);
    assert_int_equal(mw_channel_send(there.channel, 1, "x", 1, NULL, 0), EPIPE);
}

static void a_peer_may_go_within_a_message(void **state) {
    (void)state;
    open_one();
    say_frame(100, 0, 10, -1, 0);
    world_settle();
    close_peer();
    world_run_until(here.ends == 1);
    assert_int_equal(here.messages, 0);
}

static void a_peer_may_go_within_a_head(void **state) {
    (void)state;
    open_one();
    say("\1\0\0", 3, 0, 1);
    world_settle();
    close_peer();
    world_run_until(here.ends == 1);
    assert_int_equal(here.messages, 0);
}

/* It says its last words, and leaves unread what it was told. */
static void a_peer_that_goes_is_heard_to_the_end(void **state) {
    (void)state;
    open_one();
    for (int i = 0; i < 100; i++) {
        send_pattern(&here, 0, 100000);
    }
    world_settle();
    say_frame(2, 0, 2, -1, 0);
    close_peer();
    world_run_until(here.ends == 1);
    assert_int_equal(here.messages, 1);
    assert_int_equal(mw_channel_pending(here.channel), 0);
    assert_int_equal(mw_channel_send(here.channel, 1, "x", 1, NULL, 0), EPIPE);
}

static void a_send_to_nobody_says_so(void **state) {
    (void)state;
    open_one();
    close_peer();
    assert_int_equal(mw_channel_send(here.channel, 1, "x", 1, NULL, 0), EPIPE);
    assert_int_equal(here.ends, 0);
    world_run_until(here.ends == 1);
}

static void assert_nonsense(void) {
    world_run_until(here.ends == 1);
    assert_int_equal(here.messages, 0);
    close_end(&here);
    close_peer();
    here.ends = 0;
}

static void nonsense_ends_a_channel(void **state) {
    (void)state;
    open_one();
    say_frame(MW_CHANNEL_SIZE_MOST + 1, 0, 0, -1, 0);
    assert_nonsense();
    open_one();
    say_frame(UINT32_MAX, 0, 20, -1, 0);
    assert_nonsense();
    open_one(); /* fewer than were announced */
    say_frame(1, 2, 1, 0, 1);
    assert_nonsense();
    open_one(); /* none at all */
    say_frame(1, 1, 1, -1, 0);
    assert_nonsense();
    open_one(); /* more than were announced */
    say_frame(1, 1, 1, 0, 2);
    assert_nonsense();
    open_one();
    say_frame(1, 0, 1, 0, 1);
    assert_nonsense();
    open_one(); /* more than there may be, announced and not */
    say_frame(1, 200, 1, 0, 200);
    assert_nonsense();
    open_one();
    say_frame(1, 128, 1, 0, 200);
    assert_nonsense();
    open_one(); /* before they could come */
    say_frame(1, 1, 0, -1, 0);
    assert_nonsense();
    open_one(); /* in the midst of a message */
    say_frame(10, 0, 0, -1, 0);
    say("x", 1, 0, 1);
    assert_nonsense();
}

static void descriptors_for_which_there_is_no_room_end_a_channel(void **state) {
    (void)state;
    struct rlimit limit, low;
    open_both();
    int next = dup(0);
    close(next);
    assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, (int[]){0, 0, 0}, 3), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    world_run_until(there.ends == 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(there.messages, 0);
}

static void descriptors_that_cannot_be_kept_are_not_sent(void **state) {
    (void)state;
    open_one();
    send_pattern(&here, 0, BIG);
    size_t pending = mw_channel_pending(here.channel);
    kernel.dup_error = EMFILE;
    assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, (int[]){0, 1}, 2), EMFILE);
    kernel.dup_error = 0;
    assert_int_equal(mw_channel_pending(here.channel), pending);
    send_pattern(&here, BIG, 1);
    there.channel = mw_channel_new(world.loop, peer, &events, &there);
    peer = -1;
    world_run_until(there.messages == 2);
}

static void a_kernel_that_refuses_says_why(void **state) {
    (void)state;
    open_both();
    kernel.send_error = ETOOMANYREFS;
    assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, (int[]){0}, 1), ETOOMANYREFS);
    kernel.send_error = ECONNRESET;
    assert_int_equal(mw_channel_send(here.channel, 1, "x", 1, NULL, 0), EPIPE);
    kernel.send_error = 0;
    send_pattern(&here, 0, BIG);
    kernel.send_error = ENOBUFS; /* what waits cannot be taken back */
    world_run_until(here.ends == 1);
    kernel.send_error = 0;
    assert_int_equal(mw_channel_pending(here.channel), 0);
    close_end(&here);
    world_run_until(there.ends == 1);
    assert_int_equal(there.messages, 0);
}

static void close_now(struct end *end) {
    close_end(end);
}

static void an_owner_may_close_in_a_message(void **state) {
    (void)state;
    open_both();
    there.then = close_now;
    int files[2];
    open_files(files, 2);
    send_pattern(&here, 0, 100);
    assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, files, 2), 0);
    close_files(files, 2);
    world_run_until(here.ends == 1);
    assert_int_equal(there.messages, 1);
    assert_int_equal(there.ends, 0);
}

static void on_end_close(void *owner) {
    struct end *end = owner;
    end->ends++;
    close_end(end);
}

static void an_owner_may_close_at_the_end(void **state) {
    (void)state;
    static const struct mw_channel_events closing = {on_message, on_end_close};
    int ends[2];
    assert_true(mw_channel_pair(ends));
    here.channel = mw_channel_new(world.loop, ends[0], &closing, &here);
    close(ends[1]);
    world_run_until(here.ends == 1);
    assert_null(here.channel);
}

/* --- outside of the loop's turn --- */

static int asked;

static bool three_came(void *context) {
    const struct end *end = context;
    asked++;
    return end->messages >= 3;
}

static void a_conversation_ends_when_its_condition_holds(void **state) {
    (void)state;
    open_both();
    there.numbered = true;
    for (int i = 0; i < 5; i++) {
        send_number(&here, i);
    }
    asked = 0;
    mw_channel_converse(there.channel, 10, three_came, &there);
    assert_int_equal(there.messages, 3);
    assert_true(asked >= 4);
    world_run_until(there.messages == 5);
    assert_int_equal(there.ends, 0);
}

static void what_a_conversation_left_is_delivered_before_the_end(void **state) {
    (void)state;
    open_both();
    for (int i = 0; i < 5; i++) {
        send_number(&here, i);
    }
    close_end(&here);
    mw_channel_converse(there.channel, 10, three_came, &there);
    assert_int_equal(there.messages, 3);
    world_run_until(there.ends == 1);
    assert_int_equal(there.messages, 5);
}

static bool all_is_sent(void *context) {
    const struct end *end = context;
    return mw_channel_pending(end->channel) == 0;
}

/* The other end is read by a process of its own. */
static void a_conversation_sends_what_waits(void **state) {
    (void)state;
    open_one();
    pid_t child = fork();
    if (child == 0) {
        size_t size = 0;
        char bytes[4096];
        libc_fcntl(peer, F_SETFL, 0);
        while (size < BIG + HEADER) {
            ssize_t got = read(peer, bytes, sizeof bytes);
            if (got <= 0) {
                _exit(1);
            }
            size += (size_t)got;
        }
        _exit(0);
    }
    send_pattern(&here, 0, BIG);
    assert_true(mw_channel_pending(here.channel) > 0);
    mw_channel_converse(here.channel, 30, all_is_sent, &here);
    assert_int_equal(mw_channel_pending(here.channel), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_conversation_ends_in_time(void **state) {
    (void)state;
    open_one();
    double start = world_clock();
    mw_channel_converse(here.channel, 0.05, NULL, NULL);
    double took = world_clock() - start;
    assert_true(took >= 0.05 && took < 5);
    assert_int_equal(here.ends, 0);
}

static void a_conversation_ends_with_the_channel(void **state) {
    (void)state;
    open_one();
    say_frame(1, 0, 1, -1, 0);
    close_peer();
    mw_channel_converse(here.channel, 30, NULL, NULL);
    assert_int_equal(here.messages, 1);
    assert_int_equal(here.ends, 1);
}

static void an_owner_may_close_in_a_conversation(void **state) {
    (void)state;
    open_one();
    here.then = close_now;
    say_frame(1, 0, 1, -1, 0);
    say_frame(1, 0, 1, -1, 0);
    mw_channel_converse(here.channel, 30, NULL, NULL);
    assert_null(here.channel);
    assert_int_equal(here.messages, 1);
}

static bool hundred_came(void *context) {
    const struct end *end = context;
    return end->messages >= 100;
}

static size_t at_first;

static void converse_in_the_first(struct end *end) {
    if (end->messages == 1) {
        at_first = end->received;
        mw_channel_converse(end->channel, 10, hundred_came, end);
        assert_int_equal(end->messages, 100);
    }
}

/* The message that is being handled stays valid while others come, whatever room those need. */
static void on_message_that_lasts(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors,
                                  int count) {
    struct end *end = owner;
    char first[16] = {0};
    memcpy(first, bytes, size < sizeof first ? size : sizeof first);
    on_message(owner, kind, bytes, size, descriptors, count);
    if (end->channel) {
        assert_memory_equal(first, bytes, size < sizeof first ? size : sizeof first);
    }
}

static void a_message_may_converse(void **state) {
    (void)state;
    static const struct mw_channel_events lasting = {on_message_that_lasts, on_end};
    int ends[2];
    assert_true(mw_channel_pair(ends));
    there.channel = mw_channel_new(world.loop, ends[1], &lasting, &there);
    there.then = converse_in_the_first;
    pid_t child = fork();
    if (child == 0) {
        here.channel = mw_channel_new(world.loop, ends[0], &events, &here);
        for (size_t i = 0, at = 0; i < 101; i++) {
            send_pattern(&here, at, i * 1000 + 1);
            at += i * 1000 + 1;
        }
        mw_channel_converse(here.channel, 30, all_is_sent, &here);
        _exit(0);
    }
    close(ends[0]);
    world_run_until(there.ends == 1);
    assert_int_equal(at_first, 1);
    assert_int_equal(there.messages, 101);
    waitpid(child, NULL, 0);
}

/* --- memory that is out --- */

static void memory_for_a_message_may_be_out(void **state) {
    (void)state;
    open_both();
    alloc_failure_arm(1);
    assert_int_equal(mw_channel_send(here.channel, 1, "x", 1, NULL, 0), ENOMEM);
    assert_true(alloc_failure_disarm());
    send_pattern(&here, 0, 1);
    world_run_until(there.messages == 1);
}

static void memory_for_what_comes_may_be_out(void **state) {
    (void)state;
    for (int nth = 1; nth < 10; nth++) {
        open_both();
        there.messages = there.ends = 0;
        there.received = 0;
        send_pattern(&here, 0, 150000);
        assert_int_equal(mw_channel_send(here.channel, 'd', "x", 1, (int[]){0, 1}, 2), 0);
        alloc_failure_arm(nth);
        world_run_until(there.ends == 1 || there.messages == 2);
        bool failed = alloc_failure_disarm();
        assert_int_equal(there.ends, failed);
        close_end(&here);
        close_end(&there);
        if (!failed) {
            assert_true(nth > 2);
            return;
        }
    }
    fail();
}

static void memory_for_a_channel_may_be_out(void **state) {
    (void)state;
    int ends[2];
    assert_true(mw_channel_pair(ends));
    alloc_failure_arm(1);
    assert_null(mw_channel_new(world.loop, ends[0], &events, &here));
    assert_true(alloc_failure_disarm());
    assert_int_equal(close(ends[0]), 0);
    close(ends[1]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(messages_come_whole_and_in_order),
        test(big_messages_pass),
        test(what_is_beyond_the_limits_is_not_sent),
        test(a_message_of_the_largest_size_passes),
        test(descriptors_come_with_their_message),
        test(descriptors_that_wait_are_the_channels_own),
        test(what_waits_is_closed_with_the_channel),
        test(short_and_interrupted_calls_change_nothing),
        test(a_peer_that_does_not_read_is_waited_for),
        test(what_was_said_before_the_end_is_delivered),
        test(a_peer_may_go_within_a_message),
        test(a_peer_may_go_within_a_head),
        test(a_peer_that_goes_is_heard_to_the_end),
        test(a_send_to_nobody_says_so),
        test(nonsense_ends_a_channel),
        test(descriptors_for_which_there_is_no_room_end_a_channel),
        test(descriptors_that_cannot_be_kept_are_not_sent),
        test(a_kernel_that_refuses_says_why),
        test(an_owner_may_close_in_a_message),
        test(an_owner_may_close_at_the_end),
        test(a_conversation_ends_when_its_condition_holds),
        test(what_a_conversation_left_is_delivered_before_the_end),
        test(a_conversation_sends_what_waits),
        test(a_conversation_ends_in_time),
        test(a_conversation_ends_with_the_channel),
        test(an_owner_may_close_in_a_conversation),
        test(a_message_may_converse),
        test(memory_for_a_message_may_be_out),
        test(memory_for_what_comes_may_be_out),
        test(memory_for_a_channel_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
