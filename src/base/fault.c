#include "base/fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int error;
    const char *code;
} codes[] = {
    {ETIMEDOUT, "timeout"},
    {ECONNREFUSED, "refused"},
    {ECONNRESET, "reset"},
    {EPIPE, "reset"},
    {ECONNABORTED, "reset"},
    {EBADF, "closed"},
    {ENOTCONN, "closed"},
    {ESHUTDOWN, "closed"},
    {EADDRINUSE, "in_use"},
    {EADDRNOTAVAIL, "unavailable"},
    {EACCES, "denied"},
    {EPERM, "denied"},
    {EROFS, "denied"},
    {ENOENT, "not_found"},
    {EEXIST, "exists"},
    {ENOTEMPTY, "exists"},
    {ENETUNREACH, "unreachable"},
    {EHOSTUNREACH, "unreachable"},
    {ENETDOWN, "unreachable"},
    {EHOSTDOWN, "unreachable"},
    {EMFILE, "descriptors"},
    {ENFILE, "descriptors"},
    {ENOMEM, "memory"},
    {ENOBUFS, "memory"},
    {EBUSY, "busy"},
    {EALREADY, "busy"},
    {ECANCELED, "cancelled"},
    {EMSGSIZE, "too_large"},
    {EINVAL, "invalid"},
    {ENOEXEC, "invalid"},
    {EAFNOSUPPORT, "invalid"},
    {EPROTONOSUPPORT, "invalid"},
    {EPROTO, "protocol"},
    {EISDIR, "invalid"},
    {ENOTDIR, "invalid"},
    {ENAMETOOLONG, "invalid"},
    {ENOSPC, "full"},
    {EDQUOT, "full"},
};

static const char *const everyday[] = {"timeout", "closed", "eof", "reset", "busy", "cancelled", "too_large"};

const char *mw_fault_code(int error) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].error == error) {
            return codes[i].code;
        }
    }
    return "system";
}

bool mw_fault_everyday(const char *code) {
    for (size_t i = 0; i < sizeof everyday / sizeof *everyday; i++) {
        if (strcmp(everyday[i], code) == 0) {
            return true;
        }
    }
    return false;
}

/* What the system calls the error, without the capital letter: it stands behind a colon. */
static void describe(int error, char *text, size_t size) {
    const char *description = strerrordesc_np(error);
    if (!description) {
        snprintf(text, size, "error %d", error);
        return;
    }
    const char *remedy = "";
    if (error == EMFILE) {
        remedy = " (raise the limit of open files: ulimit -n, LimitNOFILE=)";
    } else if (error == ENFILE) {
        remedy = " (raise the system's limit of open files: sysctl fs.file-max)";
    }
    snprintf(text, size, "%s%s", description, remedy);
    text[0] = (char)tolower((unsigned char)text[0]);
}

void mw_fault_set(struct mw_fault *fault, int error, const char *operation, const char *subject) {
    fault->code = mw_fault_code(error);
    if (mw_fault_everyday(fault->code)) {
        snprintf(fault->message, sizeof fault->message, "%s", fault->code);
        return;
    }
    char what[128];
    describe(error, what, sizeof what);
    if (!subject) {
        snprintf(fault->message, sizeof fault->message, "%.60s: %s", operation, what);
        return;
    }
    /* A long subject is cut, never the reason behind it. */
    size_t room = sizeof fault->message - strlen(what) - 60 - sizeof " ...: ";
    const char *dots = strlen(subject) > room ? "..." : "";
    snprintf(fault->message, sizeof fault->message, "%.60s %.*s%s: %s", operation, (int)room, subject, dots,
             what);
}

void mw_fault_format(struct mw_fault *fault, const char *code, const char *format, ...) {
    fault->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
}
