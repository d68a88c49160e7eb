/* layers: base */
/* wrap: sendmsg socket memfd_create */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 400 * 1024 };

/* The journal's end, and what is wrong with the way to it. */
static int journal = -1, way = -1;
static struct { int error, times; } on_sendmsg;
static int socket_error, memfd_error;

ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");
int wrapped_socket(int family, int type, int protocol) __asm__("__wrap_socket");
int libc_socket(int family, int type, int protocol) __asm__("__real_socket");
int wrapped_memfd_create(const char *name, unsigned flags) __asm__("__wrap_memfd_create");
int libc_memfd_create(const char *name, unsigned flags) __asm__("__real_memfd_create");

/* What is meant for the journal's path arrives at our end of a pair. */
ssize_t wrapped_sendmsg(int fd, const struct msghdr *message, int flags) {
    const struct sockaddr_un *to = message->msg_name;
    struct msghdr turned = *message;
    assert_true(fd >= 0 && flags & MSG_NOSIGNAL);
    assert_string_equal(to->sun_path, "/run/systemd/journal/socket");
    if (on_sendmsg.times > 0) {
        on_sendmsg.times--;
        errno = on_sendmsg.error;
        return -1;
    }
    turned.msg_name = NULL;
    turned.msg_namelen = 0;
    return libc_sendmsg(way, &turned, flags);
}

int wrapped_socket(int family, int type, int protocol) {
    errno = socket_error;
    return socket_error ? -1 : libc_socket(family, type, protocol);
}

int wrapped_memfd_create(const char *name, unsigned flags) {
    errno = memfd_error;
    return memfd_error ? -1 : libc_memfd_create(name, flags);
}

static int open_all(void **state) {
    (void)state;
    int ends[2];
    on_sendmsg.times = socket_error = memfd_error = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    journal = ends[0];
    way = ends[1];
    mw_log_set_level(MW_LOG_DEBUG);
    mw_log_set_format(MW_LOG_JSON); /* which does not matter here */
    assert_true(mw_log_open_journal());
    return 0;
}

static int close_all(void **state) {
    (void)state;
    mw_log_set_level(MW_LOG_ERROR);
    on_sendmsg.times = 0;
    mw_log_open(NULL);
    mw_log_set_format(MW_LOG_TEXT);
    close(journal);
    close(way);
    return 0;
}

/* The last entry, as it came. */
static char got[MOST];
static size_t got_size;
static int got_file; /* that it came in; -1: none */

static size_t read_file(int fd) {
    struct stat status;
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(pread(fd, got, sizeof got, 0), status.st_size);
    return (size_t)status.st_size;
}

/* Whether an entry has come. */
static bool take_entry(void) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec piece = {.iov_base = got, .iov_len = sizeof got};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(journal, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
    got_size = size < 0 ? 0 : (size_t)size;
    got_file = -1;
    if (header) {
        assert_int_equal(size, 0);
        memcpy(&got_file, CMSG_DATA(header), sizeof got_file);
        got_size = read_file(got_file);
        close(got_file);
    }
    return size >= 0;
}

/* The value of a field of the entry, as journald reads it; NULL: there is none. */
static const char *find(const char *name, size_t *size) {
    const char *at = got, *end = got + got_size;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(line);
        const char *equals = memchr(at, '=', (size_t)(line - at));
        size_t name_size = (size_t)((equals ? equals : line) - at);
        const char *value = equals ? equals + 1 : line + 9;
        uint64_t length = (uint64_t)(line - value);
        if (!equals) {
            memcpy(&length, line + 1, sizeof length); /* little-endian, as we are here */
            assert_true(value + length < end);
        }
        assert_int_equal(value[length], '\n');
        if (name_size == strlen(name) && memcmp(at, name, name_size) == 0) {
            *size = length;
            return value;
        }
        at = value + length + 1;
    }
    return NULL;
}

static void assert_field(const char *name, const char *expected) {
    size_t size;
    const char *value = find(name, &size);
    if (!value) {
        fail_msg("there is no %s", name);
    }
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(value, expected, size);
}

static void assert_no_field(const char *name) {
    size_t size;
    assert_null(find(name, &size));
}

static struct mw_log_field field(const char *key, const char *value) {
    return (struct mw_log_field){.key = key, .value = value, .length = strlen(value)};
}

static void log_fields(const char *message, const struct mw_log_field *fields, size_t count) {
    mw_log_write(MW_LOG_INFO, message, strlen(message), fields, count);
    assert_true(take_entry());
}

/* --- entries --- */

static void an_entry_has_its_fields(void **state) {
    (void)state;
    const struct mw_log_field fields[] = {field("peer", "10.0.0.1:5"), field("Some-key.2", "two words"),
                                          field("count", "7")};
    log_fields("connection refused", fields, 3);
    assert_field("MESSAGE", "connection refused peer=10.0.0.1:5 Some-key.2=\"two words\" count=7");
    assert_field("PRIORITY", "6");
    assert_field("SYSLOG_IDENTIFIER", "moonwire");
    assert_field("MOONWIRE_PEER", "10.0.0.1:5");
    assert_field("MOONWIRE_SOME_KEY_2", "two words");
    assert_field("MOONWIRE_COUNT", "7");
    assert_no_field("MOONWIRE_LOST");
    assert_no_field("MOONWIRE_TRUNCATED");
    assert_int_equal(got_file, -1);
}

static void levels_are_priorities(void **state) {
    (void)state;
    static const char *const expected[] = {"7", "6", "4", "3"};
    for (int level = MW_LOG_DEBUG; level <= MW_LOG_ERROR; level++) {
        mw_log((enum mw_log_level)level, "level %d", level);
        assert_true(take_entry());
        assert_field("PRIORITY", expected[level]);
    }
    mw_log_set_level(MW_LOG_WARN);
    mw_log(MW_LOG_INFO, "not this one");
    assert_false(take_entry());
}

static void lines_and_any_bytes_arrive_whole(void **state) {
    (void)state;
    const struct mw_log_field fields[] = {
        field("traceback", "a.lua:1: oops\n\tb.lua:2\n"),
        {.key = "bytes", .value = "\0\xff\n=\x1b[0m", .length = 8},
        field("empty", ""),
    };
    size_t size;
    log_fields("task failed", fields, 3);
    assert_field("MESSAGE", "task failed bytes=\"\\x00\\xff\\n=\\x1b[0m\" empty=\"\"\n\ta.lua:1: oops\n\t\tb.lua:2");
    assert_field("MOONWIRE_TRACEBACK", "a.lua:1: oops\n\tb.lua:2\n");
    assert_field("MOONWIRE_EMPTY", "");
    const char *value = find("MOONWIRE_BYTES", &size);
    assert_non_null(value);
    assert_int_equal(size, 8);
    assert_memory_equal(value, fields[1].value, 8);
}

static void a_name_is_cut_where_the_journal_would_ignore_it(void **state) {
    (void)state;
    char key[100], name[65];
    memset(key, 'k', 99);
    key[99] = '\0';
    memset(name, 'K', 64);
    name[64] = '\0';
    memcpy(name, "MOONWIRE_", 9);
    const struct mw_log_field fields[] = {field(key, "v")};
    log_fields("long", fields, 1);
    assert_field(name, "v");
}

static void a_large_entry_goes_by_a_sealed_file(void **state) {
    (void)state;
    static char values[5][64 * 1024 + 2];
    struct mw_log_field fields[5];
    int room = 4096;
    setsockopt(way, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    for (int i = 0; i < 5; i++) {
        memset(values[i], 'a' + i, sizeof values[i] - 1);
        fields[i] = (struct mw_log_field){.key = "abcde", .value = values[i], .length = 64 * 1024};
    }
    log_fields("large", fields, 5);
    assert_true(got_file >= 0);
    size_t size;
    assert_non_null(find("MOONWIRE_ABCDE", &size));
    assert_int_equal(size, 64 * 1024);
    assert_no_field("MOONWIRE_TRUNCATED");
    fields[4].length++;
    log_fields("larger", fields, 5);
    assert_true(got_file >= 0);
    assert_field("MOONWIRE_TRUNCATED", "true");
}

static void too_many_fields_are_cut(void **state) {
    (void)state;
    struct mw_log_field fields[100];
    size_t size;
    for (int i = 0; i < 100; i++) {
        fields[i] = field(i == 58 ? "last" : i == 59 ? "left" : "k", "v");
    }
    log_fields("many", fields, 100);
    assert_field("MOONWIRE_TRUNCATED", "true");
    assert_non_null(find("MOONWIRE_LAST", &size));
    assert_no_field("MOONWIRE_LEFT");
}

static void what_was_lost_is_counted(void **state) {
    (void)state;
    on_sendmsg.error = EAGAIN;
    on_sendmsg.times = 2;
    mw_log(MW_LOG_INFO, "one");
    mw_log(MW_LOG_INFO, "two");
    on_sendmsg.error = EMSGSIZE;
    on_sendmsg.times = 1;
    memfd_error = EMFILE;
    errno = 7;
    mw_log(MW_LOG_INFO, "three");
    assert_int_equal(errno, 7);
    assert_false(take_entry());
    mw_log(MW_LOG_INFO, "four");
    assert_true(take_entry());
    assert_field("MOONWIRE_LOST", "3");
    mw_log(MW_LOG_INFO, "five");
    assert_true(take_entry());
    assert_no_field("MOONWIRE_LOST");
}

static void equal_entries_are_counted_here_too(void **state) {
    (void)state;
    int came = 0;
    for (int i = 0; i < 20; i++) {
        mw_log(MW_LOG_WARN, "again and again");
        came += take_entry();
    }
    if (came > 5) {
        skip(); /* a second passed in between */
    }
    mw_log(MW_LOG_INFO, "another");
    assert_true(take_entry());
    assert_field("MESSAGE", "repeated 15 times");
    assert_field("PRIORITY", "4");
    assert_true(take_entry());
    assert_field("MESSAGE", "another");
}

/* --- choosing it --- */

static bool goes_to_journal(const char *text) {
    mw_log(MW_LOG_INFO, "%s", text);
    return take_entry();
}

static void stderr_that_is_the_journal_means_it(void **state) {
    (void)state;
    struct stat status;
    char stream[80];
    mw_log_set_sink(NULL, NULL);
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(mw_log_open_to("auto"));
    assert_true(goes_to_journal("auto"));
    strcat(stream, "1");
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(mw_log_open_to("auto"));
    assert_false(goes_to_journal("not ours"));
    setenv("JOURNAL_STREAM", "x", 1);
    assert_true(mw_log_open_to("auto"));
    assert_false(goes_to_journal("nonsense"));
    unsetenv("JOURNAL_STREAM");
    assert_true(mw_log_open_to("auto"));
    assert_false(goes_to_journal("none"));
    assert_true(mw_log_open_to("journal"));
    assert_true(goes_to_journal("named"));
    assert_true(mw_log_open_to("stderr"));
    assert_false(goes_to_journal("stderr"));
}

static void a_file_may_follow_and_be_left_again(void **state) {
    (void)state;
    char path[] = "/tmp/log_journal_test.XXXXXX", line[200];
    close(mkstemp(path));
    assert_true(mw_log_open_to(path));
    assert_false(goes_to_journal("in the file"));
    assert_true(mw_log_open_to("journal"));
    assert_true(mw_log_reopen());
    assert_true(goes_to_journal("in the journal"));
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "\"message\":\"in the file\""));
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    unlink(path);
}

static void without_a_socket_the_old_place_stays(void **state) {
    (void)state;
    socket_error = EMFILE;
    assert_false(mw_log_open_journal());
    assert_int_equal(errno, EMFILE);
    assert_true(goes_to_journal("still there"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_entry_has_its_fields),
        TEST(levels_are_priorities),
        TEST(lines_and_any_bytes_arrive_whole),
        TEST(a_name_is_cut_where_the_journal_would_ignore_it),
        TEST(a_large_entry_goes_by_a_sealed_file),
        TEST(too_many_fields_are_cut),
        TEST(what_was_lost_is_counted),
        TEST(equal_entries_are_counted_here_too),
        TEST(stderr_that_is_the_journal_means_it),
        TEST(a_file_may_follow_and_be_left_again),
        TEST(without_a_socket_the_old_place_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
