#include "message.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 16 * 1024, CHECKED_MAX = 1 << 20, PATIENCE_MS = 10000 };

static const char upgrade[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static char *allocate(size_t size)
{
    char *p = malloc(size);
    if (!p) {
        die("no memory");
    }
    return p;
}

/* `count` copies in a row. */
static char *repeat(const char *data, size_t size, size_t count)
{
    char *row = allocate(size * count);
    for (size_t i = 0; i < count; i++) {
        memcpy(row + i * size, data, size);
    }
    return row;
}

static void fill(char *text, size_t size)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < size; i++) {
        text[i] = alphabet[i % 59 % 26];
    }
}

struct message message_echo(size_t size, uint32_t depth, bool line)
{
    char *text = allocate(size);
    fill(text, size);
    if (line) {
        text[size - 1] = '\n';
    }
    char *row = repeat(text, size, depth + 1u);
    free(text);
    return (struct message){ .out = row, .out_size = size, .in = row, .in_size = size, .in_row = true };
}

static size_t put_frame_head(char *frame, size_t size, bool masked)
{
    size_t n = 0;
    char mask = (char)(masked ? 0x80 : 0);
    frame[n++] = (char)0x81;
    if (size < 126) {
        frame[n++] = (char)(mask | (char)size);
    } else {
        frame[n++] = (char)(mask | 126);
        frame[n++] = (char)(size >> 8);
        frame[n++] = (char)(size & 0xff);
    }
    return n;
}

struct message message_websocket(size_t size, uint32_t depth)
{
    static const char key[4] = { 0x37, (char)0xfa, 0x21, 0x3d };
    if (size > 65535) {
        die("a WebSocket message of the load has at most 65535 bytes");
    }
    char *out = allocate(size + 8), *in = allocate(size + 4);
    size_t in_head = put_frame_head(in, size, false), out_head = put_frame_head(out, size, true);
    fill(in + in_head, size);
    memcpy(out + out_head, key, sizeof key);
    out_head += sizeof key;
    for (size_t i = 0; i < size; i++) {
        out[out_head + i] = (char)(in[in_head + i] ^ key[i % 4]);
    }
    struct message message = { .out_size = out_head + size, .in_size = in_head + size, .in_row = true };
    message.upgrade = true;
    message.out = repeat(out, message.out_size, depth + 1u);
    message.in = repeat(in, message.in_size, depth + 1u);
    free(out);
    free(in);
    return message;
}

static bool await(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    return poll(&wait, 1, PATIENCE_MS) == 1;
}

/* Receives until a head has ended; returns how much there is, `end` behind the head. 0: it did not come. */
static size_t receive_head(int fd, char *buffer, size_t size, char **end)
{
    for (size_t have = 0; have < size - 1 && await(fd);) {
        ssize_t n = recv(fd, buffer + have, size - 1 - have, 0);
        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
        buffer[have] = '\0';
        if ((*end = strstr(buffer, "\r\n\r\n"))) {
            *end += 4;
            return have;
        }
    }
    return 0;
}

bool message_upgrade(int fd)
{
    char buffer[HEAD_MAX], *end;
    return send(fd, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) == (ssize_t)sizeof upgrade - 1 &&
           receive_head(fd, buffer, sizeof buffer, &end) > 0 && strncmp(buffer, "HTTP/1.1 101 ", 13) == 0 && !*end;
}

/* The value of a field in a head that ends at `end`; NULL: it has none. */
static const char *field(const char *head, const char *end, const char *name)
{
    const char *found = strcasestr(head, name);
    return found && found < end ? found + strlen(name) : NULL;
}

static void learn(struct message *message, int fd)
{
    char buffer[HEAD_MAX], *end;
    size_t have = receive_head(fd, buffer, sizeof buffer, &end);
    const char *length = have > 0 ? field(buffer, end, "\r\ncontent-length:") : NULL;
    if (!length || strncmp(buffer, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "%.*s\n", (int)have, buffer);
        die("the server gives no 200 with a length");
    }
    size_t head = (size_t)(end - buffer);
    message->in_size = head + strtoul(length, NULL, 10);
    message->checked = message->in_size <= CHECKED_MAX ? message->in_size : head;
    const char *date = field(buffer, end, "\r\ndate:");
    message->date_from = date ? (size_t)(date - buffer) : message->checked;
    message->date_to = date ? (size_t)(strstr(date, "\r\n") - buffer) : message->checked;
    message->in = allocate(message->checked + HEAD_MAX);
    memcpy(message->in, buffer, have);
    while (have < message->checked && await(fd)) {
        ssize_t n = recv(fd, message->in + have, message->checked - have, 0);
        if (n <= 0) {
            die("the first answer ended early");
        }
        have += (size_t)n;
    }
}

struct message message_http(const struct sockaddr_in *target, const char *path, uint32_t depth)
{
    char request[1024];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    struct message message = { .out_size = (size_t)size, .out = repeat(request, (size_t)size, depth + 1u) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)target, sizeof *target) < 0 ||
        send(fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        die("the server takes no request");
    }
    learn(&message, fd);
    close(fd);
    return message;
}

/* Compares from..to of one answer. */
static bool is_alike(const struct message *message, size_t from, size_t to, const char *data)
{
    size_t end = to < message->checked ? to : message->checked;
    size_t first = end < message->date_from ? end : message->date_from;
    if (from < first && memcmp(data, message->in + from, first - from) != 0) {
        return false;
    }
    size_t second = from > message->date_to ? from : message->date_to;
    return second >= end || memcmp(data + (second - from), message->in + second, end - second) == 0;
}

bool message_matches(const struct message *message, size_t partial, const char *data, size_t n)
{
    if (message->in_row) {
        return memcmp(data, message->in + partial, n) == 0;
    }
    while (n > 0) {
        size_t part = message->in_size - partial < n ? message->in_size - partial : n;
        if (!is_alike(message, partial, partial + part, data)) {
            return false;
        }
        data += part;
        n -= part;
        partial = 0;
    }
    return true;
}
