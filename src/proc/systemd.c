#include "proc/systemd.h"

#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST = 3,              /* of the descriptors that are handed over */
    DESCRIPTORS_MOST = 4096,
    STORED_AT_ONCE = 64,
    STATUS_MOST = 500,      /* bytes */
    TRIES = 100, PAUSE = 10 /* milliseconds between two, while the manager's queue is full */
};

struct slot {
    int fd; /* -1: taken */
    char name[MW_SYSTEMD_NAME];
};

struct mw_systemd {
    int notifier;           /* -1: there is no manager */
    struct sockaddr_un manager;
    socklen_t manager_length;
    double interval;        /* of the watchdog */
    int count;
    struct slot slots[];
};

/* --- the environment --- */

/* The number in the variable; -1: there is none, -2: it is no number. */
static int64_t number_in(const char *variable) {
    const char *text = getenv(variable);
    char *end;
    if (!text) {
        return -1;
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno || end == text || *end || number < 0 ? -2 : number;
}

static bool is_ours(int64_t pid) {
    return pid == getpid();
}

static bool nonsense(struct mw_fault *fault, const char *variable) {
    mw_fault_format(fault, "invalid", "the environment variable %s=%s makes no sense", variable, getenv(variable));
    return false;
}

/* How many descriptors are for us; -1 and `fault`. */
static int count_descriptors(struct mw_fault *fault) {
    int64_t count = number_in("LISTEN_FDS");
    if (!is_ours(number_in("LISTEN_PID")) || count == -1) {
        return 0;
    }
    if (count < 0 || count > DESCRIPTORS_MOST) {
        nonsense(fault, "LISTEN_FDS");
        return -1;
    }
    return (int)count;
}

/* The names stand in one text, with colons between. */
static void name_slots(struct mw_systemd *systemd) {
    const char *names = getenv("LISTEN_FDNAMES");
    for (int i = 0; i < systemd->count; i++) {
        size_t length = names ? strcspn(names, ":") : 0;
        snprintf(systemd->slots[i].name, MW_SYSTEMD_NAME, "%.*s", (int)length, names ? names : "");
        if (names) {
            names += length + (names[length] == ':');
        }
    }
}

static bool adopt_descriptors(struct mw_systemd *systemd, struct mw_fault *fault) {
    for (int i = 0; i < systemd->count; i++) {
        if (fcntl(FIRST + i, F_GETFD) < 0) {
            systemd->count = i;
            return nonsense(fault, "LISTEN_FDS");
        }
        mw_socket_adopt(FIRST + i);
        systemd->slots[i].fd = FIRST + i;
    }
    name_slots(systemd);
    return true;
}

static bool read_watchdog(struct mw_systemd *systemd, struct mw_fault *fault) {
    int64_t pid = number_in("WATCHDOG_PID"), microseconds = number_in("WATCHDOG_USEC");
    if (microseconds == -1 || (pid != -1 && !is_ours(pid))) {
        return true;
    }
    if (microseconds <= 0) {
        return nonsense(fault, "WATCHDOG_USEC");
    }
    systemd->interval = (double)microseconds * 1e-6 / 2;
    return true;
}

static bool find_manager(struct mw_systemd *systemd, struct mw_fault *fault) {
    const char *place = getenv("NOTIFY_SOCKET");
    if (!place) {
        return true;
    }
    size_t length = strlen(place);
    if ((place[0] != '/' && place[0] != '@') || length < 2 || length >= sizeof systemd->manager.sun_path) {
        return nonsense(fault, "NOTIFY_SOCKET");
    }
    systemd->manager.sun_family = AF_UNIX;
    memcpy(systemd->manager.sun_path, place, length);
    systemd->manager_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (place[0] == '@') {
        systemd->manager.sun_path[0] = '\0';
    } else {
        systemd->manager_length++;
    }
    systemd->notifier = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (systemd->notifier < 0) {
        mw_fault_set(fault, errno, "notify", place);
        return false;
    }
    return true;
}

static void clear_environment(void) {
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                            "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
}

static struct mw_systemd *read_environment(struct mw_fault *fault) {
    int count = count_descriptors(fault);
    if (count < 0) {
        return NULL;
    }
    struct mw_systemd *systemd = calloc(1, sizeof *systemd + (size_t)count * sizeof systemd->slots[0]);
    if (!systemd) {
        mw_fault_set(fault, ENOMEM, "start", "under systemd");
        return NULL;
    }
    systemd->notifier = -1;
    systemd->count = count;
    if (!adopt_descriptors(systemd, fault) || !read_watchdog(systemd, fault) || !find_manager(systemd, fault)) {
        mw_systemd_free(systemd);
        return NULL;
    }
    return systemd;
}

struct mw_systemd *mw_systemd_new(struct mw_fault *fault) {
    struct mw_systemd *systemd = read_environment(fault);
    clear_environment();
    return systemd;
}

static void shut(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void mw_systemd_free(struct mw_systemd *systemd) {
    for (int i = 0; i < systemd->count; i++) {
        shut(&systemd->slots[i].fd);
    }
    shut(&systemd->notifier);
    free(systemd);
}

/* --- descriptors --- */

static int take(struct slot *slot, char name[MW_SYSTEMD_NAME]) {
    int fd = slot->fd;
    if (name) {
        memcpy(name, slot->name, MW_SYSTEMD_NAME);
    }
    slot->fd = -1;
    return fd;
}

int mw_systemd_left(const struct mw_systemd *systemd) {
    int left = 0;
    for (int i = 0; i < systemd->count; i++) {
        left += systemd->slots[i].fd >= 0;
    }
    return left;
}

static bool has(int fd, int option, int value) {
    int found = -1;
    socklen_t length = sizeof found;
    return getsockopt(fd, SOL_SOCKET, option, &found, &length) == 0 && found == value;
}

static bool is_bound(int fd, const struct mw_addr *addr, int type) {
    struct mw_addr local;
    char one[MW_ADDR_TEXT], other[MW_ADDR_TEXT];
    if (!has(fd, SO_TYPE, type) || (type == SOCK_STREAM && !has(fd, SO_ACCEPTCONN, 1))) {
        return false;
    }
    mw_socket_local(fd, &local);
    return local.length > 0 && local.any.sa_family == addr->any.sa_family &&
           strcmp(mw_addr_format(&local, one), mw_addr_format(addr, other)) == 0;
}

int mw_systemd_take(struct mw_systemd *systemd, const struct mw_addr *addr, int type, char name[MW_SYSTEMD_NAME]) {
    for (int i = 0; i < systemd->count; i++) {
        struct slot *slot = &systemd->slots[i];
        if (slot->fd >= 0 && is_bound(slot->fd, addr, type)) {
            return take(slot, name);
        }
    }
    return -1;
}

int mw_systemd_take_named(struct mw_systemd *systemd, const char *name) {
    for (int i = 0; i < systemd->count; i++) {
        struct slot *slot = &systemd->slots[i];
        if (slot->fd >= 0 && strcmp(slot->name, name) == 0) {
            return take(slot, NULL);
        }
    }
    return -1;
}

/* --- notification --- */

static bool send_message(const struct mw_systemd *systemd, const struct msghdr *message) {
    const struct timespec pause = {.tv_nsec = PAUSE * 1000000};
    for (int tries = 0; tries < TRIES; tries++) {
        if (sendmsg(systemd->notifier, message, MSG_NOSIGNAL) >= 0) {
            return true;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    errno = EAGAIN;
    return false;
}

static bool tell(const struct mw_systemd *systemd, const char *text, const int *descriptors, int count) {
    union {
        char bytes[CMSG_SPACE(STORED_AT_ONCE * sizeof(int))];
        struct cmsghdr aligned;
    } control = {.bytes = {0}};
    struct iovec piece = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_name = (struct sockaddr_un *)(uintptr_t)&systemd->manager,
                             .msg_namelen = systemd->manager_length,
                             .msg_iov = &piece,
                             .msg_iovlen = 1};
    if (systemd->notifier < 0) {
        return true;
    }
    if (count > 0) {
        size_t size = (size_t)count * sizeof *descriptors;
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), descriptors, size);
    }
    return send_message(systemd, &message);
}

bool mw_systemd_notifies(const struct mw_systemd *systemd) {
    return systemd->notifier >= 0;
}

/* `words`, and `status` on a line of its own behind them unless it is NULL. */
static bool tell_status(const struct mw_systemd *systemd, const char *words, const char *status) {
    char text[STATUS_MOST + 100];
    size_t length = (size_t)snprintf(text, sizeof text, "%s%s", words, status ? "STATUS=" : "");
    if (status) {
        snprintf(text + length, STATUS_MOST, "%s", status);
        for (char *end = text + length; (end = strchr(end, '\n'));) {
            *end = ' ';
        }
    }
    return tell(systemd, text, NULL, 0);
}

bool mw_systemd_ready(const struct mw_systemd *systemd, const char *status) {
    return tell_status(systemd, "READY=1\n", status);
}

bool mw_systemd_reloading(const struct mw_systemd *systemd, const char *status) {
    char words[80];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t microseconds = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", microseconds);
    return tell_status(systemd, words, status);
}

bool mw_systemd_stopping(const struct mw_systemd *systemd, const char *status) {
    return tell_status(systemd, "STOPPING=1\n", status);
}

bool mw_systemd_status(const struct mw_systemd *systemd, const char *format, ...) {
    char status[STATUS_MOST];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status, sizeof status, format, arguments);
    va_end(arguments);
    return tell_status(systemd, "", status);
}

bool mw_systemd_main_pid(const struct mw_systemd *systemd, pid_t pid) {
    char text[40];
    snprintf(text, sizeof text, "MAINPID=%d\n", (int)pid);
    return tell(systemd, text, NULL, 0);
}

double mw_systemd_watchdog_interval(const struct mw_systemd *systemd) {
    return systemd->interval;
}

bool mw_systemd_watchdog(const struct mw_systemd *systemd) {
    return tell(systemd, "WATCHDOG=1\n", NULL, 0);
}

/* --- the store --- */

static bool is_name(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (name[i] < ' ' || name[i] > '~' || name[i] == ':') {
            return false;
        }
    }
    return length > 0 && length < MW_SYSTEMD_NAME;
}

/* FDPOLL=0: a socket with an error pending is kept, too. */
bool mw_systemd_store(const struct mw_systemd *systemd, const char *name, const int *descriptors, int count) {
    char text[MW_SYSTEMD_NAME + 60];
    if (!is_name(name) || count < 1 || count > STORED_AT_ONCE) {
        errno = EINVAL;
        return false;
    }
    snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0\n", name);
    return tell(systemd, text, descriptors, count);
}

bool mw_systemd_unstore(const struct mw_systemd *systemd, const char *name) {
    char text[MW_SYSTEMD_NAME + 60];
    if (!is_name(name)) {
        errno = EINVAL;
        return false;
    }
    snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
    return tell(systemd, text, NULL, 0);
}

void mw_systemd_drop_rest(struct mw_systemd *systemd, const char *prefix) {
    for (int i = 0; i < systemd->count; i++) {
        struct slot *slot = &systemd->slots[i];
        if (slot->fd >= 0 && strncmp(slot->name, prefix, strlen(prefix)) == 0) {
            mw_systemd_unstore(systemd, slot->name);
            shut(&slot->fd);
        }
    }
}
