/* Failures of the world, in the one shape that scripts see: a stable code word
 * and a message that names the operation and the peer. Codes are static
 * strings, compared by content outside this file. */
#ifndef MW_BASE_FAULT_H
#define MW_BASE_FAULT_H

#include <stdbool.h>

enum { MW_FAULT_MESSAGE = 320 };

struct mw_fault {
    const char *code;               /* "refused"; NULL: no fault */
    char message[MW_FAULT_MESSAGE]; /* "connect 10.0.0.1:25: connection refused" */
};

/* The code word of an errno value: "timeout" ETIMEDOUT, "refused", "reset"
 * (ECONNRESET, EPIPE, ECONNABORTED), "closed" (EBADF, ENOTCONN, ESHUTDOWN),
 * "in_use" EADDRINUSE, "unavailable" EADDRNOTAVAIL, "denied" (EACCES, EPERM, EROFS),
 * "not_found" ENOENT, "exists" (EEXIST, ENOTEMPTY), "unreachable" (ENETUNREACH,
 * EHOSTUNREACH, ENETDOWN, EHOSTDOWN), "descriptors" (EMFILE, ENFILE),
 * "memory" (ENOMEM, ENOBUFS), "busy" (EBUSY, EALREADY), "cancelled" ECANCELED, "too_large" EMSGSIZE,
 * "invalid" (EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, EISDIR, ENOTDIR, ENAMETOOLONG), "full" (ENOSPC,
 * EDQUOT), "protocol" EPROTO; anything else "system". */
const char *mw_fault_code(int error);

/* Whether the code is one of the everyday words (timeout, closed, eof, reset,
 * busy, cancelled, too_large), for which the message is the word itself. */
bool mw_fault_everyday(const char *code);

/* Fills `fault` from errno value `error`: "OPERATION SUBJECT: what happened".
 * EMFILE and ENFILE add the remedy (raise the limit of open files). `subject`
 * may be NULL; a long one is cut, so that the reason always stands there. An
 * everyday code gets the word itself as its message. */
void mw_fault_set(struct mw_fault *fault, int error, const char *operation, const char *subject);

/* Fills `fault` with a code of the caller's and a printf message. */
void mw_fault_format(struct mw_fault *fault, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
