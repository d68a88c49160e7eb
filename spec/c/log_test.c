/* layers: base */
/* wrap: write */
#include "base/log.h"
#include "support/alloc_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TIME "2026-11-22T15:04:05.123Z"

static struct timespec wall_clock;

/* Stands before libc's, so that the tests decide what time it is. */
int clock_gettime(clockid_t id, struct timespec *time) {
    (void)id;
    *time = wall_clock;
    return 0;
}

ssize_t wrapped_write(int fd, const void *bytes, size_t size) __asm__("__wrap_write");
ssize_t libc_write(int fd, const void *bytes, size_t size) __asm__("__real_write");

static unsigned interruptions; /* writes from now that a signal interrupts */
static size_t write_limit;     /* most bytes of the next write, 0 for no limit */

ssize_t wrapped_write(int fd, const void *bytes, size_t size) {
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    if (write_limit > 0 && size > write_limit) {
        size = write_limit;
        write_limit = 0;
    }
    return libc_write(fd, bytes, size);
}

/* stderr is a socket that keeps the borders of writes: one read is one write. */
static int reader = -1, real_stderr = -1;

static int capture(void **state) {
    (void)state;
    int ends[2];
    wall_clock = (struct timespec){.tv_sec = 1795359845, .tv_nsec = 123456789};
    mw_log_set_level(MW_LOG_INFO);
    mw_log_set_format(MW_LOG_TEXT);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    reader = ends[0];
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    return close(ends[1]);
}

static int release(void **state) {
    (void)state;
    alloc_failure_disarm();
    mw_log_open(NULL);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    return close(reader);
}

/* What the next write was, "" when there was none. */
static const char *written(void) {
    static char line[MW_LOG_LINE_MAX + 1];
    ssize_t length = read(reader, line, MW_LOG_LINE_MAX);
    if (length < 0) {
        assert_int_equal(errno, EAGAIN);
    }
    line[length < 0 ? 0 : length] = '\0';
    return line;
}

static void write_field(const char *key, const char *value, size_t length, bool bare) {
    struct mw_log_field field = {.key = key, .value = value, .length = length, .bare = bare};
    mw_log_write(MW_LOG_INFO, "m", 1, &field, 1);
}

static void assert_field(const char *key, const char *value, const char *expected) {
    char line[256];
    snprintf(line, sizeof line, TIME " info  m %s\n", expected);
    write_field(key, value, strlen(value), false);
    assert_string_equal(written(), line);
}

static void assert_json_field(const char *key, const char *value, bool bare, const char *expected) {
    char line[256];
    snprintf(line, sizeof line, "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"m\",%s}\n",
             expected);
    write_field(key, value, strlen(value), bare);
    assert_string_equal(written(), line);
}

static void an_entry_is_one_line(void **state) {
    (void)state;
    const struct mw_log_field fields[] = {{"key", "value", 5, false}, {"other", "two words", 9, false}};
    mw_log_write(MW_LOG_INFO, "the message", 11, fields, 2);
    assert_string_equal(written(), TIME " info  the message key=value other=\"two words\"\n");
    mw_log(MW_LOG_ERROR, "%d of %s", 3, "four");
    assert_string_equal(written(), TIME " error 3 of four\n");
    assert_string_equal(written(), "");
}

static void the_time_is_utc_with_milliseconds(void **state) {
    (void)state;
    wall_clock = (struct timespec){.tv_sec = 951782399, .tv_nsec = 999999999};
    mw_log(MW_LOG_WARN, "a");
    assert_string_equal(written(), "2000-02-28T23:59:59.999Z warn  a\n");
    wall_clock = (struct timespec){.tv_sec = 951782400, .tv_nsec = 0};
    mw_log(MW_LOG_WARN, "b");
    assert_string_equal(written(), "2000-02-29T00:00:00.000Z warn  b\n");
}

/* Stands before libc's: it takes a lock and allocates, and the log is written in signal handlers, too. */
struct tm *gmtime_r(const time_t *moment, struct tm *parts) {
    (void)moment;
    fail_msg("gmtime_r is not for signal handlers");
    return parts;
}

static void the_date_of_every_day_is_right_for_a_century_and_a_half(void **state) {
    (void)state;
    for (int day = 0; day < 150 * 366; day++) {
        struct tm parts = {.tm_year = 70, .tm_mday = 1 + day};
        char expected[64];
        wall_clock = (struct timespec){.tv_sec = timegm(&parts)};
        strftime(expected, sizeof expected, "%Y-%m-%dT00:00:00.000Z info  a\n", &parts);
        mw_log(MW_LOG_INFO, "a");
        assert_string_equal(written(), expected);
    }
}

static void levels_below_the_lowest_are_dropped(void **state) {
    (void)state;
    mw_log(MW_LOG_DEBUG, "unseen");
    assert_string_equal(written(), "");
    assert_false(mw_log_enabled(MW_LOG_DEBUG));
    mw_log_set_level(MW_LOG_DEBUG);
    assert_int_equal(mw_log_get_level(), MW_LOG_DEBUG);
    assert_true(mw_log_enabled(MW_LOG_DEBUG));
    mw_log(MW_LOG_DEBUG, "seen");
    assert_string_equal(written(), TIME " debug seen\n");
    mw_log_set_level(MW_LOG_ERROR);
    mw_log_write(MW_LOG_WARN, "unseen", 6, NULL, 0);
    assert_string_equal(written(), "");
}

static void levels_have_names(void **state) {
    (void)state;
    assert_int_equal(mw_log_level_named("debug"), MW_LOG_DEBUG);
    assert_int_equal(mw_log_level_named("info"), MW_LOG_INFO);
    assert_int_equal(mw_log_level_named("warn"), MW_LOG_WARN);
    assert_int_equal(mw_log_level_named("error"), MW_LOG_ERROR);
    assert_int_equal(mw_log_level_named("warning"), -1);
    assert_int_equal(mw_log_level_named(""), -1);
}

static void text_values_are_quoted_when_they_must(void **state) {
    (void)state;
    assert_field("k", "plain-1.5/x:y,z", "k=plain-1.5/x:y,z");
    assert_field("k", "gr\xc3\xbcn", "k=gr\xc3\xbcn");
    assert_field("k", "", "k=\"\"");
    assert_field("k", "a=b", "k=\"a=b\"");
    assert_field("k", "say \"hi\"", "k=\"say \\\"hi\\\"\"");
    assert_field("k", "back\\slash", "k=\"back\\\\slash\"");
    assert_field("k", "two\nlines\r\t", "k=\"two\\nlines\\r\\t\"");
    assert_field("a key=\"x\"\n", "v", "a_key__x__=v");
    assert_field("gr\xc3\xbcn\xff", "v", "gr\xc3\xbcn_=v");
}

static void control_and_invalid_bytes_are_escaped(void **state) {
    (void)state;
    assert_field("k", "\x1b[31m", "k=\"\\x1b[31m\"");
    assert_field("k", "\x7f", "k=\"\\x7f\"");
    assert_field("k", "\xc2\x9b[m", "k=\"\\xc2\\x9b[m\"");
    assert_field("k", "\xff\x80", "k=\"\\xff\\x80\"");
    assert_field("k", "\xc0\xaf", "k=\"\\xc0\\xaf\"");
    assert_field("k", "\xe0\x80\xaf", "k=\"\\xe0\\x80\\xaf\"");
    assert_field("k", "\xed\xa0\x80", "k=\"\\xed\\xa0\\x80\"");
    assert_field("k", "\xf0\x8f\xbf\xbf", "k=\"\\xf0\\x8f\\xbf\\xbf\"");
    assert_field("k", "\xf4\x90\x80\x80", "k=\"\\xf4\\x90\\x80\\x80\"");
    assert_field("k", "\xe2\x82z", "k=\"\\xe2\\x82z\"");
    assert_field("k", "\xe2\x82", "k=\"\\xe2\\x82\"");
    assert_field("k", "\xe2\x82\xac\xf0\x9f\x8c\x99", "k=\xe2\x82\xac\xf0\x9f\x8c\x99");
    mw_log_write(MW_LOG_INFO, "a\0b\nc \"d\" \\", 11, NULL, 0);
    assert_string_equal(written(), TIME " info  a\\x00b\\nc \"d\" \\\n");
}

static void json_lines(void **state) {
    (void)state;
    mw_log_set_format(MW_LOG_JSON);
    mw_log(MW_LOG_WARN, "say \"hi\"\n");
    assert_string_equal(written(), "{\"time\":\"" TIME "\",\"level\":\"warn\","
                                   "\"message\":\"say \\\"hi\\\"\\n\"}\n");
    assert_json_field("key", "value", false, "\"key\":\"value\"");
    assert_json_field("k", "back\\slash", false, "\"k\":\"back\\\\slash\"");
    assert_json_field("k", "\x1b\x7f\xc2\x9b\xff", false, "\"k\":\"\\u001b\\u007f\\\\xc2\\\\x9b\\\\xff\"");
    assert_json_field("k", "\xc3\x9f\t\r\n", false, "\"k\":\"\xc3\x9f\\t\\r\\n\"");
    assert_json_field("a \"key\"", "v", false, "\"a \\\"key\\\"\":\"v\"");
    assert_json_field("traceback", "a\n\tb", false, "\"traceback\":\"a\\n\\tb\"");
}

static void json_bare_values(void **state) {
    (void)state;
    mw_log_set_format(MW_LOG_JSON);
    static const char *const bare[] = {"12", "-1.5", "1e+300", "true", "false", "null"};
    static const char *const quoted[] = {"inf", "-inf", "nan", "-nan", "0x1p3", "", "-", "\"", "truer"};
    char expected[64];
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        snprintf(expected, sizeof expected, "\"k\":%s", bare[i]);
        assert_json_field("k", bare[i], true, expected);
        snprintf(expected, sizeof expected, "\"k\":\"%s\"", bare[i]);
        assert_json_field("k", bare[i], false, expected);
    }
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        snprintf(expected, sizeof expected, "\"k\":\"%s%s\"", *quoted[i] == '"' ? "\\" : "", quoted[i]);
        assert_json_field("k", quoted[i], true, expected);
    }
}

static void json_keys_of_our_own_stay_ours(void **state) {
    (void)state;
    mw_log_set_format(MW_LOG_JSON);
    assert_json_field("level", "x", false, "\"level_\":\"x\"");
    assert_json_field("time", "x", false, "\"time_\":\"x\"");
    assert_json_field("message", "x", false, "\"message_\":\"x\"");
}

static void traceback_lines_follow_the_entry(void **state) {
    (void)state;
    static const char trace[] = "a.lua:3: oops\nstack traceback:\n\t[C]: in ?\x1b\n";
    const struct mw_log_field fields[] = {
        {"traceback", trace, sizeof trace - 1, false},
        {"key", "value", 5, false},
    };
    mw_log_write(MW_LOG_ERROR, "script failed", 13, fields, 2);
    assert_string_equal(written(), TIME " error script failed key=value\n\ta.lua:3: oops\n"
                                        "\tstack traceback:\n\t\t[C]: in ?\\x1b\n");
}

/* The value of the only field of a line in text, without what stands around it. */
static const char *only_value(const char *line, size_t *length) {
    const char *value = strstr(line, " k=");
    assert_non_null(value);
    value += strlen(" k=");
    *length = strlen(value) - 1;
    return value;
}

static void long_values_are_cut_after_a_whole_character(void **state) {
    (void)state;
    static char value[MW_LOG_VALUE_MAX + 2];
    size_t length;
    memset(value, 'v', sizeof value);
    write_field("k", value, MW_LOG_VALUE_MAX, false);
    const char *kept = only_value(written(), &length);
    assert_int_equal(length, MW_LOG_VALUE_MAX);
    assert_memory_equal(kept, value, MW_LOG_VALUE_MAX);
    write_field("k", value, MW_LOG_VALUE_MAX + 1, false);
    kept = only_value(written(), &length);
    assert_int_equal(length, MW_LOG_VALUE_MAX);
    assert_memory_equal(kept + length - 5, "vv\xe2\x80\xa6", 5);
    value[MW_LOG_VALUE_MAX - 4] = '\xc3';
    value[MW_LOG_VALUE_MAX - 3] = '\x9f';
    write_field("k", value, MW_LOG_VALUE_MAX + 1, false);
    kept = only_value(written(), &length);
    assert_int_equal(length, MW_LOG_VALUE_MAX - 1);
    assert_memory_equal(kept + length - 5, "vv\xe2\x80\xa6", 5);
    memset(value, '\n', sizeof value);
    write_field("k", value, MW_LOG_VALUE_MAX / 2 + 1, false);
    kept = only_value(written(), &length);
    assert_int_equal(length, 2 + MW_LOG_VALUE_MAX - 1);
    assert_memory_equal(kept + length - 6, "\\n\xe2\x80\xa6\"", 6);
}

static void long_messages_are_cut(void **state) {
    (void)state;
    mw_log(MW_LOG_INFO, "%05000d", 7);
    const char *line = written();
    size_t head = strlen(TIME " info  ");
    assert_int_equal(strlen(line), head + MW_LOG_VALUE_MAX + 1);
    assert_string_equal(line + head + MW_LOG_VALUE_MAX - 4, "0\xe2\x80\xa6\n");
}

/* Six fields of which three fit besides the message. */
static void write_too_much(const char *key) {
    static char value[MW_LOG_VALUE_MAX];
    struct mw_log_field fields[6];
    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < 6; i++) {
        fields[i] = (struct mw_log_field){i == 4 ? key : "k", value, sizeof value, false};
    }
    fields[5].length = 1;
    mw_log_write(MW_LOG_INFO, "m", 1, fields, 6);
}

static void fields_that_do_not_fit_are_left_out(void **state) {
    (void)state;
    write_too_much("k");
    const char *line = written();
    assert_true(strlen(line) <= MW_LOG_LINE_MAX);
    assert_true(strlen(line) > (size_t)3 * MW_LOG_VALUE_MAX);
    assert_string_equal(line + strlen(line) - strlen("v k=v truncated=true\n"), "v k=v truncated=true\n");
    write_too_much("traceback");
    line = written();
    assert_string_equal(line + strlen(line) - strlen("v k=v truncated=true\n"), "v k=v truncated=true\n");
    mw_log_set_format(MW_LOG_JSON);
    write_too_much("k");
    line = written();
    static const char end[] = "v\",\"k\":\"v\",\"truncated\":true}\n";
    assert_string_equal(line + strlen(line) - strlen(end), end);
}

/* Writes a line of three long values, one of `size` and a short one; returns its end. */
static const char *end_of_line_with(size_t size) {
    static char value[MW_LOG_VALUE_MAX];
    const size_t sizes[] = {sizeof value, sizeof value, sizeof value, size, 30};
    struct mw_log_field fields[5];
    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < 5; i++) {
        fields[i] = (struct mw_log_field){"k", value, sizes[i], false};
    }
    mw_log_write(MW_LOG_INFO, "m", 1, fields, 5);
    const char *line = written();
    assert_in_range(strlen(line), (uintmax_t)3 * MW_LOG_VALUE_MAX, MW_LOG_LINE_MAX);
    return line + strlen(line) - strlen(",\"truncated\":true}\n");
}

static void lines_near_the_limit_are_whole(void **state) {
    (void)state;
    unsigned cut = 0;
    for (size_t size = 3900; size < MW_LOG_VALUE_MAX; size++) {
        wall_clock.tv_sec++; /* what was cut is equal, and not to be counted */
        mw_log_set_format(MW_LOG_TEXT);
        bool text_cut = strcmp(end_of_line_with(size), "vvv truncated=true\n") == 0;
        assert_true(text_cut || strcmp(end_of_line_with(size), "vvvvvvvvvvvvvvvvvv\n") == 0);
        mw_log_set_format(MW_LOG_JSON);
        bool json_cut = strcmp(end_of_line_with(size), ",\"truncated\":true}\n") == 0;
        assert_true(json_cut || strcmp(end_of_line_with(size), "vvvvvvvvvvvvvvvv\"}\n") == 0);
        cut += text_cut + json_cut;
    }
    assert_in_range(cut, 20, 2 * (MW_LOG_VALUE_MAX - 3900) - 20);
}

/* A traceback that fits stands behind the mark of a field that did not. */
static void a_traceback_outlives_other_fields(void **state) {
    (void)state;
    static char value[MW_LOG_VALUE_MAX], key[MW_LOG_LINE_MAX];
    memset(value, 'v', sizeof value);
    memset(key, 'k', sizeof key - 1);
    const struct mw_log_field fields[] = {
        {key, value, sizeof value, false}, {"k", "v", 1, false}, {"traceback", "one\ntwo", 7, false}};
    mw_log_write(MW_LOG_ERROR, "m", 1, fields, 3);
    assert_string_equal(written(), TIME " error m k=v truncated=true\n\tone\n\ttwo\n");
}

static void repeat(int times) {
    for (int i = 0; i < times; i++) {
        mw_log(MW_LOG_WARN, "again");
    }
}

static void assert_written(int times, const char *line) {
    for (int i = 0; i < times; i++) {
        assert_string_equal(written(), line);
    }
}

static void equal_entries_are_counted_beyond_five(void **state) {
    (void)state;
    repeat(12);
    assert_written(5, TIME " warn  again\n");
    assert_string_equal(written(), "");
    mw_log(MW_LOG_INFO, "another");
    assert_string_equal(written(), TIME " warn  repeated 7 times\n");
    assert_string_equal(written(), TIME " info  another\n");
    mw_log(MW_LOG_INFO, "and another");
    assert_string_equal(written(), TIME " info  and another\n");
    assert_string_equal(written(), "");
}

static void a_second_later_they_are_written_again(void **state) {
    (void)state;
    repeat(6);
    assert_written(5, TIME " warn  again\n");
    wall_clock.tv_sec++;
    repeat(6);
    assert_string_equal(written(), "2026-11-22T15:04:06.123Z warn  repeated 1 times\n");
    assert_written(5, "2026-11-22T15:04:06.123Z warn  again\n");
    assert_string_equal(written(), "");
    wall_clock.tv_sec -= 3600; /* the clock was set back */
    repeat(1);
    assert_string_equal(written(), "2026-11-22T14:04:06.123Z warn  repeated 1 times\n");
    assert_string_equal(written(), "2026-11-22T14:04:06.123Z warn  again\n");
}

static void level_and_fields_make_a_difference(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        char value = (char)('a' + i);
        write_field("k", &value, 1, false);
        mw_log(i % 2 ? MW_LOG_WARN : MW_LOG_ERROR, "m");
        assert_string_not_equal(written(), "");
        assert_string_not_equal(written(), "");
    }
}

/* A directory of the test's own, with a path in it. */
static char directory[64], log_path[96];

static void make_directory(void) {
    snprintf(directory, sizeof directory, "/tmp/log_test.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(log_path, sizeof log_path, "%s/log", directory);
}

static void assert_file(const char *path, const char *content) {
    char text[512];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_string_equal(text, content);
    fclose(file);
    unlink(path);
}

static void writes_to_a_file_and_reopens_it(void **state) {
    (void)state;
    char old_path[128];
    struct stat status;
    make_directory();
    snprintf(old_path, sizeof old_path, "%s.1", log_path);
    mode_t mask = umask(0);
    assert_true(mw_log_open(log_path));
    umask(mask);
    assert_int_equal(stat(log_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    mw_log(MW_LOG_INFO, "one");
    assert_true(mw_log_open(log_path));
    mw_log(MW_LOG_INFO, "two");
    assert_int_equal(rename(log_path, old_path), 0);
    mw_log(MW_LOG_INFO, "three");
    assert_true(mw_log_reopen());
    mw_log(MW_LOG_INFO, "four");
    assert_true(mw_log_open(NULL));
    mw_log(MW_LOG_INFO, "five");
    assert_string_equal(written(), TIME " info  five\n");
    assert_file(old_path, TIME " info  one\n" TIME " info  two\n" TIME " info  three\n");
    assert_file(log_path, TIME " info  four\n");
    assert_int_equal(rmdir(directory), 0);
}

static void counted_entries_go_to_the_old_place(void **state) {
    (void)state;
    make_directory();
    assert_true(mw_log_open(log_path));
    repeat(6);
    assert_true(mw_log_open(NULL));
    repeat(1);
    assert_string_equal(written(), TIME " warn  again\n");
    assert_file(log_path, TIME " warn  again\n" TIME " warn  again\n" TIME " warn  again\n" TIME
                               " warn  again\n" TIME " warn  again\n" TIME " warn  repeated 1 times\n");
    assert_int_equal(rmdir(directory), 0);
}

static void a_place_that_cannot_be_opened_changes_nothing(void **state) {
    (void)state;
    char fifo[128], long_path[PATH_MAX + 1];
    make_directory();
    assert_false(mw_log_open("/nowhere/at/all"));
    assert_int_equal(errno, ENOENT);
    memset(long_path, 'x', PATH_MAX);
    long_path[PATH_MAX] = '\0';
    assert_false(mw_log_open(long_path));
    assert_int_equal(errno, ENAMETOOLONG);
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(mw_log_open(fifo));
    assert_int_equal(errno, ENXIO);
    assert_true(mw_log_reopen());
    mw_log(MW_LOG_INFO, "still here");
    assert_string_equal(written(), TIME " info  still here\n");
    unlink(fifo);
    assert_int_equal(rmdir(directory), 0);
}

static void failure_keeps_errno_and_goes_on(void **state) {
    (void)state;
    assert_true(mw_log_open("/dev/full"));
    errno = EDOM;
    mw_log(MW_LOG_INFO, "lost");
    assert_int_equal(errno, EDOM);
    mw_log_write(MW_LOG_INFO, "lost too", 8, NULL, 0);
    assert_int_equal(errno, EDOM);
    assert_true(mw_log_open(NULL));
    mw_log(MW_LOG_INFO, "kept");
    assert_string_equal(written(), TIME " info  kept\n");
}

static void an_interrupted_write_is_done_again(void **state) {
    (void)state;
    interruptions = 2;
    mw_log(MW_LOG_INFO, "whole");
    assert_int_equal(interruptions, 0);
    assert_string_equal(written(), TIME " info  whole\n");
}

static void a_short_write_is_completed(void **state) {
    (void)state;
    write_limit = 30;
    mw_log(MW_LOG_INFO, "whole");
    assert_string_equal(written(), TIME " info ");
    assert_string_equal(written(), " whole\n");
}

static void works_without_memory(void **state) {
    (void)state;
    alloc_failure_arm(1);
    mw_log(MW_LOG_INFO, "%s %d", "number", 1);
    write_field("k", "a value", 7, false);
    assert_false(alloc_failure_disarm());
    assert_string_equal(written(), TIME " info  number 1\n");
    assert_string_equal(written(), TIME " info  m k=\"a value\"\n");
}

#define captured(test) cmocka_unit_test_setup_teardown(test, capture, release)

int main(void) {
    const struct CMUnitTest tests[] = {
        captured(an_entry_is_one_line),
        captured(the_time_is_utc_with_milliseconds),
        captured(the_date_of_every_day_is_right_for_a_century_and_a_half),
        captured(levels_below_the_lowest_are_dropped),
        captured(levels_have_names),
        captured(text_values_are_quoted_when_they_must),
        captured(control_and_invalid_bytes_are_escaped),
        captured(json_lines),
        captured(json_bare_values),
        captured(json_keys_of_our_own_stay_ours),
        captured(traceback_lines_follow_the_entry),
        captured(long_values_are_cut_after_a_whole_character),
        captured(long_messages_are_cut),
        captured(fields_that_do_not_fit_are_left_out),
        captured(lines_near_the_limit_are_whole),
        captured(a_traceback_outlives_other_fields),
        captured(equal_entries_are_counted_beyond_five),
        captured(a_second_later_they_are_written_again),
        captured(level_and_fields_make_a_difference),
        captured(writes_to_a_file_and_reopens_it),
        captured(counted_entries_go_to_the_old_place),
        captured(a_place_that_cannot_be_opened_changes_nothing),
        captured(failure_keeps_errno_and_goes_on),
        captured(an_interrupted_write_is_done_again),
        captured(a_short_write_is_completed),
        captured(works_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
