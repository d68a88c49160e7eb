/* load - loads one TCP server of this machine and reports what it saw as one line of JSON.
 *
 *   load echo  port=N [conns= size= depth= line=1 seconds= warmup= count=]
 *   load churn port=N [conns= size= line=1 seconds= warmup= count=]
 *   load idle  port=N [conns= size= line=1 touch=1]
 *
 * With http=1 the message is a GET of path= instead ("/"), with ws=1 it is one of WebSocket: message.h.
 *
 * echo   each connection keeps `depth` messages under way and expects every byte back, in order.
 * churn  each of `conns` slots connects, sends one message, takes the answer, closes, and begins again.
 * idle   opens `conns` connections, says one message on each if touch=1, and holds them.
 *
 * The work comes in phases, warm-up and measurement. A phase begins on quiet connections and ends when
 * every answer is in, so nothing is under way between two phases. There, load prints "ready" and waits for a
 * line on standard input. Who reads the server's CPU time at that point and again after the report has the
 * cost of exactly the messages reported. (In idle mode the connections stay open while it waits.)
 *
 * The target is a port of 127.0.0.1, nothing else, and an alarm ends the process whatever the server does.
 */
#include "message.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNS = 19000,        /* the limit of descriptors (ulimit -n) must allow as many */
    MAX_BYTES = 64 << 20,     /* of one connection's messages under way */
    MAX_RECEIVED = 256 * 1024,
    MAX_SECONDS = 600,
    PATIENCE = 10,            /* seconds a phase waits for its last answers */
    EVENTS = 256,
    SOURCES = 250,            /* source addresses 127.0.1.1 to 127.0.1.250: 28,000 ports each */
    STEPS = 32,               /* histogram buckets for each doubling: within 3 % */
    BUCKETS = 60 * STEPS
};

struct connection {
    int fd;                   /* -1: closed, or given up until the next phase */
    bool wants_output;        /* EPOLLOUT is armed */
    size_t partial;           /* bytes received of the answer that is arriving */
    size_t owed;              /* bytes submitted that the socket has not taken */
    uint32_t under_way;       /* messages submitted and not answered */
    uint32_t oldest;          /* index into sent_at of the first of them */
    uint64_t *sent_at;        /* ring of `depth` times */
};

static struct {
    bool churn, idle, line, touch, http, websocket;
    const char *path;
    uint16_t port;
    uint32_t conns, depth;
    size_t size;
    uint64_t count;
    double seconds, warmup;
} option;

static struct phase {
    uint64_t deadline;
    uint64_t submitted, answered, errors, under_way;
    uint64_t histogram[BUCKETS];
} phase;

static struct sockaddr_in target;
static struct connection *connections;
static struct message message;
static char *received;
static size_t received_size;
static int poller;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Histogram of latencies: exact up to STEPS ns, then STEPS buckets for each doubling. */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS) {
        return (unsigned)ns;
    }
    unsigned shift = 58u - (unsigned)__builtin_clzll(ns);
    return shift * STEPS + (unsigned)(ns >> shift);
}

static double bucket_middle_us(unsigned bucket)
{
    if (bucket < STEPS) {
        return bucket / 1e3;
    }
    unsigned shift = bucket / STEPS - 1;
    uint64_t low = (uint64_t)(bucket - shift * STEPS) << shift;
    return ((double)low + (double)(1ull << shift) / 2) / 1e3;
}

static double quantile_us(double q)
{
    uint64_t rank = (uint64_t)(q * (double)phase.answered), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += phase.histogram[i];
        if (seen > rank) {
            return bucket_middle_us(i);
        }
    }
    return 0;
}

/* Connections. A connection that fails counts one error and rests until the next phase. */

static void watch(struct connection *c, int operation, bool output)
{
    struct epoll_event event = { .events = EPOLLIN | (output ? EPOLLOUT : 0u), .data.ptr = c };
    if (epoll_ctl(poller, operation, c->fd, &event) < 0) {
        die("epoll_ctl");
    }
    c->wants_output = output;
}

static void drop(struct connection *c)
{
    phase.under_way -= c->under_way;
    c->under_way = 0;
    c->partial = 0;
    c->owed = 0;
    close(c->fd);
    c->fd = -1;
}

static void give_up(struct connection *c)
{
    phase.errors++;
    drop(c);
}

/* Rotating the source address keeps a run from using up the ports of one address, whose closed connections
 * linger for a minute. The first address depends on the process, so that runs in a row do not meet. */
static struct sockaddr_in next_source(void)
{
    static uint32_t turn;
    struct sockaddr_in source = { .sin_family = AF_INET };
    source.sin_addr.s_addr = htonl(0x7f000101u + ((uint32_t)getpid() + turn++) % SOURCES);
    return source;
}

static int open_socket(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in source = next_source();
    if (fd < 0) {
        die("socket");
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&source, sizeof source) < 0) {
        die("bind");
    }
    return fd;
}

/* Starts to connect; what is submitted meanwhile leaves when the connection is up. */
static bool dial(struct connection *c)
{
    c->fd = open_socket();
    if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) {
        give_up(c);
        return false;
    }
    watch(c, EPOLL_CTL_ADD, false);
    return true;
}

static bool is_connected(struct connection *c)
{
    struct pollfd wait = { .fd = c->fd, .events = POLLOUT };
    int fault = 0;
    socklen_t length = sizeof fault;
    return poll(&wait, 1, PATIENCE * 1000) == 1 &&
           getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &fault, &length) == 0 && fault == 0;
}

static void dial_all(void)
{
    for (uint32_t i = 0; i < option.conns; i++) {
        struct connection *c = &connections[i];
        if (dial(c) && !(is_connected(c) && (!message.upgrade || message_upgrade(c->fd)))) {
            give_up(c);
        }
    }
}

/* Messages. They are all alike, so the place in the wire bytes follows from what is owed or expected. */

static bool push(struct connection *c)
{
    size_t size = message.out_size;
    if (c->owed > 0) {
        ssize_t sent = send(c->fd, message.out + (size - c->owed % size) % size, c->owed, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        c->owed -= sent > 0 ? (size_t)sent : 0;
    }
    if (c->wants_output != (c->owed > 0)) {
        watch(c, EPOLL_CTL_MOD, c->owed > 0);
    }
    return true;
}

static bool is_over(uint64_t time)
{
    return time >= phase.deadline || phase.submitted >= option.count;
}

/* Submits up to n messages, fewer when the phase is over or its count is reached. */
static bool submit(struct connection *c, uint32_t n, uint64_t time)
{
    for (; n > 0 && !is_over(time); n--) {
        c->sent_at[(c->oldest + c->under_way++) % option.depth] = time;
        c->owed += message.out_size;
        phase.submitted++;
        phase.under_way++;
    }
    return push(c);
}

/* Takes what has arrived. Returns the number of answers that are now complete, -1 when the connection is
 * broken or the bytes are not the ones that were sent. */
static long take(struct connection *c)
{
    size_t expected = c->under_way * message.in_size - c->partial;
    ssize_t n = recv(c->fd, received, received_size, 0);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN ? 0 : -1;
    }
    if ((size_t)n > expected || !message_matches(&message, c->partial, received, (size_t)n)) {
        return -1;
    }
    size_t have = c->partial + (size_t)n;
    c->partial = have % message.in_size;
    return (long)(have / message.in_size);
}

static void record(struct connection *c, uint32_t n, uint64_t time)
{
    for (uint32_t i = 0; i < n; i++) {
        phase.histogram[bucket_of(time - c->sent_at[c->oldest])]++;
        c->oldest = (c->oldest + 1) % option.depth;
    }
    c->under_way -= n;
    phase.under_way -= n;
    phase.answered += n;
}

/* Gives a connection its first messages of the phase. */
static void begin(struct connection *c, uint64_t time)
{
    if (option.churn && (is_over(time) || !dial(c))) {
        return;
    }
    if (c->fd >= 0 && !submit(c, option.depth, time)) {
        give_up(c);
    }
}

static void answer_arrived(struct connection *c, uint32_t n)
{
    uint64_t time = now();
    record(c, n, time);
    if (option.churn) {
        drop(c);
        begin(c, time);
    } else if (!submit(c, n, time)) {
        give_up(c);
    }
}

static void serve_event(struct connection *c, uint32_t events)
{
    long n = 0;
    if (c->fd < 0) {
        return;
    }
    if ((events & EPOLLOUT) && !push(c)) {
        n = -1;
    } else if (events & ~(uint32_t)EPOLLOUT) {
        n = take(c);
    }
    if (n < 0) {
        give_up(c);
    } else if (n > 0) {
        answer_arrived(c, (uint32_t)n);
    }
}

/* Phases. */

static void begin_all(double seconds)
{
    phase = (struct phase){ .deadline = now() + (uint64_t)(seconds * 1e9) };
    for (uint32_t i = 0; i < option.conns; i++) {
        begin(&connections[i], now());
    }
}

static uint64_t run_phase(double seconds)
{
    struct epoll_event events[EVENTS];
    uint64_t started = now();
    begin_all(seconds);
    uint64_t last = phase.deadline + PATIENCE * 1000000000ull;
    while (phase.under_way > 0 && now() < last) {
        int n = epoll_wait(poller, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            serve_event(events[i].data.ptr, events[i].events);
        }
    }
    phase.errors += phase.under_way;
    return now() - started;
}

/* Says that nothing is under way, and waits for the word to go on. */
static void rendezvous(void)
{
    char word[16];
    printf("ready\n");
    fflush(stdout);
    ssize_t n = read(STDIN_FILENO, word, sizeof word);
    (void)n; /* the end of the input is as good a word as a line */
}

static void report(uint64_t elapsed, uint64_t early_errors)
{
    double seconds = (double)elapsed / 1e9;
    uint64_t errors = phase.errors + early_errors;
    double answered = (double)phase.answered;
    printf("{\"answers\": %.0f, \"seconds\": %.6f, \"rate\": %.2f, ", answered, seconds, answered / seconds);
    printf("\"p50_us\": %.2f, \"p99_us\": %.2f, \"errors\": %llu}\n", quantile_us(0.50), quantile_us(0.99),
           (unsigned long long)errors);
}

static void run_traffic(void)
{
    if (!option.churn) {
        dial_all();
    }
    uint64_t early_errors = phase.errors;
    if (option.warmup > 0) {
        run_phase(option.warmup);
        early_errors += phase.errors;
    }
    rendezvous();
    report(run_phase(option.seconds), early_errors);
}

static void run_idle(void)
{
    dial_all();
    uint64_t early_errors = phase.errors;
    uint64_t elapsed = 1;
    if (option.touch) {
        option.count = option.conns;
        elapsed = run_phase(PATIENCE);
    }
    rendezvous();
    report(elapsed, early_errors);
}

/* Start. */

static void *allocate(size_t count, size_t size)
{
    void *p = count > 0 ? calloc(count, size) : NULL;
    if (!p) {
        die("calloc");
    }
    return p;
}

static void prepare(void)
{
    size_t depth = option.depth;
    target.sin_family = AF_INET;
    target.sin_port = htons(option.port);
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    message = option.http        ? message_http(&target, option.path, option.depth)
              : option.websocket ? message_websocket(option.size, option.depth)
                                 : message_echo(option.size, option.depth, option.line);
    received_size = depth * message.in_size + 1; /* one more than can be right, so that a surplus byte shows */
    received_size = received_size < MAX_RECEIVED ? received_size : MAX_RECEIVED;
    received = allocate(received_size, 1);
    connections = allocate(option.conns, sizeof *connections);
    for (uint32_t i = 0; i < option.conns; i++) {
        connections[i].fd = -1;
        connections[i].sent_at = allocate(depth, sizeof(uint64_t));
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) {
        die("epoll_create1");
    }
}

enum { PORT, CONNS, SIZE, DEPTH, LINE, TOUCH, HTTP, WS, COUNT, SECONDS, WARMUP, KEYS };

static const char *const key_names[KEYS] = {
    "port", "conns", "size", "depth", "line", "touch", "http", "ws", "count", "seconds", "warmup",
};

static void fail_usage(const char *what)
{
    fprintf(stderr, "load: %s\nusage: load echo|churn|idle port=N [conns= size= depth= line=1 touch=1\n"
                    "            http=1 path= ws=1 seconds= warmup= count=]\n", what);
    exit(2);
}

static void parse_pair(char *argument, double *given)
{
    char *value = strchr(argument, '='), *end;
    if (!value) {
        fail_usage("an option is key=value");
    }
    *value++ = '\0';
    if (strcmp(argument, "path") == 0) {
        option.path = value;
        return;
    }
    int key = 0;
    while (key < KEYS && strcmp(key_names[key], argument) != 0) {
        key++;
    }
    double number = strtod(value, &end);
    if (key == KEYS || end == value || *end || !(number >= 0 && number <= 1e12)) {
        fail_usage(argument);
    }
    given[key] = number;
}

static void check(const double *given)
{
    if (given[PORT] < 1 || given[PORT] > 65535 || given[CONNS] < 1 || given[CONNS] > MAX_CONNS) {
        fail_usage("port is 1 to 65535, conns 1 to 19000");
    }
    if (given[SIZE] < 2 || given[DEPTH] < 1 || given[SIZE] * given[DEPTH] > MAX_BYTES) {
        fail_usage("size is at least 2, depth at least 1, both together at most 64 MiB");
    }
    if (given[SECONDS] > MAX_SECONDS || given[WARMUP] > MAX_SECONDS) {
        fail_usage("a phase lasts 600 seconds at most");
    }
}

static void parse(int argc, char **argv)
{
    double given[KEYS] = { [CONNS] = 64, [SIZE] = 64, [DEPTH] = 1, [SECONDS] = 1, [WARMUP] = 0.2 };
    option.path = "/";
    const char *mode = argc > 1 ? argv[1] : "";
    option.churn = strcmp(mode, "churn") == 0;
    option.idle = strcmp(mode, "idle") == 0;
    if (!option.churn && !option.idle && strcmp(mode, "echo") != 0) {
        fail_usage("the first argument is the mode");
    }
    for (int i = 2; i < argc; i++) {
        parse_pair(argv[i], given);
    }
    check(given);
    option.line = given[LINE] > 0;
    option.touch = given[TOUCH] > 0;
    option.http = given[HTTP] > 0;
    option.websocket = given[WS] > 0;
    option.port = (uint16_t)given[PORT];
    option.conns = (uint32_t)given[CONNS];
    option.depth = option.churn || option.idle ? 1 : (uint32_t)given[DEPTH];
    option.size = (size_t)given[SIZE];
    option.count = given[COUNT] > 0 ? (uint64_t)given[COUNT] : UINT64_MAX;
    option.seconds = given[SECONDS];
    option.warmup = given[WARMUP];
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    alarm((unsigned)(option.seconds + option.warmup) + (option.idle ? 120 : 4 * PATIENCE));
    prepare();
    if (option.idle) {
        run_idle();
    } else {
        run_traffic();
    }
    return 0;
}
