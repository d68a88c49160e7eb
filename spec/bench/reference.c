/* reference - the measure for the servers of this benchmark: what a C program written by hand for one job
 * would do, with nothing between it and epoll.
 *
 *   reference echo|line|http PORT
 *
 * echo sends every byte back; line takes the lines apart and sends each of them back, and ends a connection
 * whose line has not ended after LINE_MAX_BYTES; http gives the same answer to whatever ends in an empty line. The socket is read once for each event and answered at once.
 * A connection that the kernel takes no more bytes from is not read until it does. An idle connection owns
 * one row of a table and no buffer.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, LINE_MAX_BYTES = 4096, BACKLOG = 4096, ACCEPTS = 64, EVENTS = 256, CLIENTS = 65536 };

struct bytes {
    char *data;
    size_t length;
};

struct client {
    struct bytes unread;      /* the beginning of a line that has not ended yet */
    struct bytes unsent;      /* what the kernel would not take; while there is some, nothing is read */
};

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n"
                            "Hello, World!\n";

static enum { ECHO, LINE, HTTP } job;
static int poller, listener;
static struct client clients[CLIENTS]; /* by descriptor */
static char input[BUFFER + LINE_MAX_BYTES], output[4 * BUFFER + LINE_MAX_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int fd, int operation, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    if (epoll_ctl(poller, operation, fd, &event) < 0) {
        die("epoll_ctl");
    }
}

/* Replaces what is held by a copy of data, which may lie inside of it. */
static bool hold(struct bytes *held, const char *data, size_t length)
{
    char *copy = length > 0 ? malloc(length) : NULL;
    if (length > 0 && !copy) {
        return false;
    }
    if (copy) {
        memcpy(copy, data, length);
    }
    free(held->data);
    *held = (struct bytes){ copy, length };
    return true;
}

/* Sends data; what does not fit waits in `unsent`. False: the connection is broken. */
static bool answer(int fd, const char *data, size_t length)
{
    struct client *c = &clients[fd];
    bool was_waiting = c->unsent.length > 0;
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if ((done < length || was_waiting) && !hold(&c->unsent, data + done, length - done)) {
        return false;
    }
    if (was_waiting != (done < length)) {
        watch(fd, EPOLL_CTL_MOD, done < length ? EPOLLOUT : EPOLLIN);
    }
    return true;
}

/* Holds what has not ended yet, and sends what was answered. */
static bool conclude(int fd, const char *rest, size_t size, size_t answered)
{
    struct client *c = &clients[fd];
    if (size > LINE_MAX_BYTES || ((size > 0 || c->unread.length > 0) && !hold(&c->unread, rest, size))) {
        return false;
    }
    return answered == 0 || answer(fd, output, answered);
}

static bool answer_requests(int fd, size_t length)
{
    enum { SIZE = sizeof hello - 1 };
    char *head = input, *end = input + length, *blank;
    size_t answered = 0;
    while (answered + SIZE <= sizeof output && (blank = memmem(head, (size_t)(end - head), "\r\n\r\n", 4))) {
        memcpy(output + answered, hello, SIZE);
        answered += SIZE;
        head = blank + 4;
    }
    return conclude(fd, head, (size_t)(end - head), answered);
}

static bool answer_lines(int fd, size_t length)
{
    char *line = input, *end = input + length, *newline;
    size_t answered = 0;
    while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
        size_t size = (size_t)(newline - line);
        memcpy(output + answered, line, size);
        output[answered + size] = '\n';
        answered += size + 1;
        line = newline + 1;
    }
    return conclude(fd, line, (size_t)(end - line), answered);
}

static bool read_once(int fd)
{
    size_t before = clients[fd].unread.length;
    if (before > 0) {
        memcpy(input, clients[fd].unread.data, before);
    }
    ssize_t n = recv(fd, input + before, BUFFER, 0);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    switch (job) {
        case LINE: return answer_lines(fd, before + (size_t)n);
        case HTTP: return answer_requests(fd, before + (size_t)n);
        default: return answer(fd, input, (size_t)n);
    }
}

static void close_client(int fd)
{
    close(fd);
    free(clients[fd].unread.data);
    free(clients[fd].unsent.data);
}

static void serve_client(int fd)
{
    struct bytes unsent = clients[fd].unsent;
    if (unsent.length > 0 ? !answer(fd, unsent.data, unsent.length) : !read_once(fd)) {
        close_client(fd);
    }
}

static void accept_some(void)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        if (fd < CLIENTS) {
            clients[fd] = (struct client){ 0 };
            watch(fd, EPOLL_CTL_ADD, EPOLLIN);
        } else {
            close(fd);
        }
    }
}

static void serve(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_some();
            } else {
                serve_client(events[i].data.fd);
            }
        }
    }
}

static void listen_on(uint16_t port)
{
    int one = 1;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (listener < 0 || poller < 0) {
        die("socket");
    }
    /* accepted sockets inherit TCP_NODELAY, so that it costs no call for each connection */
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, BACKLOG) < 0) {
        die("listen");
    }
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int argc, char **argv)
{
    static const char *const jobs[] = { [ECHO] = "echo", [LINE] = "line", [HTTP] = "http" };
    long port = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    unsigned chosen = 0;
    while (argc == 3 && chosen < 3 && strcmp(argv[1], jobs[chosen]) != 0) {
        chosen++;
    }
    if (port < 1 || port > 65535 || chosen == 3) {
        fprintf(stderr, "usage: reference echo|line|http PORT\n");
        return 2;
    }
    job = chosen;
    listen_on((uint16_t)port);
    serve();
}
