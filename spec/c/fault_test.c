/* layers: base */
#include "base/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_error_has_its_code(void **state) {
    (void)state;
    static const struct {
        int error;
        const char *code;
    } cases[] = {
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
        {EAFNOSUPPORT, "invalid"},
        {EPROTONOSUPPORT, "invalid"},
        {EPROTO, "protocol"},
        {EISDIR, "invalid"},
        {ENOTDIR, "invalid"},
        {ENAMETOOLONG, "invalid"},
        {ENOSPC, "full"},
        {EDQUOT, "full"},
        {EIO, "system"},
        {12345, "system"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(mw_fault_code(cases[i].error), cases[i].code);
    }
}

static void everyday_words(void **state) {
    (void)state;
    static const char *const words[] = {"timeout", "closed",    "eof",      "reset",
                                        "busy",    "cancelled", "too_large"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char copy[16];
        strcpy(copy, words[i]);
        assert_true(mw_fault_everyday(copy));
    }
    assert_false(mw_fault_everyday("refused"));
    assert_false(mw_fault_everyday(""));
}

static void assert_message(int error, const char *operation, const char *subject, const char *message) {
    struct mw_fault fault;
    mw_fault_set(&fault, error, operation, subject);
    assert_string_equal(fault.code, mw_fault_code(error));
    assert_string_equal(fault.message, message);
}

static void messages_name_operation_and_subject(void **state) {
    (void)state;
    assert_message(ECONNREFUSED, "connect", "10.0.0.1:25", "connect 10.0.0.1:25: connection refused");
    assert_message(EADDRINUSE, "listen", "[::1]:80", "listen [::1]:80: address already in use");
    assert_message(EACCES, "listen", NULL, "listen: permission denied");
    assert_message(12345, "read", "x", "read x: error 12345");
}

static void everyday_codes_are_their_own_message(void **state) {
    (void)state;
    assert_message(ETIMEDOUT, "connect", "10.0.0.1:25", "timeout");
    assert_message(EPIPE, "write", "10.0.0.1:25", "reset");
}

static void a_full_table_names_the_remedy(void **state) {
    (void)state;
    assert_message(
        EMFILE, "accept", "*:80",
        "accept *:80: too many open files (raise the limit of open files: ulimit -n, LimitNOFILE=)");
    struct mw_fault fault;
    mw_fault_set(&fault, ENFILE, "accept", "*:80");
    assert_non_null(strstr(fault.message, "limit of open files: sysctl fs.file-max"));
}

static void a_long_subject_keeps_the_reason(void **state) {
    (void)state;
    char subject[600];
    memset(subject, 's', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    struct mw_fault fault;
    mw_fault_set(&fault, ECONNREFUSED, "connect", subject);
    static const char end[] = "s...: connection refused";
    size_t length = strlen(fault.message);
    assert_true(length < MW_FAULT_MESSAGE);
    assert_string_equal(fault.message + length - strlen(end), end);
    mw_fault_set(&fault, EMFILE, subject, subject);
    assert_int_equal(fault.message[strlen(fault.message) - 1], ')');
}

static void a_message_of_ones_own(void **state) {
    (void)state;
    struct mw_fault fault;
    mw_fault_format(&fault, "not_found", "resolve %s: no address in %d answers", "example.org", 3);
    assert_string_equal(fault.code, "not_found");
    assert_string_equal(fault.message, "resolve example.org: no address in 3 answers");
    mw_fault_format(&fault, "invalid", "%0500d", 1);
    assert_int_equal(strlen(fault.message), MW_FAULT_MESSAGE - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_code),
        cmocka_unit_test(everyday_words),
        cmocka_unit_test(messages_name_operation_and_subject),
        cmocka_unit_test(everyday_codes_are_their_own_message),
        cmocka_unit_test(a_full_table_names_the_remedy),
        cmocka_unit_test(a_long_subject_keeps_the_reason),
        cmocka_unit_test(a_message_of_ones_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
