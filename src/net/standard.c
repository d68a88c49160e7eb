#include "net/standard.h"

#include "net/socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_PASSED = 3, MOST_PASSED = 64 }; /* descriptors of systemd, see sd_listen_fds(3) */

/* --- what a descriptor is --- */

static int socket_option(int fd, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

static bool listens(int fd) {
    return socket_option(fd, SO_ACCEPTCONN) == 1;
}

static bool is_connection(int fd) {
    return socket_option(fd, SO_TYPE) == SOCK_STREAM && !listens(fd);
}

/* Whether both are the same socket. */
static bool is_same(int fd, int other) {
    struct stat one, two;
    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && S_ISSOCK(one.st_mode) && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

/* --- which is the connection --- */

static long number_in(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

/* What systemd has passed is ours alone, and not for the processes that we start. */
static int take_passed(void) {
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    long count = number_in("LISTEN_PID") == (long)getpid() ? number_in("LISTEN_FDS") : 0;
    int found = -1;
    for (int fd = FIRST_PASSED; fd < FIRST_PASSED + MOST_PASSED && fd - FIRST_PASSED < count; fd++) {
        if (found < 0 && is_connection(fd)) {
            found = fd;
        }
    }
    for (size_t i = 0; count > 0 && i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
    return found;
}

static bool refuse(struct mw_fault *fault, const char *why) {
    mw_fault_format(fault, "invalid", "--stdio: %s", why);
    return false;
}

static bool check_standard(struct mw_fault *fault) {
    if (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0) {
        return refuse(fault, "standard input or output is closed");
    }
    if (listens(STDIN_FILENO)) {
        return refuse(fault, "standard input is a listening socket; serve it with --listen fd://0");
    }
    if (socket_option(STDIN_FILENO, SO_TYPE) == SOCK_DGRAM) {
        return refuse(fault, "standard input is a datagram socket; serve it with --listen fd://0");
    }
    return true;
}

/* --- one descriptor --- */

/* The standard descriptors that are the connection lead elsewhere from now on. */
static bool redirect(struct mw_standard *standard, int socket) {
    bool has_log = !is_same(STDERR_FILENO, socket);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool ok = null >= 0;
    if (is_same(STDIN_FILENO, socket)) {
        ok = ok && dup2(null, STDIN_FILENO) >= 0;
    }
    if (!has_log) {
        ok = ok && dup2(null, STDERR_FILENO) >= 0;
    }
    if (is_same(STDOUT_FILENO, socket)) {
        ok = ok && dup2(fcntl(STDERR_FILENO, F_GETFD) < 0 ? null : STDERR_FILENO, STDOUT_FILENO) >= 0;
    }
    standard->without_log = !has_log;
    if (null > STDERR_FILENO) {
        close(null);
    }
    return ok;
}

bool mw_standard_take(struct mw_standard *standard, struct mw_fault *fault) {
    int passed = take_passed(), socket = passed;
    *standard = (struct mw_standard){.input = STDIN_FILENO, .output = STDOUT_FILENO};
    if (socket < 0 && !check_standard(fault)) {
        return false;
    }
    if (socket < 0 && is_connection(STDIN_FILENO) && is_same(STDIN_FILENO, STDOUT_FILENO)) {
        socket = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, FIRST_PASSED);
    } else if (socket < 0) {
        return true;
    }
    if (socket < 0 || !redirect(standard, socket)) {
        return refuse(fault, "the connection cannot be taken off standard input and output");
    }
    mw_socket_adopt(socket);
    standard->input = standard->output = socket;
    return true;
}

struct mw_stream *mw_standard_open(struct mw_standard *standard, struct mw_net *net, struct mw_addr *peer) {
    int fd = standard->input;
    bool is_socket = fd == standard->output;
    *peer = (struct mw_addr){.length = sizeof peer->storage};
    if (!is_socket || getpeername(fd, &peer->any, &peer->length) != 0) {
        *peer = (struct mw_addr){.length = 0};
    }
    struct mw_stream *stream = is_socket ? mw_stream_new(net, fd, &mw_plain_ops, NULL)
                                         : mw_stream_new_pair(net, fd, standard->output);
    if (stream) {
        standard->input = standard->output = -1;
    }
    return stream;
}
