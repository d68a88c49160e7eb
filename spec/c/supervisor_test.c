/* layers: proc net loop proto base */
/* The supervisor as a process of its own, with a probe and workers that speak the protocol and
 * misbehave on order. The config is a file of lines:
 *   restart budget N · restart within SECONDS · restart most SECONDS
 *   workers N · stuck SECONDS · drain SECONDS · reload_timeout SECONDS · log PATH · fault TEXT · die · hang
 *   service NAME ADDRESS [ACTION STEP WORKER]   what a worker (0: each) does at a step: die, fault, hang, spin, slow
 * A worker answers each connection with "GENERATION WORKER PID\n"; a connection that sends k kills it, s makes it
 * spin, e counts as an error, p publishes a message, f one that makes who gets it rest, and more
 * behind it than a channel holds. */
#include "base/addr.h"
#include "base/text.h"
#include "net/channel.h"
#include "net/net.h"
#include "proc/supervisor.h"
#include "proto/message.h"
#include "proto/order.h"
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVICES = 8, LISTENERS = 4, LINE = 256, ANSWER = 65536 };

static char folder[] = "/tmp/supervisor_test.XXXXXX";
static char config[64], control[64], log_path[64], unix_path[64];
static pid_t daemon_id;


/* --- the probe --- */

static void put_service(struct mw_text *text, int place, const char *line) {
    char name[LINE], address[LINE], action[LINE] = "", step[LINE] = "";
    int worker = 0;
    struct mw_text blob = {.bytes = NULL};
    sscanf(line, "service %255s %255s %255s %255s %d", name, address, action, step, &worker);
    size_t table = mw_message_open(&blob);
    mw_message_put_string(&blob, "name", name);
    mw_message_put_string(&blob, "action", action);
    mw_message_put_string(&blob, "step", step);
    mw_message_put_integer(&blob, "worker", worker);
    mw_message_close(&blob, table);
    mw_message_integer(text, place);
    table = mw_message_open(text);
    mw_message_put_string(text, "name", name);
    mw_message_string(text, "listeners", 9);
    size_t listeners = mw_message_open(text);
    mw_message_integer(text, 1);
    size_t listener = mw_message_open(text);
    mw_message_put_string(text, "address", address);
    mw_message_put_string(text, "kind", strncmp(address, "udp", 3) == 0 ? "datagram" : "stream");
    mw_message_close(text, listener);
    mw_message_close(text, listeners);
    mw_message_string(text, "blob", 4);
    mw_message_string(text, blob.bytes, blob.size);
    mw_message_close(text, table);
    mw_text_free(&blob);
}

static void put_setting(struct mw_text *text, const char *line) {
    char key[LINE];
    double value;
    if (sscanf(line, "%255s %lf", key, &value) != 2) {
        return;
    }
    if (strcmp(key, "workers") == 0 || strcmp(key, "budget") == 0) {
        mw_message_put_integer(text, key, (int64_t)value);
    } else {
        mw_message_put_number(text, key, value);
    }
}

static bool starts_with(const char *line, const char *word) {
    return strncmp(line, word, strlen(word)) == 0;
}

static void put_plan(struct mw_text *text, char lines[][LINE], int count, const char *path) {
    size_t root = mw_message_open(text);
    mw_message_string(text, "daemon", 6);
    size_t table = mw_message_open(text);
    mw_message_put_string(text, "control", control);
    mw_message_put_string(text, "user", geteuid() == 0 ? "nobody" : NULL);
    for (int i = 0; i < count; i++) {
        put_setting(text, lines[i]);
    }
    for (int i = 0; i < count; i++) {
        if (starts_with(lines[i], "log ")) {
            lines[i][strcspn(lines[i], "\n")] = '\0';
            mw_message_string(text, "log", 3);
            size_t log = mw_message_open(text);
            mw_message_put_string(text, "to", lines[i] + 4);
            mw_message_close(text, log);
        }
    }
    mw_message_string(text, "restart", 7);
    size_t restart = mw_message_open(text);
    for (int i = 0; i < count; i++) {
        if (starts_with(lines[i], "restart ")) {
            put_setting(text, lines[i] + 8);
        }
    }
    mw_message_close(text, restart);
    mw_message_close(text, table);
    mw_message_string(text, "services", 8);
    table = mw_message_open(text);
    for (int i = 0, place = 0; i < count; i++) {
        if (starts_with(lines[i], "service")) {
            put_service(text, ++place, lines[i]);
        }
    }
    mw_message_close(text, table);
    mw_message_string(text, "files", 5);
    table = mw_message_open(text);
    mw_message_integer(text, 1);
    mw_message_string(text, path, strlen(path));
    mw_message_close(text, table);
    for (int i = 0; i < count; i++) {
        if (starts_with(lines[i], "fault ")) {
            lines[i][strcspn(lines[i], "\n")] = '\0';
            mw_message_put_string(text, "fault", lines[i] + 6);
        }
    }
    mw_message_close(text, root);
}

static int read_lines(const char *path, char lines[][LINE], int most) {
    int count = 0;
    FILE *file = fopen(path, "re");
    while (file && count < most && fgets(lines[count], LINE, file)) {
        count++;
    }
    if (file) {
        fclose(file);
    }
    return count;
}

static const struct mw_channel_events deaf;

static int probe_main(const char *path, const char *service, int fd) {
    (void)service;
    char lines[32][LINE];
    struct mw_text text = {.bytes = NULL};
    int count = read_lines(path, lines, 32);
    for (int i = 0; i < count; i++) {
        if (starts_with(lines[i], "die")) {
            raise(SIGSEGV);
        } else if (starts_with(lines[i], "hang")) {
            pause();
        }
    }
    put_plan(&text, lines, count, path);
    struct mw_loop *loop = mw_loop_new();
    struct mw_channel *channel = mw_channel_new(loop, fd, &deaf, NULL);
    mw_channel_send(channel, MW_ORDER_PROBED, text.bytes, text.size, NULL, 0);
    while (mw_channel_pending(channel)) {
        mw_channel_converse(channel, 0.01, NULL, NULL);
    }
    mw_channel_close(channel);
    mw_loop_free(loop);
    mw_text_free(&text);
    return 0;
}

/* --- the worker --- */

struct fake;

struct fake_service {
    struct fake *fake;
    ev_io io;
    char name[64], action[32], step[32];
    int worker, fd;
    int64_t generation, born;
    bool serving;
};

struct fake {
    struct mw_loop *loop;
    struct mw_channel *channel;
    const struct mw_place *place;
    struct fake_service *services[SERVICES]; /* of both generations */
    int64_t generation, next;
    int64_t accepted[2], errors[2]; /* old, new in a trial */
    bool partial;
    char drained[64];
};

static void say(struct fake *fake, enum mw_order kind, int64_t generation, const char *message) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", generation);
    mw_message_put_integer(&text, "moved", 1);
    mw_message_put_string(&text, "service", message ? "echo" : NULL);
    mw_message_put_string(&text, "message", message);
    mw_message_close(&text, table);
    mw_channel_send(fake->channel, (uint8_t)kind, text.bytes, text.size, NULL, 0);
    mw_text_free(&text);
}

static void spin(void) {
    for (volatile int i = 0;; i = !i) {
    }
}

static void publish_flood(struct fake *fake) {
    static char large[1 << 20];
    mw_channel_send(fake->channel, MW_ORDER_PUBLISH, "rest", 4, NULL, 0);
    for (int i = 0; i < 16; i++) {
        mw_channel_send(fake->channel, MW_ORDER_PUBLISH, large, sizeof large, NULL, 0);
    }
}

static void on_connection(struct ev_loop *ev, ev_io *io, int events) {
    struct fake_service *service = io->data;
    struct fake *fake = service->fake;
    char command = '?';
    (void)ev;
    (void)events;
    int fd = accept(service->fd, NULL, NULL);
    if (fd < 0) {
        return;
    }
    fake->accepted[0]++;
    if (read(fd, &command, 1) == 1 && command == 'k') {
        raise(SIGKILL);
    } else if (command == 's') {
        spin();
    } else if (command == 'e') {
        fake->accepted[1]++;
        fake->errors[1]++;
    } else if (command == 'p') {
        mw_channel_send(fake->channel, MW_ORDER_PUBLISH, "hello", 5, NULL, 0);
    } else if (command == 'f') {
        publish_flood(fake);
    }
    dprintf(fd, "%lld %d %d\n", (long long)service->generation, fake->place->worker, (int)getpid());
    close(fd);
}

static void drop(struct fake *fake, int place) {
    struct fake_service *service = fake->services[place];
    ev_io_stop(mw_loop_ev(fake->loop), &service->io);
    close(service->fd);
    free(service);
    fake->services[place] = NULL;
}

static void serve(struct fake_service *service, bool on) {
    if (on) {
        ev_io_start(mw_loop_ev(service->fake->loop), &service->io);
    } else {
        ev_io_stop(mw_loop_ev(service->fake->loop), &service->io);
    }
}

static void take_service(struct fake *fake, const struct mw_value *message, const int *descriptors, int count) {
    struct fake_service *service = calloc(1, sizeof *service);
    struct mw_value blob;
    struct stat about;
    int place = 0;
    fstat(descriptors[0], &about);
    char *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, descriptors[0], 0);
    if (!mw_message_read(&blob, bytes, (size_t)about.st_size) || count != 2) {
        exit(3);
    }
    service->fake = fake;
    service->fd = descriptors[1];
    service->generation = mw_value_integer(message, "generation", 0);
    service->born = mw_value_integer(message, "born", 0);
    mw_value_string(&blob, "name", service->name, sizeof service->name);
    mw_value_string(&blob, "action", service->action, sizeof service->action);
    mw_value_string(&blob, "step", service->step, sizeof service->step);
    service->worker = (int)mw_value_integer(&blob, "worker", 0);
    munmap(bytes, (size_t)about.st_size);
    close(descriptors[0]);
    ev_io_init(&service->io, on_connection, service->fd, EV_READ);
    service->io.data = service;
    while (fake->services[place]) {
        place++;
    }
    fake->services[place] = service;
}

/* Whether it misbehaved, and there is nothing to answer. */
static bool misbehave(struct fake *fake, const char *step, int64_t generation) {
    for (int i = 0; i < SERVICES; i++) {
        const struct fake_service *service = fake->services[i];
        if (!service || service->generation != generation || strcmp(service->step, step) != 0 ||
            (service->worker && service->worker != fake->place->worker)) {
            continue;
        }
        if (strcmp(service->action, "die") == 0) {
            raise(SIGKILL);
        } else if (strcmp(service->action, "spin") == 0) {
            spin();
        } else if (strcmp(service->action, "slow") == 0) {
            usleep(300000);
            return false;
        } else if (strcmp(service->action, "fault") == 0) {
            say(fake, MW_ORDER_FAULT, generation, "echo.lua:7: no such thing");
        }
        return true;
    }
    return false;
}

/* A share of half the connections: both serve. */
static void commit(struct fake *fake, int64_t generation, bool whole) {
    for (int i = 0; i < SERVICES; i++) {
        struct fake_service *service = fake->services[i];
        if (!service) {
            continue;
        }
        bool fresh = service->generation == generation, replaced = !fresh && !fake->partial;
        for (int j = 0; j < SERVICES && !fresh; j++) {
            const struct fake_service *other = fake->services[j];
            replaced = replaced || (other && other->generation == generation && strcmp(other->name, service->name) == 0);
        }
        if (whole && replaced) {
            drop(fake, i);
        } else {
            serve(service, true);
        }
    }
    if (whole) {
        fake->generation = generation;
    }
    if (!misbehave(fake, "switched", generation)) {
        say(fake, MW_ORDER_SWITCHED, generation, NULL);
    }
}

static void drop_generation(struct fake *fake, int64_t generation) {
    for (int i = 0; i < SERVICES; i++) {
        if (fake->services[i] && fake->services[i]->generation == generation) {
            drop(fake, i);
        }
    }
}

static void answer(struct fake *fake, const struct mw_value *message, const int *descriptors, int count) {
    char command[32], json[512];
    struct mw_text text = {.bytes = NULL};
    mw_value_string(message, "command", command, sizeof command);
    if (strcmp(command, "drain") == 0) {
        mw_value_string(message, "service", fake->drained, sizeof fake->drained);
        if (mw_value_boolean(message, "undo", false)) {
            fake->drained[0] = '\0';
        }
    }
    if (strcmp(command, "reopen_log") == 0 && count == 1) {
        dprintf(descriptors[0], "worker %d writes here\n", fake->place->worker);
    }
    if (mw_value_integer(message, "id", 0) == 0) {
        return;
    }
    snprintf(json, sizeof json,
             "{\"old\":{\"accepted\":%lld,\"errors\":%lld},\"new\":{\"accepted\":%lld,\"errors\":%lld},\"killed\":2,"
             "\"drained\":\"%s\"}",
             (long long)fake->accepted[0], (long long)fake->errors[0], (long long)fake->accepted[1],
             (long long)fake->errors[1], fake->drained);
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "id", mw_value_integer(message, "id", 0));
    mw_message_put_string(&text, "text", json);
    mw_message_close(&text, table);
    mw_channel_send(fake->channel, MW_ORDER_ANSWER, text.bytes, text.size, NULL, 0);
    mw_text_free(&text);
}

static void on_order(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    struct fake *fake = owner;
    struct mw_value message;
    if (kind == MW_ORDER_PUBLISH) {
        dprintf(2, "worker %d heard %d bytes\n", fake->place->worker, (int)size);
        usleep(size == 4 ? 2000000 : 0);
        return;
    }
    if (!mw_message_read(&message, bytes, size)) {
        exit(4);
    }
    int64_t generation = mw_value_integer(&message, "generation", 0);
    switch (kind) {
    case MW_ORDER_SERVICE: take_service(fake, &message, descriptors, count); return;
    case MW_ORDER_PREPARE:
        fake->partial = mw_value_boolean(&message, "partial", false);
        if (!misbehave(fake, "prepare", generation)) {
            say(fake, MW_ORDER_READY, generation, NULL);
        }
        break;
    case MW_ORDER_ADOPT:
        if (!misbehave(fake, "adopt", generation)) {
            say(fake, MW_ORDER_ADOPTED, generation, NULL);
        }
        break;
    case MW_ORDER_COMMIT:
        if (!misbehave(fake, "commit", generation)) {
            commit(fake, generation, mw_value_number(&message, "share", 1) >= 1);
        }
        break;
    case MW_ORDER_ABORT: drop_generation(fake, generation); break;
    case MW_ORDER_ROLLBACK:
        drop_generation(fake, generation);
        say(fake, MW_ORDER_SWITCHED, generation, NULL);
        break;
    case MW_ORDER_STOP:
        if (!misbehave(fake, "stop", fake->generation)) {
            mw_loop_stop(fake->loop);
        }
        break;
    case MW_ORDER_REQUEST: answer(fake, &message, descriptors, count); break;
    default: exit(5);
    }
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

static void on_order_end(void *owner) {
    (void)owner;
    _exit(6);
}

static int worker_main(const struct mw_place *place) {
    static const struct mw_channel_events orders = {.on_message = on_order, .on_end = on_order_end};
    struct fake fake = {.loop = mw_loop_new(), .place = place};
    fake.channel = mw_channel_new(fake.loop, place->channel, &orders, &fake);
    mw_loop_set_pulse(fake.loop, place->pulse);
    mw_loop_run(fake.loop);
    for (int i = 0; i < SERVICES; i++) {
        if (fake.services[i]) {
            drop(&fake, i);
        }
    }
    mw_channel_close(fake.channel);
    mw_loop_free(fake.loop);
    return 0;
}

/* --- the test's side --- */

static void write_config(const char *text) {
    char path[80];
    snprintf(path, sizeof path, "%s.new", config);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(path, config), 0);
}

static void nap(void) {
    usleep(5000);
}

#define eventually(condition)                                                                                \
    do {                                                                                                     \
        double limit_ = world_clock() + 20;                                                                  \
        while (!(condition)) {                                                                               \
            if (world_clock() > limit_) {                                                                    \
                show_log();                                                                                  \
                fail_msg("this did not happen: %s", #condition);                                             \
            }                                                                                                \
            nap();                                                                                           \
        }                                                                                                    \
    } while (0)

static const char *read_log(void) {
    static char text[1 << 20];
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static void show_log(void) {
    print_error("%s", read_log());
}

static bool log_has(const char *text) {
    return strstr(read_log(), text) != NULL;
}

static void start_daemon(bool watch) {
    fflush(NULL);
    daemon_id = fork();
    assert_true(daemon_id >= 0);
    if (daemon_id == 0) {
        int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        struct mw_supervisor_options options = {.version = "1.2.3",
                                                .config = config,
                                                .watch = watch,
                                                .probe_main = probe_main,
                                                .worker_main = worker_main};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, 2);
        close(fd);
        exit(mw_supervisor_run(&options));
    }
}

static bool has_ended(int *status) {
    if (waitpid(daemon_id, status, WNOHANG) != daemon_id) {
        return false;
    }
    daemon_id = 0;
    return true;
}

static void await_end(int code) {
    int status = 0;
    eventually(has_ended(&status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void start_with(const char *text) {
    write_config(text);
    start_daemon(false);
    eventually(log_has("serving generation 1"));
}

static int connect_to(const char *text) {
    struct mw_address address;
    struct mw_addr addr;
    const char *why;
    assert_true(mw_address_parse(&address, text, strlen(text), &why));
    assert_true(mw_addr_resolve(&addr, &address));
    int fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &addr.any, addr.length) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Where the service listens, as the log says. */
static const char *address_of(const char *service) {
    static char address[LINE];
    char mark[LINE];
    snprintf(mark, sizeof mark, "listening service=%s address=", service);
    const char *found = strstr(read_log(), mark);
    assert_non_null(found);
    sscanf(found + strlen(mark), "%255s", address);
    return address;
}

struct reply {
    int generation, worker, pid;
};

/* Sends the command over a connection; all zero when it ended without a reply. */
static struct reply finish_call(int fd, char command) {
    char line[LINE] = "";
    struct reply reply = {.pid = 0};
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &command, 1), 1);
    assert_int_equal(poll(&wait, 1, 20000), 1);
    ssize_t got = read(fd, line, sizeof line - 1);
    if (got > 0) {
        sscanf(line, "%d %d %d", &reply.generation, &reply.worker, &reply.pid);
    }
    close(fd);
    return reply;
}

static struct reply call(const char *service, char command) {
    return finish_call(connect_to(address_of(service)), command);
}

/* One line to the control socket, one back. */
static const char *order(const char *line) {
    static char reply[ANSWER];
    char address[80];
    size_t size = 0;
    snprintf(address, sizeof address, "unix://%s", control);
    int fd = connect_to(address);
    assert_true(fd >= 0);
    dprintf(fd, "%s\n", line);
    while (size < sizeof reply - 1 && (size == 0 || reply[size - 1] != '\n')) {
        ssize_t got = read(fd, reply + size, sizeof reply - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
    }
    reply[size] = '\0';
    close(fd);
    return reply;
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) {
        show_log();
        fail_msg("%s\nis not in\n%s", part, text);
    }
}

static int worker_pid(int worker) {
    char mark[32];
    int pid = 0;
    const char *status = order("{\"command\":\"status\"}");
    snprintf(mark, sizeof mark, "\"worker\":%d,", worker);
    const char *found = strstr(status, mark);
    found = found ? strstr(found, "\"pid\":") : NULL;
    if (found) {
        sscanf(found, "\"pid\":%d", &pid);
    }
    return pid;
}

static bool is_alive(int pid) {
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%*d %*s %c", &state) != 1) {
            state = 'X';
        }
        fclose(file);
    }
    return file && state != 'Z' && state != 'X';
}

static int open_folder(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(config, sizeof config, "%s/conf", folder);
    snprintf(control, sizeof control, "%s/control", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(unix_path, sizeof unix_path, "%s/socket", folder);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int close_folder(void **state) {
    (void)state;
    if (daemon_id) {
        kill(daemon_id, SIGKILL);
        waitpid(daemon_id, NULL, 0);
        daemon_id = 0;
    }
    const char *const paths[] = {config, control, log_path, unix_path};
    for (int i = 0; i < 4; i++) {
        unlink(paths[i]);
    }
    return rmdir(folder);
}

#define ECHO "service echo tcp://127.0.0.1:0"

static const char reload_line[] = "{\"command\":\"reload\"}";

/* --- start and stop --- */

static void it_serves_and_stops(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    int pid = worker_pid(1);
    assert_true(is_alive(pid) && is_alive(worker_pid(2)));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call("echo", '?').generation, 1);
    }
    kill(daemon_id, SIGTERM);
    await_end(0);
    assert_false(is_alive(pid));
    assert_int_equal(connect_to(address_of("echo")), -1);
    assert_int_equal(access(control, F_OK), -1);
}

static void a_fault_of_the_config_is_the_end(void **state) {
    (void)state;
    write_config("fault conf:3: unknown key 'workerz'\n");
    start_daemon(false);
    await_end(1);
    assert_true(log_has("cannot start: conf:3: unknown key 'workerz'"));
}

static void a_worker_that_cannot_prepare_is_the_end_of_a_start(void **state) {
    (void)state;
    write_config("workers 2\n" ECHO " fault prepare 2\n");
    start_daemon(false);
    await_end(1);
    assert_true(log_has("cannot start: service 'echo' on worker 2: echo.lua:7: no such thing"));
}

static void a_probe_that_dies_is_told(void **state) {
    (void)state;
    write_config("die\n");
    start_daemon(false);
    await_end(1);
    assert_true(log_has("has died: "));
}

static void an_address_in_use_is_the_end_of_a_start(void **state) {
    (void)state;
    char text[LINE];
    start_with("workers 1\n" ECHO "\n");
    snprintf(text, sizeof text, "workers 1\nservice echo tcp://%s\n", address_of("echo"));
    pid_t first = daemon_id;
    strcat(control, "2");
    write_config(text);
    start_daemon(false);
    int status = 0;
    eventually(waitpid(daemon_id, &status, WNOHANG) == daemon_id);
    daemon_id = first;
    unlink(control);
    control[strlen(control) - 1] = '\0';
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(log_has("cannot start: service 'echo': listen 127.0.0.1"));
    assert_true(log_has("ddress already in use"));
}

static void a_second_signal_is_at_once(void **state) {
    (void)state;
    start_with("workers 2\ndrain 60\n" ECHO " hang stop 1\n");
    int pid = worker_pid(1);
    kill(daemon_id, SIGTERM);
    eventually(!is_alive(worker_pid(2)));
    assert_true(is_alive(pid));
    kill(daemon_id, SIGTERM);
    await_end(0);
    assert_false(is_alive(pid));
}

static void who_does_not_stop_is_killed(void **state) {
    (void)state;
    start_with("workers 1\ndrain 0.2\n" ECHO " hang stop 1\n");
    double before = world_clock();
    kill(daemon_id, SIGINT);
    await_end(0);
    assert_true(world_clock() - before >= 2);
    assert_true(log_has("killed"));
}

static void no_worker_outlives_the_supervisor(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    int one = worker_pid(1), two = worker_pid(2);
    kill(daemon_id, SIGKILL);
    eventually(!is_alive(one) && !is_alive(two));
}

/* --- workers that die --- */

static void a_worker_that_dies_is_back_at_once(void **state) {
    (void)state;
    start_with("workers 1\n" ECHO "\n");
    int pid = worker_pid(1);
    double before = world_clock();
    kill(pid, SIGKILL);
    int fd = connect_to(address_of("echo"));
    struct reply reply = finish_call(fd, '?');
    double took = world_clock() - before;
    assert_int_not_equal(reply.pid, 0);
    assert_int_not_equal(reply.pid, pid);
    assert_true(took < 0.5);
    assert_has(order("{\"command\":\"status\"}"), "\"restarts\":1,");
    assert_has(order("{\"command\":\"status\"}"), "\"last_exit\":\"signal 9\"");
}

static void connections_that_wait_are_accepted_by_the_successor(void **state) {
    (void)state;
    int fds[20];
    start_with("workers 1\n" ECHO "\n");
    int pid = worker_pid(1);
    kill(pid, SIGSTOP);
    for (int i = 0; i < 20; i++) {
        fds[i] = connect_to(address_of("echo"));
    }
    kill(pid, SIGKILL);
    for (int i = 0; i < 20; i++) {
        assert_int_not_equal(finish_call(fds[i], '?').pid, pid);
    }
}

static void one_that_dies_again_waits_longer_and_longer(void **state) {
    (void)state;
    start_with("workers 1\n" ECHO "\n");
    double before = world_clock();
    for (int i = 0; i < 4; i++) {
        int pid = worker_pid(1);
        assert_int_equal(call("echo", 'k').pid, 0);
        eventually(worker_pid(1) && worker_pid(1) != pid);
    }
    double took = world_clock() - before;
    assert_true(took >= 0.7); /* 0 + 0.1 + 0.2 + 0.4 */
}

static void one_that_dies_too_often_rests(void **state) {
    (void)state;
    start_with("workers 1\nrestart budget 3\nrestart within 4\nrestart most 1\n" ECHO "\n");
    for (int i = 0; i < 3; i++) {
        int pid = worker_pid(1);
        assert_int_equal(call("echo", 'k').pid, 0);
        eventually(i == 2 || (worker_pid(1) && worker_pid(1) != pid));
    }
    eventually(log_has("worker 1 has ended 3 times within 4 s (last: signal 9)"));
    assert_has(order("{\"command\":\"status\"}"), "\"state\":\"failed\",\"restarts\":2,\"pid\":null");
    double before = world_clock();
    assert_int_not_equal(call("echo", '?').pid, 0); /* waits until it is started again */
    assert_true(world_clock() - before > 1);
    call("echo", 'k');
    eventually(worker_pid(1) == 0);
    assert_has(order(reload_line), "\"ok\":true,\"generation\":2"); /* may be the remedy: it is started at once */
    assert_int_equal(call("echo", '?').generation, 2);
}

static void one_that_stands_still_is_replaced(void **state) {
    (void)state;
    start_with("workers 1\nstuck 0.5\n" ECHO "\n");
    int pid = worker_pid(1);
    assert_int_equal(call("echo", 's').pid, 0);
    assert_int_not_equal(call("echo", '?').pid, pid);
    assert_true(log_has("stands still"));
}

/* --- reload --- */

static void a_reload_brings_the_next_generation(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    int pid = worker_pid(1);
    const char *reply = order(reload_line);
    assert_has(reply, "\"ok\":true,\"generation\":2,\"moved\":2");
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call("echo", '?').generation, 2);
    }
    assert_int_equal(worker_pid(1), pid);
    kill(daemon_id, SIGHUP);
    eventually(call("echo", '?').generation == 3);
}

static void a_fault_of_the_probe_changes_nothing(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    write_config("fault conf:1: no\n");
    assert_has(order(reload_line), "\"ok\":false,\"error\":\"conf:1: no\",\"code\":\"fault\"");
    assert_int_equal(call("echo", '?').generation, 1);
    assert_has(order("{\"command\":\"status\"}"), "\"failed\":1,\"last_error\":\"conf:1: no\"");
}

static void a_fault_in_one_worker_changes_nothing(void **state) {
    (void)state;
    const char *const steps[] = {"prepare", "adopt"};
    start_with("workers 2\n" ECHO "\n");
    for (int i = 0; i < 2; i++) {
        char text[LINE];
        snprintf(text, sizeof text, "workers 2\n" ECHO " fault %s 2\n", steps[i]);
        write_config(text);
        assert_has(order(reload_line), "service 'echo' on worker 2: echo.lua:7: no such thing");
        for (int j = 0; j < 10; j++) {
            assert_int_equal(call("echo", '?').generation, 1);
        }
    }
    write_config("workers 2\n" ECHO "\n");
    assert_has(order(reload_line), "\"ok\":true");
    eventually(call("echo", '?').generation == 4);
}

static void a_worker_that_dies_before_the_switch_undoes_it(void **state) {
    (void)state;
    const char *const steps[] = {"prepare", "adopt"};
    start_with("workers 2\n" ECHO "\n");
    for (int i = 0; i < 2; i++) {
        char text[LINE];
        snprintf(text, sizeof text, "workers 2\n" ECHO " die %s 2\n", steps[i]);
        write_config(text);
        assert_has(order(reload_line), "worker 2 has died");
        for (int j = 0; j < 10; j++) {
            assert_int_equal(call("echo", '?').generation, 1);
        }
    }
}

static void a_worker_that_dies_in_the_switch_comes_back_with_the_next(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    int pid = worker_pid(2);
    write_config("workers 2\n" ECHO " die switched 2\n");
    assert_has(order(reload_line), "\"ok\":true,\"generation\":2,\"moved\":1");
    write_config("workers 2\n" ECHO "\n");
    assert_has(order(reload_line), "\"ok\":true");
    eventually(worker_pid(2) && worker_pid(2) != pid);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call("echo", '?').generation, 3);
    }
}

static void who_does_not_answer_in_time_undoes_it(void **state) {
    (void)state;
    start_with("workers 2\nreload_timeout 0.3\n" ECHO "\n");
    write_config("workers 2\n" ECHO " hang prepare 1\n");
    assert_has(order(reload_line), "worker 1 has not answered for 0.3 s");
    assert_int_equal(call("echo", '?').generation, 1);
}

static void listeners_come_and_go(void **state) {
    (void)state;
    char text[LINE], old[LINE];
    start_with("workers 2\n" ECHO "\n");
    snprintf(old, sizeof old, "tcp://%s", address_of("echo"));
    snprintf(text, sizeof text, "workers 2\nservice echo unix://%s\n" "service other tcp://127.0.0.1:0\n", unix_path);
    write_config(text);
    assert_has(order(reload_line), "\"ok\":true");
    assert_int_equal(call("other", '?').generation, 2);
    snprintf(text, sizeof text, "unix://%s", unix_path);
    assert_int_equal(finish_call(connect_to(text), '?').generation, 2);
    eventually(connect_to(old) < 0);
    write_config("workers 2\nservice other tcp://127.0.0.1:0\n");
    assert_has(order(reload_line), "\"ok\":true");
    assert_int_equal(access(unix_path, F_OK), -1);
}

static void an_address_that_cannot_be_opened_changes_nothing(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    write_config("workers 2\n" ECHO "\nservice other tcp://192.0.2.1:80\n");
    assert_has(order(reload_line), "service 'other': listen 192.0.2.1:80");
    assert_int_equal(call("echo", '?').generation, 1);
    write_config("workers 2\n" ECHO "\n");
    assert_has(order(reload_line), "\"generation\":2");
}

static void one_service_is_reloaded_alone(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\nservice other tcp://127.0.0.1:0\n");
    assert_has(order("{\"command\":\"reload\",\"service\":\"other\"}"), "\"ok\":true,\"generation\":2");
    assert_int_equal(call("echo", '?').generation, 1);
    assert_int_equal(call("other", '?').generation, 2);
    assert_has(order("{\"command\":\"reload\",\"service\":\"third\"}"), "the config has no service 'third'");
}

static void reloads_queue(void **state) {
    (void)state;
    char address[80];
    int fds[4], count[2] = {0};
    start_with("workers 2\n" ECHO "\n");
    write_config("workers 2\n" ECHO " slow prepare 1\n");
    snprintf(address, sizeof address, "unix://%s", control);
    for (int i = 0; i < 4; i++) {
        fds[i] = connect_to(address);
        dprintf(fds[i], "%s\n", reload_line);
    }
    for (int i = 0; i < 4; i++) {
        char reply[LINE] = "";
        assert_true(read(fds[i], reply, sizeof reply - 1) > 0);
        count[1] += strstr(reply, "\"generation\":3") != NULL;
        count[0] += strstr(reply, "\"generation\":2") != NULL;
        close(fds[i]);
    }
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 3);
}

static void a_stop_in_a_reload_is_a_stop(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    write_config("workers 2\n" ECHO " hang prepare 1\n");
    kill(daemon_id, SIGHUP);
    eventually(strstr(order("{\"command\":\"status\"}"), "\"state\":\"reloading\""));
    kill(daemon_id, SIGTERM);
    await_end(0);
}

/* --- trials --- */

static void a_trial_that_goes_well_becomes_the_rule(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    assert_has(order("{\"command\":\"reload\",\"canary\":0.5,\"seconds\":0.3}"), "\"ok\":true,\"generation\":2");
    assert_int_equal(call("echo", '?').generation, 2);
}

static void a_trial_with_a_death_is_taken_back(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    write_config("workers 2\n" ECHO " die switched 2\n");
    assert_has(order("{\"command\":\"reload\",\"canary\":0.5,\"seconds\":30}"), "taken back: worker 2 has died");
    assert_int_equal(call("echo", '?').generation, 1);
}

static void a_trial_with_errors_is_taken_back(void **state) {
    (void)state;
    char address[80], reply[LINE] = "";
    start_with("workers 1\n" ECHO "\n");
    write_config("workers 1\nservice echo tcp://127.0.0.1:0\nservice other tcp://127.0.0.1:0\n");
    snprintf(address, sizeof address, "unix://%s", control);
    int fd = connect_to(address);
    dprintf(fd, "{\"command\":\"reload\",\"canary\":0.5,\"seconds\":30}\n");
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 20) == 0) {
        call("echo", 'e');
    }
    assert_true(read(fd, reply, sizeof reply - 1) > 0);
    close(fd);
    if (!strstr(reply, "taken back")) {
        fail_msg("%s", reply);
    }
}

/* --- the rest --- */

static void saving_the_config_reloads(void **state) {
    (void)state;
    write_config("workers 1\n" ECHO "\n");
    start_daemon(true);
    eventually(log_has("serving generation 1"));
    write_config("workers 1\n" ECHO "\n");
    eventually(log_has("generation 2"));
    FILE *file = fopen(config, "ae");
    fputs("\n", file);
    fclose(file);
    eventually(log_has("generation 3"));
    unlink(config);
    eventually(log_has("nothing was reloaded") || log_has("generation 4"));
}

static void a_successor_is_told_what_drains(void **state) {
    (void)state;
    start_with("workers 1\n" ECHO "\nservice other tcp://127.0.0.1:0\n");
    assert_has(order("{\"command\":\"drain\",\"service\":\"echo\"}"), "{\"ok\":true}");
    int pid = worker_pid(1);
    kill(pid, SIGKILL);
    eventually(worker_pid(1) && worker_pid(1) != pid);
    eventually(strstr(order("{\"command\":\"status\"}"), "\"drained\":\"echo\""));
    assert_has(order("{\"command\":\"drain\",\"service\":\"echo\",\"undo\":true}"), "{\"ok\":true}");
    pid = worker_pid(1);
    kill(pid, SIGKILL);
    eventually(worker_pid(1) && worker_pid(1) != pid);
    eventually(strstr(order("{\"command\":\"status\"}"), "\"drained\":\"\""));
}

/* Standard error is the same file: what comes after the renaming is written to the new one only. */
static void the_log_is_reopened(void **state) {
    (void)state;
    char text[LINE], old[80];
    snprintf(text, sizeof text, "workers 2\nlog %s\n" ECHO "\n", log_path);
    start_with(text);
    snprintf(old, sizeof old, "%s.old", log_path);
    assert_int_equal(rename(log_path, old), 0);
    kill(daemon_id, SIGUSR1);
    eventually(log_has("worker 1 writes here") && log_has("worker 2 writes here"));
    kill(daemon_id, SIGHUP);
    eventually(log_has("generation 2"));
    unlink(old);
}

static void commands_are_answered(void **state) {
    (void)state;
    start_with("workers 2\n" ECHO "\n");
    const char *reply = order("{\"command\":\"status\"}");
    assert_has(reply, "\"version\":\"1.2.3\"");
    assert_has(reply, "\"state\":\"running\"");
    assert_has(reply, "\"report\":{\"old\"");
    assert_has(order("{\"command\":\"kill\",\"service\":\"echo\"}"), "{\"ok\":true,\"killed\":4}");
    assert_has(order("{\"command\":\"kill\"}"), "\"code\":\"invalid\"");
    assert_has(order("{\"command\":\"connections\"}"), "{\"ok\":true,\"workers\":[{\"worker\":1,\"report\":{");
    assert_has(order("{\"command\":\"eval\",\"service\":\"echo\",\"code\":\"1\",\"worker\":2}"),
               "{\"ok\":true,\"workers\":[{\"worker\":2,\"report\":{");
    assert_has(order("{\"command\":\"eval\",\"service\":\"none\",\"code\":\"1\"}"), "\"code\":\"not_found\"");
    assert_has(order("{\"command\":\"eval\",\"service\":\"echo\",\"code\":\"1\",\"worker\":3}"), "\"code\":\"not_found\"");
    assert_has(order("{\"command\":\"drain\",\"service\":\"echo\"}"), "{\"ok\":true}");
    assert_has(order("{\"command\":\"log\",\"level\":\"debug\"}"), "{\"ok\":true}");
    assert_has(order("{\"command\":\"log\",\"level\":\"loud\"}"), "\"code\":\"invalid\"");
    assert_has(order("{\"command\":\"metrics\"}"), "{\"ok\":true,\"text\":\"");
    assert_has(order("{\"command\":\"dance\"}"), "\"code\":\"unknown\"");
    assert_has(order("{\"command\":\"reload\",\"canary\":2}"), "\"code\":\"invalid\"");
    assert_has(order("{\"command\":\"stop\"}"), "{\"ok\":true}");
    await_end(0);
}

static void what_is_published_reaches_the_others(void **state) {
    char heard[LINE];
    (void)state;
    start_with("workers 3\n" ECHO "\n");
    int from = call("echo", 'p').worker;
    for (int worker = 1; worker <= 3; worker++) {
        snprintf(heard, sizeof heard, "worker %d heard 5 bytes", worker);
        if (worker != from) {
            eventually(log_has(heard));
        }
    }
    snprintf(heard, sizeof heard, "worker %d heard", from);
    assert_false(log_has(heard));
}

static void who_does_not_read_on_misses_what_is_published(void **state) {
    (void)state;
    start_with("workers 2\nstuck 20\n" ECHO "\n");
    call("echo", 'f');
    eventually(log_has("does not keep up with the bus: 1 messages to it were dropped"));
    eventually(log_has("heard 1048576 bytes"));
    assert_has(order("{\"command\":\"metrics\"}"), "moonwire_bus_dropped_total{worker=");
    call("echo", 'p');
    eventually(log_has("heard 5 bytes"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define test(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)
        test(it_serves_and_stops),
        test(a_fault_of_the_config_is_the_end),
        test(a_worker_that_cannot_prepare_is_the_end_of_a_start),
        test(a_probe_that_dies_is_told),
        test(an_address_in_use_is_the_end_of_a_start),
        test(a_second_signal_is_at_once),
        test(who_does_not_stop_is_killed),
        test(no_worker_outlives_the_supervisor),
        test(a_worker_that_dies_is_back_at_once),
        test(connections_that_wait_are_accepted_by_the_successor),
        test(one_that_dies_again_waits_longer_and_longer),
        test(one_that_dies_too_often_rests),
        test(one_that_stands_still_is_replaced),
        test(a_reload_brings_the_next_generation),
        test(a_fault_of_the_probe_changes_nothing),
        test(a_fault_in_one_worker_changes_nothing),
        test(a_worker_that_dies_before_the_switch_undoes_it),
        test(a_worker_that_dies_in_the_switch_comes_back_with_the_next),
        test(who_does_not_answer_in_time_undoes_it),
        test(listeners_come_and_go),
        test(an_address_that_cannot_be_opened_changes_nothing),
        test(one_service_is_reloaded_alone),
        test(reloads_queue),
        test(a_stop_in_a_reload_is_a_stop),
        test(a_trial_that_goes_well_becomes_the_rule),
        test(a_trial_with_a_death_is_taken_back),
        test(a_trial_with_errors_is_taken_back),
        test(saving_the_config_reloads),
        test(a_successor_is_told_what_drains),
        test(the_log_is_reopened),
        test(commands_are_answered),
        test(what_is_published_reaches_the_others),
        test(who_does_not_read_on_misses_what_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
