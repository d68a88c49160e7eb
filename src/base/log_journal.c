#include "base/log_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FIELDS_MOST = 64,
    NAME_MOST = 64, /* bytes of a field's name: longer ones are ignored by the journal */
    HEAD_MOST = NAME_MOST + 1 + sizeof(uint64_t),
    VALUE_MOST = 64 * 1024,
    ROOM = 8 * 1024 * 1024, /* of the socket, as far as the kernel grants it */
};

/* Of enum mw_log_level, in the words of syslog(3). */
static const char *const priorities[] = {"7", "6", "4", "3"};

/* The entry as it is put together. */
static struct {
    char heads[FIELDS_MOST][HEAD_MOST];
    struct iovec pieces[FIELDS_MOST * 3];
    size_t fields, count, size;
} entry;

static unsigned long lost; /* entries since the last one that the journal took */

int mw_log_journal_open(void) {
    int room = ROOM;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    return fd;
}

/* --- putting an entry together --- */

static void add_piece(const void *bytes, size_t size) {
    entry.pieces[entry.count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    entry.size += size;
}

/* A value with line ends stands behind its length, in little-endian. */
static size_t end_head(char *head, size_t length, size_t size, bool lines) {
    if (!lines) {
        head[length++] = '=';
        return length;
    }
    head[length++] = '\n';
    for (size_t i = 0; i < sizeof(uint64_t); i++) {
        head[length++] = (char)((uint64_t)size >> (8 * i) & 0xff);
    }
    return length;
}

/* The value must outlive the entry. */
static void add_field(const char *name, size_t length, const char *value, size_t size) {
    char *head = entry.heads[entry.fields++];
    memcpy(head, name, length);
    add_piece(head, end_head(head, length, size, size > 0 && memchr(value, '\n', size)));
    add_piece(value, size);
    add_piece("\n", 1);
}

static void add_text(const char *name, const char *value) {
    add_field(name, strlen(name), value, strlen(value));
}

/* Names are made of capital letters, digits and '_'. */
static size_t write_name(char name[NAME_MOST], const char *key) {
    static const char prefix[] = "MOONWIRE_";
    size_t length = sizeof prefix - 1;
    memcpy(name, prefix, length);
    for (; *key && length < NAME_MOST; key++) {
        char letter = *key;
        if (letter >= 'a' && letter <= 'z') {
            letter = (char)(letter - 'a' + 'A');
        } else if (!(letter >= 'A' && letter <= 'Z') && !(letter >= '0' && letter <= '9')) {
            letter = '_';
        }
        name[length++] = letter;
    }
    return length;
}

static void add_fields(const struct mw_log_field *fields, size_t count) {
    enum { OURS = 5 }; /* fields that are added besides */
    bool fits = count <= FIELDS_MOST - OURS;
    for (size_t i = 0; i < count && i < FIELDS_MOST - OURS; i++) {
        char name[NAME_MOST];
        size_t length = write_name(name, fields[i].key);
        size_t size = fields[i].length < VALUE_MOST ? fields[i].length : VALUE_MOST;
        fits = fits && size == fields[i].length;
        add_field(name, length, fields[i].value, size);
    }
    if (!fits) {
        add_text("MOONWIRE_TRUNCATED", "true");
    }
}

/* --- sending it --- */

/* 0 or errno. `file`: a descriptor that holds the entry, instead of the pieces; -1: none. */
static int send_entry(int fd, int file) {
    static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    union {
        char bytes[CMSG_SPACE(sizeof file)];
        struct cmsghdr aligned;
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)&journal, .msg_namelen = sizeof journal};
    if (file < 0) {
        message.msg_iov = entry.pieces;
        message.msg_iovlen = entry.count;
    } else {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof file);
        memcpy(CMSG_DATA(header), &file, sizeof file);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* The journal maps the file: it takes only one that cannot change any more. */
static int send_file(int fd) {
    int file = memfd_create("moonwire-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) {
        return errno;
    }
    int error = EIO;
    if (writev(file, entry.pieces, (int)entry.count) == (ssize_t)entry.size &&
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0) {
        error = send_entry(fd, file);
    }
    close(file);
    return error;
}

void mw_log_journal_send(int fd, enum mw_log_level level, const char *message, size_t length,
                         const struct mw_log_field *fields, size_t count) {
    char number[24];
    entry.fields = entry.count = entry.size = 0;
    add_field("MESSAGE", sizeof "MESSAGE" - 1, message, length);
    add_text("PRIORITY", priorities[level]);
    add_text("SYSLOG_IDENTIFIER", "moonwire");
    if (lost > 0) {
        snprintf(number, sizeof number, "%lu", lost);
        add_text("MOONWIRE_LOST", number);
    }
    add_fields(fields, count);
    int error = send_entry(fd, -1);
    if (error == EMSGSIZE || error == ENOBUFS) {
        error = send_file(fd);
    }
    lost = error ? lost + 1 : 0;
}

bool mw_log_journal_has_stderr(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    char more;
    return stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &more) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}
