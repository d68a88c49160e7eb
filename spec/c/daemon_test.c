/* layers: worker script net loop proto base */
/* wrap: mw_find_library */
/* A worker, with the test as its supervisor: what it is told, what it answers, and
 * what its clients see meanwhile. */
#include "base/metric.h"
#include "net/admission.h"
#include "net/channel.h"
#include "net/listener.h"
#include "proto/message.h"
#include "proto/order.h"
#include "support/world.h"
#include "worker/daemon.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

bool __wrap_mw_find_library(char *path, size_t size);

bool __wrap_mw_find_library(char *path, size_t size) {
    return realpath("lua", path) != NULL && strlen(path) < size;
}

static struct worker {
    pid_t process;
    struct mw_channel *channel;
    int listener; /* ours, of one service */
    struct mw_metrics *metrics;
    struct mw_admissions *admissions;
    /* The last of each kind that it said; `count` of all. */
    char said[32][4096];
    size_t sizes[32];
    unsigned count[32];
    bool ended;
} worker;

static void on_message(void *owner, uint8_t kind, const char *bytes, size_t size, const int *descriptors, int count) {
    (void)owner;
    (void)descriptors;
    assert_int_equal(count, 0);
    assert_true(kind < 32 && size <= sizeof worker.said[0]);
    memcpy(worker.said[kind], bytes, size);
    worker.sizes[kind] = size;
    worker.count[kind]++;
}

static void on_end(void *owner) {
    (void)owner;
    worker.ended = true;
}

static int start_worker(void **state) {
    static const struct mw_channel_events events = {.on_message = on_message, .on_end = on_end};
    static struct mw_pulse pulse;
    int ends[2];
    if (world_open(state) != 0 || !mw_channel_pair(ends)) {
        return -1;
    }
    alarm(60);
    memset(&worker, 0, sizeof worker);
    worker.metrics = mw_metrics_new(2);
    worker.admissions = mw_admissions_new(2);
    struct mw_place place = {
        .worker = 1, .workers = 2, .channel = ends[1], .pulse = &pulse, .metrics = worker.metrics, .admissions = worker.admissions};
    worker.process = fork();
    if (worker.process == 0) {
        close(ends[0]);
        _exit(mw_daemon_main(&place));
    }
    close(ends[1]);
    worker.channel = mw_channel_new(world.loop, ends[0], &events, NULL);
    struct mw_address address;
    struct mw_fault fault;
    const char *why;
    mw_address_parse(&address, "tcp://127.0.0.1:0", 17, &why);
    worker.listener = mw_listener_open(&address, &mw_listener_defaults, &fault);
    return worker.channel && worker.listener >= 0 ? 0 : -1;
}

static int end_worker(void **state) {
    mw_channel_close(worker.channel);
    close(worker.listener);
    kill(worker.process, SIGKILL);
    waitpid(worker.process, NULL, 0);
    mw_metrics_free(worker.metrics);
    mw_admissions_free(worker.admissions);
    return world_close(state);
}

/* --- orders --- */

static void send_text(enum mw_order kind, struct mw_text *text, const int *descriptors, int count) {
    assert_false(text->failed);
    assert_int_equal(mw_channel_send(worker.channel, (uint8_t)kind, text->bytes, text->size, descriptors, count), 0);
    mw_text_free(text);
}

static void order(enum mw_order kind, int generation) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", generation);
    mw_message_put_number(&text, "drain", 5);
    mw_message_close(&text, table);
    send_text(kind, &text, NULL, 0);
}

static int blob_of(const char *name, const char *code) {
    struct mw_text text = {.bytes = NULL};
    size_t table = mw_message_open(&text);
    mw_message_put_string(&text, "name", name);
    mw_message_put_string(&text, "script", "service.lua");
    mw_message_string(&text, "sources", 7);
    size_t sources = mw_message_open(&text);
    mw_message_put_string(&text, "service.lua", code);
    mw_message_close(&text, sources);
    mw_message_close(&text, table);
    int memory = memfd_create("blob", MFD_CLOEXEC);
    assert_int_equal(write(memory, text.bytes, text.size), (ssize_t)text.size);
    mw_text_free(&text);
    return memory;
}

static void put_listener(struct mw_text *text) {
    mw_message_string(text, "listeners", 9);
    size_t list = mw_message_open(text);
    mw_message_integer(text, 1);
    size_t listener = mw_message_open(text);
    mw_message_put_string(text, "address", "tcp://127.0.0.1:0");
    mw_message_put_string(text, "kind", "stream");
    mw_message_close(text, listener);
    mw_message_close(text, list);
}

static void order_service(int generation, const char *name, const char *code, bool listens) {
    struct mw_text text = {.bytes = NULL};
    int descriptors[] = {blob_of(name, code), worker.listener};
    size_t table = mw_message_open(&text);
    mw_message_put_integer(&text, "generation", generation);
    mw_message_put_string(&text, "name", name);
    if (listens) {
        put_listener(&text);
    }
    mw_message_close(&text, table);
    send_text(MW_ORDER_SERVICE, &text, descriptors, listens ? 2 : 1);
    close(descriptors[0]);
}

static struct mw_value said(enum mw_order kind) {
    struct mw_value value;
    assert_true(mw_message_read(&value, worker.said[kind], worker.sizes[kind]));
    return value;
}

/* Builds a generation of one service up to READY. */
static void prepare(int generation, const char *code) {
    order_service(generation, "test", code, true);
    order(MW_ORDER_PREPARE, generation);
    world_run_until(worker.count[MW_ORDER_READY] + worker.count[MW_ORDER_FAULT] > 0);
}

static void commit(int generation) {
    unsigned before = worker.count[MW_ORDER_SWITCHED];
    order(MW_ORDER_ADOPT, generation);
    order(MW_ORDER_COMMIT, generation);
    world_run_until(worker.count[MW_ORDER_SWITCHED] > before);
}

static void serve(int generation, const char *code) {
    prepare(generation, code);
    assert_int_equal(worker.count[MW_ORDER_FAULT], 0);
    commit(generation);
    worker.count[MW_ORDER_READY] = 0;
}

static int64_t switched(const char *key) {
    struct mw_value value = said(MW_ORDER_SWITCHED);
    return mw_value_integer(&value, key, -1);
}

static bool fault_says(const char *words) {
    char message[1024];
    struct mw_value value = said(MW_ORDER_FAULT);
    return strstr(mw_value_string(&value, "message", message, sizeof message), words) != NULL;
}

/* --- clients --- */

static int enter(void) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    getsockname(worker.listener, (struct sockaddr *)&address, &length);
    int client = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    return client;
}

static void say(int client, const char *text) {
    assert_int_equal(write(client, text, strlen(text)), (ssize_t)strlen(text));
}

/* What the worker answers, up to the end of a line; "" at the end. */
static const char *hear(int client) {
    static char line[256];
    size_t length = 0;
    while (length < sizeof line - 1 && read(client, line + length, 1) == 1 && line[length++] != '\n') {
    }
    line[length] = '\0';
    return line;
}

/* --- what is served --- */

#define COUNTER(version)                                                                                             \
    "local function talk(conn, state)\n"                                                                              \
    "  while true do\n"                                                                                               \
    "    conn:checkpoint(state)\n"                                                                                    \
    "    local line = conn:read_line()\n"                                                                             \
    "    if not line then return end\n"                                                                               \
    "    state.count = state.count + 1\n"                                                                             \
    "    conn:write('" version "', state.count, line, '\\n')\n"                                                       \
    "  end\n"                                                                                                         \
    "end\n"                                                                                                           \
    "return { connect = function(conn) talk(conn, { count = 0 }) end, resume = talk }"

#define ECHO(version)                                                                                                 \
    "return function(conn) for line in conn:lines() do conn:write('" version "', line, '\\n') end end"

static void a_service_serves(void **state) {
    (void)state;
    serve(1, ECHO("a"));
    int client = enter();
    say(client, "hello\n");
    assert_string_equal(hear(client), "ahello\n");
    close(client);
}

static void a_connection_at_a_checkpoint_moves_with_its_state_and_unread_bytes(void **state) {
    (void)state;
    serve(1, COUNTER("a"));
    int client = enter();
    say(client, "one\ntw");
    assert_string_equal(hear(client), "a1one\n");
    serve(2, COUNTER("b"));
    assert_int_equal(switched("moved"), 1);
    assert_int_equal(switched("kept"), 0);
    say(client, "o\nthree\n");
    assert_string_equal(hear(client), "b2two\n");
    assert_string_equal(hear(client), "b3three\n");
    close(client);
}

static void a_connection_without_one_ends_in_the_old_code(void **state) {
    (void)state;
    serve(1, ECHO("a"));
    int old = enter();
    say(old, "one\n");
    assert_string_equal(hear(old), "aone\n");
    serve(2, ECHO("b"));
    assert_int_equal(switched("moved"), 0);
    assert_int_equal(switched("kept"), 1);
    int new = enter();
    say(new, "two\n");
    say(old, "three\n");
    assert_string_equal(hear(new), "btwo\n");
    assert_string_equal(hear(old), "athree\n");
    close(old);
    close(new);
}

/* The old code finishes what it has read of, and only then the connection moves. */
static void a_task_amid_a_request_moves_at_its_next_checkpoint(void **state) {
    (void)state;
    serve(1, "return function(conn)\n"
             "  conn:checkpoint('first')\n"
             "  conn:write('begun ', conn:read_line(), '\\n')\n"
             "  conn:write('done ', conn:read_line(), '\\n')\n"
             "  conn:checkpoint('second')\n"
             "  conn:read_line()\n"
             "end");
    int client = enter();
    say(client, "one\n");
    assert_string_equal(hear(client), "begun one\n");
    serve(2, "return { connect = print, resume = function(conn, state) conn:write('at ', state, '\\n') end }");
    assert_int_equal(switched("moved"), 0);
    assert_int_equal(switched("kept"), 1);
    say(client, "two\n");
    assert_string_equal(hear(client), "done two\n");
    assert_string_equal(hear(client), "at second\n");
    assert_string_equal(hear(client), "");
    close(client);
}

static void a_fault_of_start_changes_nothing(void **state) {
    (void)state;
    serve(1, ECHO("a"));
    int client = enter();
    prepare(2, "return { connect = print, start = function() error('no way') end }");
    assert_int_equal(worker.count[MW_ORDER_READY], 0);
    assert_true(fault_says("service.lua:1: no way"));
    order(MW_ORDER_ABORT, 2);
    say(client, "one\n");
    assert_string_equal(hear(client), "aone\n");
    worker.count[MW_ORDER_FAULT] = 0;
    serve(3, ECHO("c"));
    int new = enter();
    say(new, "two\n");
    assert_string_equal(hear(new), "ctwo\n");
    close(client);
    close(new);
}

static void a_service_hands_its_state_on(void **state) {
    (void)state;
    const char *code = "local hits = 0\n"
                       "return { connect = function(conn) hits = hits + 1; conn:write(hits, '\\n') end,\n"
                       "  handoff = function() return { hits = hits } end,\n"
                       "  adopt = function(data) hits = data.hits end }";
    serve(1, code);
    int client = enter();
    assert_string_equal(hear(client), "1\n");
    close(client);
    serve(2, code);
    client = enter();
    assert_string_equal(hear(client), "2\n");
    close(client);
}

static void a_fault_of_adopt_is_told(void **state) {
    (void)state;
    serve(1, "return { connect = function(conn) conn:write('a\\n') end, handoff = function() return 1 end }");
    prepare(2, "return { connect = print, adopt = function(data) error('cannot take ' .. data) end }");
    order(MW_ORDER_ADOPT, 2);
    world_run_until(worker.count[MW_ORDER_FAULT] > 0);
    assert_true(fault_says("adopt: service.lua:1: cannot take 1"));
    order(MW_ORDER_ABORT, 2);
    int client = enter();
    assert_string_equal(hear(client), "a\n");
    close(client);
}

static void a_stop_lets_connections_end(void **state) {
    (void)state;
    int status;
    serve(1, ECHO("a"));
    int client = enter();
    say(client, "one\n");
    assert_string_equal(hear(client), "aone\n");
    order(MW_ORDER_STOP, 0);
    say(client, "two\n");
    assert_string_equal(hear(client), "atwo\n");
    close(client);
    world_run_until(worker.ended);
    assert_int_equal(waitpid(worker.process, &status, 0), worker.process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    worker.process = fork(); /* for the teardown to end */
    if (worker.process == 0) {
        pause();
        _exit(0);
    }
}

/* One service publishes what it hears, another keeps it for whoever asks. */
static void the_bus_joins_services_and_workers(void **state) {
    (void)state;
    static const char foreign[] = "\6chat.2\5\3two"; /* a topic, and a text */
    order_service(1, "listener",
                  "local task = require 'moonwire.task'\n"
                  "return { start = function()\n"
                  "  local subscription = require('moonwire.bus').subscribe('chat.*')\n"
                  "  task.spawn(function() for text, topic in subscription do\n"
                  "    require('moonwire.bus').publish('heard', topic .. ' ' .. text) end end)\n"
                  "end }", false);
    serve(1, "local bus = require 'moonwire.bus'\n"
             "return function(conn)\n"
             "  local heard = bus.subscribe('heard')\n"
             "  for line in conn:lines() do\n"
             "    if line ~= '' then bus.publish('chat.1', line) end\n"
             "    conn:write(heard:next(10), '\\n')\n"
             "  end\n"
             "end");
    int client = enter();
    say(client, "one\n");
    assert_string_equal(hear(client), "chat.1 one\n");
    world_run_until(worker.count[MW_ORDER_PUBLISH] == 2);
    assert_int_equal(worker.sizes[MW_ORDER_PUBLISH], 1 + 5 + 2 + 10);
    assert_memory_equal(worker.said[MW_ORDER_PUBLISH], "\5heard\5\12chat.1 one", 18);
    mw_channel_send(worker.channel, MW_ORDER_PUBLISH, "nonsense", 8, NULL, 0);
    mw_channel_send(worker.channel, MW_ORDER_PUBLISH, foreign, sizeof foreign - 1, NULL, 0);
    say(client, "\n");
    world_run_until(worker.count[MW_ORDER_PUBLISH] == 3);
    assert_string_equal(hear(client), "chat.2 two\n");
    close(client);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, start_worker, end_worker)
    const struct CMUnitTest tests[] = {
        CASE(a_service_serves),
        CASE(a_connection_at_a_checkpoint_moves_with_its_state_and_unread_bytes),
        CASE(a_connection_without_one_ends_in_the_old_code),
        CASE(a_task_amid_a_request_moves_at_its_next_checkpoint),
        CASE(a_fault_of_start_changes_nothing),
        CASE(a_service_hands_its_state_on),
        CASE(a_fault_of_adopt_is_told),
        CASE(a_stop_lets_connections_end),
        CASE(the_bus_joins_services_and_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
