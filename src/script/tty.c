#include "script/tty.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const int fatal[] = {SIGHUP,  SIGQUIT, SIGILL,  SIGABRT, SIGBUS, SIGFPE,
                            SIGSEGV, SIGALRM, SIGUSR1, SIGUSR2, SIGSYS, SIGXCPU};
enum { FATALS = sizeof fatal / sizeof *fatal };

static struct termios kept;
static volatile sig_atomic_t keeping, screen_taken;
static struct sigaction previous[FATALS];

bool mw_tty_is_there(void) {
    const char *kind = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
}

static void leave_screen(void) {
    static const char order[] = "\033[?25h\033[?1049l";
    screen_taken = 0;
    mw_tty_write(order, sizeof order - 1);
}

void mw_tty_restore(void) {
    int saved = errno;
    if (screen_taken) {
        leave_screen();
    }
    if (keeping) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &kept);
    }
    errno = saved;
}

/* The signal comes again when this returns, and does what it would have done. */
static void on_fatal(int number) {
    mw_tty_restore();
    for (size_t i = 0; i < FATALS; i++) {
        if (fatal[i] == number) {
            sigaction(number, &previous[i], NULL);
        }
    }
    raise(number);
}

void mw_tty_keep(void) {
    static bool at_exit;
    struct sigaction action = {.sa_handler = on_fatal};
    sigemptyset(&action.sa_mask);
    if (keeping || tcgetattr(STDIN_FILENO, &kept) < 0) {
        return;
    }
    keeping = 1;
    for (size_t i = 0; i < FATALS; i++) {
        sigaction(fatal[i], NULL, &previous[i]);
        if (previous[i].sa_handler != SIG_IGN) {
            sigaction(fatal[i], &action, NULL);
        }
    }
    if (!at_exit) {
        at_exit = true;
        atexit(mw_tty_restore);
    }
}

/* Handlers that others have put in their place since stay. */
void mw_tty_release(void) {
    mw_tty_restore();
    for (size_t i = 0; keeping && i < FATALS; i++) {
        struct sigaction present;
        if (sigaction(fatal[i], NULL, &present) == 0 && present.sa_handler == on_fatal) {
            sigaction(fatal[i], &previous[i], NULL);
        }
    }
    keeping = 0;
}

bool mw_tty_take_screen(void) {
    static const char order[] = "\033[?1049h\033[?25l\033[H\033[2J";
    struct termios modes = kept;
    modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    modes.c_cc[VSUSP] = _POSIX_VDISABLE;
    if (!keeping || tcsetattr(STDIN_FILENO, TCSADRAIN, &modes) < 0) {
        return false;
    }
    screen_taken = 1;
    mw_tty_write(order, sizeof order - 1);
    return true;
}

int mw_tty_columns(void) {
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

int mw_tty_rows(void) {
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    return known ? size.ws_row : 24;
}

void mw_tty_write(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written >= 0) {
            bytes += written;
            length -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd there = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&there, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}
