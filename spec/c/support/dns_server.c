#include "support/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORDS = 2048, DATA = 1024, NAME = 256, PACKET = 32 * 1024, HEADER = 12, CALLERS = 8, IN = 1 };
enum { SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

struct record {
    char name[NAME];
    unsigned type;
    uint32_t ttl;
    size_t size;
    unsigned char data[DATA];
};

/* A connection; its fd is -1 when free. The length of the question comes first. */
struct caller {
    ev_io io;
    size_t size;
    unsigned char packet[2 + 512];
};

struct dns_server {
    struct ev_loop *loop;
    ev_io udp, tcp;
    struct caller callers[CALLERS];
    enum dns_mood mood;
    unsigned asked, asked_tcp;
    char last_name[NAME];
    char address[64];
    size_t count;
    struct record records[RECORDS];
};

/* What is being written; what has no room is a mistake of the test. */
struct packet {
    unsigned char bytes[PACKET];
    size_t size;
};

static void put(struct packet *packet, const void *bytes, size_t size) {
    if (size > sizeof packet->bytes - packet->size) {
        abort();
    }
    memcpy(packet->bytes + packet->size, bytes, size);
    packet->size += size;
}

static void put_16(struct packet *packet, unsigned value) {
    unsigned char bytes[] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(packet, bytes, sizeof bytes);
}

static unsigned get_16(const unsigned char *bytes) {
    return (unsigned)(bytes[0] << 8 | bytes[1]);
}

/* "a.b" as labels, "" or "." as the root. */
static void put_name(struct packet *packet, const char *name) {
    while (*name && strcmp(name, ".") != 0) {
        size_t length = strcspn(name, ".");
        unsigned char head = (unsigned char)length;
        put(packet, &head, 1);
        put(packet, name, length);
        name += length;
        name += *name == '.';
    }
    put(packet, "", 1);
}

/* The name of the question as text; the bytes it took, 0 when it is malformed. */
static size_t read_name(const unsigned char *bytes, size_t size, char name[NAME]) {
    size_t at = 0, length = 0;
    while (at < size && bytes[at] != 0) {
        size_t label = bytes[at++];
        if (label > 63 || label > size - at || length + label + 2 > NAME) {
            return 0;
        }
        length += (size_t)snprintf(name + length, NAME - length, "%s%.*s", length ? "." : "", (int)label,
                                   (const char *)bytes + at);
        at += label;
    }
    name[length] = '\0';
    return at < size ? at + 1 : 0;
}

static void put_record(struct packet *packet, const struct record *record) {
    put_name(packet, record->name);
    put_16(packet, record->type);
    put_16(packet, IN);
    put_16(packet, record->ttl >> 16);
    put_16(packet, record->ttl & 0xffff);
    put_16(packet, (unsigned)record->size);
    put(packet, record->data, record->size);
}

/* Records of the name and type, behind the alias that leads to them. Returns
 * how many; `known` says whether the name has any record at all. */
static unsigned put_records(struct dns_server *server, struct packet *packet, const char *name, unsigned type,
                            bool *known) {
    unsigned count = 0;
    for (size_t i = 0; i < server->count; i++) {
        struct record *record = &server->records[i];
        if (strcasecmp(record->name, name) != 0) {
            continue;
        }
        *known = true;
        if (record->type == type) {
            put_record(packet, record);
            count++;
        } else if (record->type == DNS_CNAME) {
            char target[NAME];
            put_record(packet, record);
            count++;
            if (read_name(record->data, record->size, target)) {
                count += put_records(server, packet, target, type, known);
            }
        }
    }
    return count;
}

static void set_header(struct packet *packet, unsigned flags, unsigned answers) {
    packet->bytes[2] = (unsigned char)(0x84 | flags >> 8);
    packet->bytes[3] = (unsigned char)flags;
    packet->bytes[6] = (unsigned char)(answers >> 8);
    packet->bytes[7] = (unsigned char)answers;
}

/* Fills `packet` with the answer; false when there is none. */
static bool answer(struct dns_server *server, const unsigned char *question, size_t size, bool tcp,
                   struct packet *packet) {
    size_t name = size > HEADER ? read_name(question + HEADER, size - HEADER, server->last_name) : 0;
    if (name == 0 || size < HEADER + name + 4) {
        return false;
    }
    server->asked++;
    server->asked_tcp += tcp;
    packet->size = 0;
    put(packet, question, HEADER + name + 4);
    bool known = false;
    unsigned type = get_16(question + HEADER + name);
    switch (server->mood) {
    case DNS_SILENT:
        return false;
    case DNS_SERVFAIL:
        set_header(packet, SERVFAIL, 0);
        return true;
    case DNS_REFUSED:
        set_header(packet, REFUSED, 0);
        return true;
    case DNS_TRUNCATED:
        if (!tcp) {
            set_header(packet, 0x200, 0);
            return true;
        }
        break;
    case DNS_HELPFUL:
    case DNS_BROKEN:
        break;
    }
    unsigned answers = put_records(server, packet, server->last_name, type, &known);
    set_header(packet, known ? 0 : NXDOMAIN, answers);
    packet->size -= server->mood == DNS_BROKEN && answers > 0 ? 1 : 0;
    return true;
}

static void on_datagram(struct ev_loop *loop, ev_io *io, int events) {
    (void)loop;
    (void)events;
    static struct packet packet;
    unsigned char question[512];
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    ssize_t size = recvfrom(io->fd, question, sizeof question, 0, (struct sockaddr *)&peer, &length);
    if (size > 0 && answer(io->data, question, (size_t)size, false, &packet)) {
        (void)sendto(io->fd, packet.bytes, packet.size, 0, (struct sockaddr *)&peer, length);
    }
}

static void watch(struct dns_server *server, ev_io *io, int fd) {
    ev_io_set(io, fd, EV_READ);
    ev_io_start(server->loop, io);
    ev_unref(server->loop);
}

static void unwatch(struct dns_server *server, ev_io *io) {
    if (ev_is_active(io)) {
        ev_ref(server->loop);
        ev_io_stop(server->loop, io);
        close(io->fd);
    }
}

static void on_bytes(struct ev_loop *loop, ev_io *io, int events) {
    (void)loop;
    (void)events;
    static struct packet packet;
    struct caller *caller = (struct caller *)(void *)io;
    ssize_t size = recv(io->fd, caller->packet + caller->size, sizeof caller->packet - caller->size, 0);
    if (size <= 0) {
        unwatch(io->data, io);
        return;
    }
    caller->size += (size_t)size;
    if (caller->size < 2 || caller->size < 2 + (size_t)get_16(caller->packet)) {
        return;
    }
    if (answer(io->data, caller->packet + 2, caller->size - 2, true, &packet)) {
        unsigned char head[] = {(unsigned char)(packet.size >> 8), (unsigned char)packet.size};
        (void)send(io->fd, head, sizeof head, MSG_NOSIGNAL | MSG_MORE);
        (void)send(io->fd, packet.bytes, packet.size, MSG_NOSIGNAL);
    }
    caller->size = 0;
}

static void on_caller(struct ev_loop *loop, ev_io *io, int events) {
    (void)loop;
    (void)events;
    struct dns_server *server = io->data;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < CALLERS; i++) {
        struct caller *caller = &server->callers[i];
        if (!ev_is_active(&caller->io)) {
            caller->size = 0;
            watch(server, &caller->io, fd);
            return;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static int open_socket(struct sockaddr_storage *address, socklen_t length, int type) {
    int fd = socket(address->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)address, length) < 0 ||
                    getsockname(fd, (struct sockaddr *)address, &length) < 0 ||
                    (type == SOCK_STREAM && listen(fd, CALLERS) < 0))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The port that UDP got may be taken in TCP: then another one is tried. */
static bool open_sockets(const char *host, struct sockaddr_storage *address, int fds[2]) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6 = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
    inet_pton(AF_INET, host, &v4.sin_addr);
    socklen_t length = is_v6 ? sizeof v6 : sizeof v4;
    for (int tries = 0; tries < 10; tries++) {
        memcpy(address, is_v6 ? (void *)&v6 : (void *)&v4, length);
        fds[0] = open_socket(address, length, SOCK_DGRAM);
        fds[1] = fds[0] < 0 ? -1 : open_socket(address, length, SOCK_STREAM);
        if (fds[1] >= 0) {
            return true;
        }
        if (fds[0] >= 0) {
            close(fds[0]);
        }
    }
    return false;
}

struct dns_server *dns_server_new(struct ev_loop *loop, const char *host) {
    struct dns_server *server = calloc(1, sizeof *server);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    int fds[2];
    if (!server || !open_sockets(host, &address, fds)) {
        free(server);
        return NULL;
    }
    server->loop = loop;
    unsigned port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    snprintf(server->address, sizeof server->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    ev_init(&server->udp, on_datagram);
    ev_init(&server->tcp, on_caller);
    server->udp.data = server->tcp.data = server;
    for (size_t i = 0; i < CALLERS; i++) {
        ev_init(&server->callers[i].io, on_bytes);
        server->callers[i].io.data = server;
    }
    watch(server, &server->udp, fds[0]);
    watch(server, &server->tcp, fds[1]);
    return server;
}

void dns_server_free(struct dns_server *server) {
    for (size_t i = 0; i < CALLERS; i++) {
        unwatch(server, &server->callers[i].io);
    }
    unwatch(server, &server->udp);
    unwatch(server, &server->tcp);
    free(server);
}

const char *dns_server_address(const struct dns_server *server) {
    return server->address;
}

void dns_server_set_mood(struct dns_server *server, enum dns_mood mood) {
    server->mood = mood;
}

unsigned dns_server_asked(const struct dns_server *server) {
    return server->asked;
}

unsigned dns_server_asked_tcp(const struct dns_server *server) {
    return server->asked_tcp;
}

const char *dns_server_last_name(const struct dns_server *server) {
    return server->last_name;
}

void dns_server_add(struct dns_server *server, const char *name, enum dns_type type, uint32_t ttl,
                    const void *data, size_t size) {
    if (server->count == RECORDS || size > DATA || strlen(name) >= NAME) {
        abort();
    }
    struct record *record = &server->records[server->count++];
    snprintf(record->name, sizeof record->name, "%s", name);
    record->type = type;
    record->ttl = ttl;
    record->size = size;
    memcpy(record->data, data, size);
}

static void add_packet(struct dns_server *server, const char *name, enum dns_type type, uint32_t ttl,
                       const struct packet *data) {
    dns_server_add(server, name, type, ttl, data->bytes, data->size);
}

void dns_server_add_text(struct dns_server *server, const char *name, enum dns_type type, uint32_t ttl,
                         const char *text) {
    static struct packet data;
    unsigned char address[sizeof(struct in6_addr)];
    data.size = 0;
    if (type == DNS_A || type == DNS_AAAA) {
        if (inet_pton(type == DNS_A ? AF_INET : AF_INET6, text, address) != 1) {
            abort();
        }
        put(&data, address, type == DNS_A ? sizeof(struct in_addr) : sizeof(struct in6_addr));
    } else {
        put_name(&data, text);
    }
    add_packet(server, name, type, ttl, &data);
}

void dns_server_add_mx(struct dns_server *server, const char *name, uint32_t ttl, uint16_t priority,
                       const char *host) {
    static struct packet data;
    data.size = 0;
    put_16(&data, priority);
    put_name(&data, host);
    add_packet(server, name, DNS_MX, ttl, &data);
}

void dns_server_add_srv(struct dns_server *server, const char *name, uint32_t ttl, const uint16_t numbers[3],
                        const char *host) {
    static struct packet data;
    data.size = 0;
    for (int i = 0; i < 3; i++) {
        put_16(&data, numbers[i]);
    }
    put_name(&data, host);
    add_packet(server, name, DNS_SRV, ttl, &data);
}

void dns_server_clear(struct dns_server *server) {
    server->count = 0;
}
