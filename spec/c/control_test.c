/* layers: base loop proto net proc */
/* wrap: getsockopt mw_stream_count */
#include "base/addr.h"
#include "base/log.h"
#include "net/stream.h"
#include "proc/control.h"
#include "support/alloc_failure.h"
#include "support/world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 300, LARGE = 6 * 1024 * 1024 };

static struct mw_control *control;
static struct mw_fault fault;
static char folder[] = "/tmp/control_test.XXXXXX";
static char path[64];

static uid_t peer_uid;     /* who the peer is said to be */
static double idle_before; /* seconds that clients have been idle beyond what is true */

/* What came. */
static struct {
    uint64_t requests[MOST];
    char commands[MOST][40];
    struct mw_text last; /* the last message, copied */
    int count;
    bool answers; /* at once, with the command */
} seen;

int wrapped_getsockopt(int fd, int level, int name, void *value, socklen_t *size) __asm__("__wrap_getsockopt");
int libc_getsockopt(int fd, int level, int name, void *value, socklen_t *size) __asm__("__real_getsockopt");
void wrapped_count(const struct mw_stream *stream,
                   struct mw_stream_counters *counters) __asm__("__wrap_mw_stream_count");
void real_count(const struct mw_stream *stream, struct mw_stream_counters *counters) __asm__("__real_mw_stream_count");

int wrapped_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    int result = libc_getsockopt(fd, level, name, value, size);
    if (level == SOL_SOCKET && name == SO_PEERCRED && peer_uid != (uid_t)-1) {
        ((struct ucred *)value)->uid = peer_uid;
    }
    return result;
}

void wrapped_count(const struct mw_stream *stream, struct mw_stream_counters *counters) {
    real_count(stream, counters);
    counters->active -= idle_before;
}

static void answer(uint64_t request, const char *command) {
    char text[100];
    int length = snprintf(text, sizeof text, "{\"ok\":true,\"did\":\"%s\"}", command);
    mw_control_answer(control, request, text, (size_t)length);
}

static void on_request(void *owner, uint64_t request, const struct mw_value *fields) {
    assert_ptr_equal(owner, &seen);
    assert_true(seen.count < MOST);
    char *command = seen.commands[seen.count];
    mw_value_string(fields, "command", command, sizeof seen.commands[0]);
    seen.requests[seen.count++] = request;
    seen.last.size = 0;
    mw_text_add(&seen.last, fields->bytes, fields->size);
    if (seen.answers) {
        answer(request, command);
    }
}

static const struct mw_control_events events = {.on_request = on_request};

static int open_all(void **state) {
    memset(&seen, 0, sizeof seen);
    peer_uid = (uid_t)-1;
    idle_before = 0;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run/control.sock", folder);
    mw_log_set_level(MW_LOG_ERROR);
    world_open(state);
    control = mw_control_new(world.net, path, &events, &seen, &fault);
    assert_non_null(control);
    return 0;
}

static void close_control(double linger) {
    if (control) {
        mw_control_close(control, linger);
        control = NULL;
    }
}

static int close_all(void **state) {
    char parent[64];
    close_control(0);
    mw_text_free(&seen.last);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(parent, sizeof parent, "%s/run", folder);
    assert_int_equal(rmdir(parent), 0);
    assert_int_equal(rmdir(folder), 0);
    world_run_until(world.net->streams == 0);
    return world_close(state);
}

/* --- clients --- */

static int dial(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void tell(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static char heard[LARGE + 4096];
static size_t heard_size;
static bool heard_end;

/* Whether a whole line was heard, or the end. */
static bool hear_more(int fd) {
    ssize_t got = read(fd, heard + heard_size, sizeof heard - 1 - heard_size);
    if (got > 0) {
        heard_size += (size_t)got;
    }
    heard[heard_size] = '\0';
    heard_end = got == 0 || (got < 0 && errno != EAGAIN);
    return heard_end || (heard_size > 0 && heard[heard_size - 1] == '\n');
}

static const char *hear(int fd) {
    heard_size = 0;
    world_run_until(hear_more(fd));
    return heard;
}

static void assert_closed(int fd) {
    assert_string_equal(hear(fd), "");
    assert_true(heard_end);
    close(fd);
}

static void assert_says(int fd, const char *part) {
    if (!strstr(hear(fd), part)) {
        fail_msg("heard %s instead of %s", heard, part);
    }
}

static int call(const char *text) {
    int fd = dial();
    tell(fd, text);
    return fd;
}

/* --- requests --- */

static void a_request_is_answered(void **state) {
    (void)state;
    seen.answers = true;
    int fd = call("{\"command\":\"status\"}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"did\":\"status\"}\n");
    close(fd);
}

static void the_folder_is_made_and_the_path_is_private(void **state) {
    (void)state;
    struct stat status;
    char parent[64];
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    snprintf(parent, sizeof parent, "%s/run", folder);
    assert_int_equal(stat(parent, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0755);
}

static void fields_keep_their_types(void **state) {
    (void)state;
    char text[40];
    seen.answers = true;
    int fd = call("{\"command\":\"reload\",\"service\":\"a\\u00e4\\n\","
                  "\"n\":7,\"x\":0.5,\"t\":true,\"f\":false,\"z\":null}\n");
    hear(fd);
    struct mw_value table = {.type = MW_VALUE_TABLE, .bytes = seen.last.bytes, .size = seen.last.size};
    assert_string_equal(mw_value_string(&table, "service", text, sizeof text), "a\xc3\xa4\n");
    assert_int_equal(mw_value_field(&table, "n").type, MW_VALUE_INTEGER);
    assert_int_equal(mw_value_integer(&table, "n", 0), 7);
    assert_int_equal(mw_value_field(&table, "x").type, MW_VALUE_NUMBER);
    assert_true(mw_value_boolean(&table, "t", false));
    assert_false(mw_value_boolean(&table, "f", true));
    assert_int_equal(mw_value_field(&table, "z").type, MW_VALUE_NIL);
    close(fd);
}

static void nonsense_is_refused_and_the_next_line_heard(void **state) {
    (void)state;
    const char *const lines[] = {
        "status", "[1]", "{\"command\":1}", "{}", "{\"command\":\"a\",\"command\":\"b\"}",
        "{\"command\":\"a\",\"x\":{}}", "{\"command\":\"a\",\"x\":[[1]]}", "{\"command\":\"a\"} {}",
        "{\"command\":", "\"command\"", "{\"command\":\"\xff\"}",
    };
    seen.answers = true;
    int fd = dial();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        tell(fd, lines[i]);
        tell(fd, "\r\n");
        assert_says(fd, "\"code\":\"invalid\"");
        assert_non_null(strstr(heard, "{\"ok\":false,\"error\":\""));
    }
    assert_int_equal(seen.count, 0);
    tell(fd, "\n \r\n{\"command\":\"log\"}\r\n");
    assert_says(fd, "\"did\":\"log\"");
    close(fd);
}

static void too_many_fields_are_refused(void **state) {
    (void)state;
    char line[1000] = "{\"command\":\"a\"";
    for (int i = 1; i < MW_CONTROL_FIELDS; i++) {
        snprintf(line + strlen(line), sizeof line - strlen(line), ",\"k%d\":%d", i, i);
    }
    size_t length = strlen(line);
    seen.answers = true;
    strcat(line, "}\n");
    int fd = call(line);
    assert_says(fd, "\"did\":\"a\"");
    strcpy(line + length, ",\"more\":1}\n");
    tell(fd, line);
    assert_says(fd, "too many fields");
    close(fd);
}

static void a_line_may_be_64_kib_and_no_longer(void **state) {
    (void)state;
    static char line[MW_CONTROL_LINE + 2];
    memset(line, ' ', sizeof line);
    memcpy(line, "{\"command\":\"long\"", 17);
    line[MW_CONTROL_LINE - 2] = '}';
    line[MW_CONTROL_LINE - 1] = '\n';
    line[MW_CONTROL_LINE] = '\0';
    seen.answers = true;
    int fd = call(line);
    assert_says(fd, "\"did\":\"long\"");
    line[MW_CONTROL_LINE - 2] = ' ';
    line[MW_CONTROL_LINE - 1] = '}';
    tell(fd, line);
    assert_says(fd, "\"code\":\"too_large\"");
    assert_closed(fd);
}

static void requests_are_answered_in_order(void **state) {
    (void)state;
    int fd = call("{\"command\":\"a\"}\n{\"command\":\"b\"}\n{\"command\":\"c\"}\n");
    world_run_until(seen.count == 1);
    world_settle();
    assert_int_equal(seen.count, 1);
    answer(seen.requests[0], "a");
    assert_int_equal(seen.count, 1); /* not from within */
    world_run_until(seen.count == 2);
    mw_control_refuse(control, seen.requests[1], "unknown", "no \"%s\"", "b");
    world_run_until(seen.count == 3);
    answer(seen.requests[2], "c");
    static const char all[] = "{\"ok\":true,\"did\":\"a\"}\n"
                              "{\"ok\":false,\"error\":\"no \\\"b\\\"\",\"code\":\"unknown\"}\n"
                              "{\"ok\":true,\"did\":\"c\"}\n";
    heard_size = 0;
    world_run_until(hear_more(fd) && heard_size == sizeof all - 1);
    assert_string_equal(heard, all);
    close(fd);
}

static void a_client_that_ends_its_direction_hears_the_answer(void **state) {
    (void)state;
    int fd = call("{\"command\":\"a\"}\n{\"command\":\"b\"}");
    shutdown(fd, SHUT_WR);
    world_run_until(seen.count == 1);
    world_settle();
    answer(seen.requests[0], "a");
    world_run_until(seen.count == 2);
    answer(seen.requests[1], "b");
    heard_size = 0;
    world_run_until(hear_more(fd) && heard_end);
    assert_string_equal(heard, "{\"ok\":true,\"did\":\"a\"}\n{\"ok\":true,\"did\":\"b\"}\n");
    close(fd);
}

static void a_client_that_leaves_early_does_no_harm(void **state) {
    (void)state;
    int fd = call("{\"command\":\"a\"}\n");
    world_run_until(seen.count == 1);
    close(fd);
    world_settle();
    answer(seen.requests[0], "a");
    world_run_until(world.net->streams == 0);
    answer(seen.requests[0], "a");
    mw_control_refuse(control, seen.requests[0], "gone", "gone");
    seen.answers = true;
    fd = call("{\"command\":\"b\"}\n");
    assert_says(fd, "\"did\":\"b\"");
    close(fd);
}

static void a_large_answer_leaves_as_it_is_read(void **state) {
    (void)state;
    char *large = malloc(LARGE);
    memset(large, 'x', LARGE);
    int fd = call("{\"command\":\"a\"}\n{\"command\":\"b\"}\n");
    world_run_until(seen.count == 1);
    mw_control_answer(control, seen.requests[0], large, LARGE);
    free(large);
    world_settle();
    assert_int_equal(seen.count, 1); /* the next one waits until this one has left */
    heard_size = 0;
    world_run_until(hear_more(fd));
    assert_int_equal(heard_size, LARGE + 1);
    world_run_until(seen.count == 2);
    answer(seen.requests[1], "b");
    assert_says(fd, "\"did\":\"b\"");
    close(fd);
}

/* --- who may come, and how many --- */

static void others_are_turned_away(void **state) {
    (void)state;
    seen.answers = true;
    peer_uid = geteuid() + 12345;
    int fd = call("{\"command\":\"stop\"}\n");
    assert_says(fd, "\"code\":\"denied\"");
    assert_closed(fd);
    assert_int_equal(seen.count, 0);
    peer_uid = 0;
    fd = call("{\"command\":\"stop\"}\n");
    assert_says(fd, "\"did\":\"stop\"");
    close(fd);
}

static void those_turned_away_are_logged_once(void **state) {
    (void)state;
    char log[80], line[512];
    snprintf(log, sizeof log, "%s/log", folder);
    mw_log_set_level(MW_LOG_WARN);
    assert_true(mw_log_open(log));
    peer_uid = geteuid() + 12345;
    for (int i = 0; i < 3; i++) {
        int fd = dial();
        assert_says(fd, "denied");
        close(fd);
    }
    FILE *file = fopen(log, "r");
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "turned away user 12345"));
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_true(mw_log_open(NULL));
    unlink(log);
}

static void the_longest_idle_makes_room(void **state) {
    (void)state;
    int fds[MW_CONTROL_CLIENTS];
    seen.answers = true;
    for (int i = 0; i < MW_CONTROL_CLIENTS; i++) {
        fds[i] = dial();
        if (i % 16 == 0) {
            world_settle();
        }
    }
    world_run_until(world.net->streams == MW_CONTROL_CLIENTS);
    usleep(2000);
    tell(fds[0], "{\"command\":\"a\"}\n");
    assert_says(fds[0], "\"did\":\"a\"");
    int fd = call("{\"command\":\"b\"}\n");
    assert_says(fd, "\"did\":\"b\"");
    assert_int_equal(world.net->streams, MW_CONTROL_CLIENTS);
    tell(fds[0], "{\"command\":\"c\"}\n"); /* the first was not the idlest any more */
    assert_says(fds[0], "\"did\":\"c\"");
    int ended = 0;
    for (int i = 0; i < MW_CONTROL_CLIENTS; i++) {
        char byte;
        ended += read(fds[i], &byte, 1) == 0;
        close(fds[i]);
    }
    assert_int_equal(ended, 1);
    close(fd);
}

static void when_all_work_one_more_is_told_so(void **state) {
    (void)state;
    int fds[MW_CONTROL_CLIENTS];
    for (int i = 0; i < MW_CONTROL_CLIENTS; i++) {
        fds[i] = call("{\"command\":\"wait\"}\n");
        world_settle();
    }
    world_run_until(seen.count == MW_CONTROL_CLIENTS);
    int fd = call("{\"command\":\"b\"}\n");
    assert_says(fd, "\"code\":\"busy\"");
    assert_closed(fd);
    for (int i = 0; i < MW_CONTROL_CLIENTS; i++) {
        answer(seen.requests[i], "wait");
        assert_says(fds[i], "\"did\":\"wait\"");
        close(fds[i]);
    }
}

static void who_says_nothing_is_ended(void **state) {
    (void)state;
    int fd = dial(), other;
    world_run_until(world.net->streams == 1);
    other = call("{\"command\":\"wait\"}\n");
    world_run_until(seen.count == 1);
    idle_before = MW_CONTROL_IDLE - 0.05;
    tell(fd, "{\"comm");
    double start = world_clock();
    assert_closed(fd);
    assert_true(world_clock() - start < 5);
    world_settle();
    answer(seen.requests[0], "wait"); /* who waits for an answer is not idle */
    assert_says(other, "\"did\":\"wait\"");
    close(other);
}

/* --- its beginning and its end --- */

static struct mw_control *try_path(const char *where) {
    fault = (struct mw_fault){.code = NULL};
    return mw_control_new(world.net, where, &events, &seen, &fault);
}

static void a_second_daemon_is_refused(void **state) {
    (void)state;
    seen.answers = true;
    assert_null(try_path(path));
    assert_string_equal(fault.code, "in_use");
    assert_non_null(strstr(fault.message, "another daemon answers there"));
    assert_non_null(strstr(fault.message, path));
    int fd = call("{\"command\":\"a\"}\n");
    assert_says(fd, "\"did\":\"a\"");
    close(fd);
}

static void a_stale_path_is_replaced(void **state) {
    (void)state;
    char other[80];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(other, sizeof other, "%s/stale", folder);
    strcpy(address.sun_path, other);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    struct mw_control *second = try_path(other);
    assert_non_null(second);
    mw_control_close(second, 0);
    assert_int_equal(access(other, F_OK), -1);
}

static void what_cannot_be_is_said(void **state) {
    (void)state;
    char other[200];
    snprintf(other, sizeof other, "%s/%0120d", folder, 1);
    assert_null(try_path(other));
    assert_non_null(strstr(fault.message, "at most 107 bytes"));
    assert_null(try_path("control.sock"));
    assert_string_equal(fault.code, "invalid");
    snprintf(other, sizeof other, "%s/no/such/folder", folder);
    assert_null(try_path(other));
    assert_string_equal(fault.code, "not_found");
    snprintf(other, sizeof other, "%s/file", folder);
    fclose(fopen(other, "w"));
    assert_null(try_path(other));
    assert_non_null(strstr(fault.message, "no socket is in the way"));
    assert_int_equal(unlink(other), 0);
}

static void without_memory_nothing_is_left(void **state) {
    (void)state;
    char other[80];
    snprintf(other, sizeof other, "%s/second", folder);
    for (int i = 1; i <= 2; i++) {
        alloc_failure_arm(i);
        assert_null(try_path(other));
        assert_true(alloc_failure_disarm());
        assert_string_equal(fault.code, "memory");
        assert_int_equal(access(other, F_OK), -1);
    }
}

/* Whichever allocation fails: the client is told or ended, and the next one is served. */
static void a_client_without_memory_is_no_harm(void **state) {
    (void)state;
    seen.answers = true;
    mw_text_reserve(&seen.last, 1000);
    for (int nth = 1; nth < 12; nth++) {
        int fd = call("{\"command\":\"a\",\"b\":\"c\"}\n");
        alloc_failure_arm(nth);
        hear(fd);
        alloc_failure_disarm();
        close(fd);
        fd = call("{\"command\":\"z\"}\n");
        assert_says(fd, "\"did\":\"z\"");
        close(fd);
        world_run_until(world.net->streams == 0);
    }
}

static void who_waits_at_the_end_is_told(void **state) {
    (void)state;
    int idle = dial();
    int fd = call("{\"command\":\"a\"}\n");
    world_run_until(seen.count == 1 && world.net->streams == 2);
    close_control(2);
    assert_says(fd, "\"code\":\"stopping\"");
    assert_closed(fd);
    assert_closed(idle);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(the_folder_is_made_and_the_path_is_private),
        TEST(fields_keep_their_types),
        TEST(nonsense_is_refused_and_the_next_line_heard),
        TEST(too_many_fields_are_refused),
        TEST(a_line_may_be_64_kib_and_no_longer),
        TEST(requests_are_answered_in_order),
        TEST(a_client_that_ends_its_direction_hears_the_answer),
        TEST(a_client_that_leaves_early_does_no_harm),
        TEST(a_large_answer_leaves_as_it_is_read),
        TEST(others_are_turned_away),
        TEST(those_turned_away_are_logged_once),
        TEST(the_longest_idle_makes_room),
        TEST(when_all_work_one_more_is_told_so),
        TEST(who_says_nothing_is_ended),
        TEST(a_second_daemon_is_refused),
        TEST(a_stale_path_is_replaced),
        TEST(what_cannot_be_is_said),
        TEST(without_memory_nothing_is_left),
        TEST(a_client_without_memory_is_no_harm),
        TEST(who_waits_at_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
