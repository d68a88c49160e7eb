/* load_tls - loads one HTTPS server of this machine and reports what it saw as one line of JSON, as load does.
 *
 *   load_tls handshake port=N [conns= resume=1 seconds= warmup= count=]
 *   load_tls bulk      port=N [conns= path= seconds= warmup= count=]
 *   load_tls idle      port=N [conns=]
 *
 * handshake  each of `conns` slots connects, shakes hands, asks for `path` once, takes the answer, closes, and begins
 *            again; with resume=1 it resumes the session of the time before, and not to is an error.
 * bulk       each connection asks for `path` again and again.
 * idle       opens `conns` connections, asks once on each, and holds them.
 *
 * Phases, "ready" and the target are those of load.c. The server's certificate is not looked at: what is measured is
 * the server.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNS = 19000,
    AT_ONCE = 64,            /* connections that idle mode opens at a time */
    HEAD_MAX = 8192,
    CHUNK = 64 * 1024,
    EVENTS = 256,
    PATIENCE = 10,
    SOURCES = 250,
    SAMPLES = 1 << 20
};

struct slot {
    int fd;                  /* -1: none */
    bool greeted, asked;     /* the handshake is done; the request is sent */
    uint32_t events;         /* what is waited for */
    SSL *tls;
    SSL_SESSION *session;
    char head[HEAD_MAX];     /* of the answer, until it is whole */
    size_t have;
    size_t missing;          /* of the body; only when the head is whole */
    bool in_body;
    uint64_t began;
};

static struct {
    bool handshake, bulk, resume;
    uint16_t port;
    uint32_t conns;
    uint64_t count;
    double seconds, warmup;
    const char *path;
} option = { .conns = 64, .seconds = 1, .warmup = 0.2, .path = "/", .count = UINT64_MAX };

static struct {
    uint64_t deadline, submitted, answered, errors, under_way, bytes;
} phase;

static SSL_CTX *context;
static struct slot *slots;
static char request[1024], chunk[CHUNK];
static int request_size, poller;
static uint32_t samples[SAMPLES]; /* latencies in us, the last SAMPLES of them */

static void die(const char *what)
{
    fprintf(stderr, "load_tls: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- slots --- */

static void watch(struct slot *s, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = s };
    if (events != s->events && epoll_ctl(poller, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &event) < 0) {
        die("epoll_ctl");
    }
    s->events = events;
}

static void drop(struct slot *s, bool politely)
{
    if (politely) {
        SSL_shutdown(s->tls);
    }
    SSL_free(s->tls);
    close(s->fd);
    s->tls = NULL;
    s->fd = -1;
    s->events = 0;
}

static void give_up(struct slot *s)
{
    phase.errors++;
    phase.under_way--;
    drop(s, false);
}

static int keep_session(SSL *tls, SSL_SESSION *session)
{
    struct slot *s = SSL_get_app_data(tls);
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1;
}

static void dial(struct slot *s)
{
    static uint32_t turn;
    int one = 1;
    struct sockaddr_in source = { .sin_family = AF_INET }, target = { .sin_family = AF_INET };
    source.sin_addr.s_addr = htonl(0x7f000101u + ((uint32_t)getpid() + turn++) % SOURCES);
    target.sin_port = htons(option.port);
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->tls = SSL_new(context);
    if (s->fd < 0 || !s->tls || setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) < 0 ||
        bind(s->fd, (struct sockaddr *)&source, sizeof source) < 0 || SSL_set_fd(s->tls, s->fd) != 1 ||
        (connect(s->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)) {
        die("connect");
    }
    SSL_set_app_data(s->tls, s);
    SSL_set_connect_state(s->tls);
    if (option.resume && s->session) {
        SSL_set_session(s->tls, s->session);
    }
    s->greeted = false;
    watch(s, EPOLLOUT);
}

static bool is_over(uint64_t time)
{
    return time >= phase.deadline || phase.submitted >= option.count;
}

static void begin(struct slot *s)
{
    s->began = now();
    if (is_over(s->began)) {
        return;
    }
    phase.submitted++;
    phase.under_way++;
    s->asked = s->in_body = false;
    s->have = 0;
    if (s->fd < 0) {
        dial(s);
    } else {
        watch(s, EPOLLOUT);
    }
}

/* Idle mode begins with the next slot when one is through. */
static void begin_next(void)
{
    static uint32_t turn;
    if (!option.handshake && !option.bulk && AT_ONCE + turn < option.conns) {
        begin(&slots[AT_ONCE + turn++]);
    }
}

static void complete(struct slot *s)
{
    samples[phase.answered++ % SAMPLES] = (uint32_t)((now() - s->began) / 1000);
    phase.under_way--;
    if (option.handshake) {
        drop(s, true);
    }
    if (option.handshake || option.bulk) {
        begin(s);
    }
    begin_next();
}

/* What a call of OpenSSL waits for. False: it has failed. */
static bool wait_for(struct slot *s, int result)
{
    int error = SSL_get_error(s->tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        watch(s, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
        return true;
    }
    return false;
}

/* Takes what came. -1: that is no answer; 1: it is whole. */
static int take(struct slot *s, const char *data, size_t size)
{
    phase.bytes += size;
    if (!s->in_body) {
        size_t room = HEAD_MAX - 1 - s->have, part = size < room ? size : room;
        memcpy(s->head + s->have, data, part);
        s->have += part;
        s->head[s->have] = '\0';
        char *end = strstr(s->head, "\r\n\r\n"), *length = strcasestr(s->head, "\r\ncontent-length:");
        if (!end) {
            return s->have == HEAD_MAX - 1 ? -1 : 0;
        }
        if (!length || length > end || strncmp(s->head, "HTTP/1.1 200 ", 13) != 0) {
            return -1;
        }
        size -= (size_t)(end + 4 - s->head) - (s->have - part);
        s->missing = strtoul(length + 17, NULL, 10);
        s->in_body = true;
    }
    if (size > s->missing) {
        return -1;
    }
    s->missing -= size;
    return s->missing == 0;
}

static bool read_answer(struct slot *s)
{
    for (int whole = 0; whole == 0;) {
        int n = SSL_read(s->tls, chunk, sizeof chunk);
        if (n <= 0) {
            return wait_for(s, n);
        }
        whole = take(s, chunk, (size_t)n);
        if (whole < 0) {
            return false;
        }
    }
    complete(s);
    return true;
}

static bool go_on(struct slot *s)
{
    if (!s->greeted) {
        int done = SSL_do_handshake(s->tls);
        if (done != 1) {
            return wait_for(s, done);
        }
        s->greeted = true;
        if (option.resume && s->session && !SSL_session_reused(s->tls)) {
            return false;
        }
    }
    if (!s->asked) {
        int written = SSL_write(s->tls, request, request_size);
        if (written <= 0) {
            return wait_for(s, written);
        }
        s->asked = true;
    }
    return read_answer(s);
}

/* --- phases, as in load.c --- */

static uint64_t run_phase(double seconds)
{
    struct epoll_event events[EVENTS];
    uint64_t started = now();
    memset(&phase, 0, sizeof phase);
    phase.deadline = started + (uint64_t)(seconds * 1e9);
    uint32_t first = option.handshake || option.bulk || option.conns < AT_ONCE ? option.conns : AT_ONCE;
    for (uint32_t i = 0; i < first; i++) {
        begin(&slots[i]);
    }
    uint64_t last = phase.deadline + PATIENCE * 1000000000ull;
    while (phase.under_way > 0 && now() < last) {
        int n = epoll_wait(poller, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct slot *s = events[i].data.ptr;
            if (s->fd >= 0 && !go_on(s)) {
                give_up(s);
            }
        }
    }
    phase.errors += phase.under_way;
    return now() - started;
}

static void rendezvous(void)
{
    char word[16];
    printf("ready\n");
    fflush(stdout);
    ssize_t n = read(STDIN_FILENO, word, sizeof word);
    (void)n;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(uint64_t elapsed, uint64_t early_errors)
{
    double seconds = (double)elapsed / 1e9, answered = (double)phase.answered;
    size_t n = phase.answered < SAMPLES ? phase.answered : SAMPLES;
    qsort(samples, n, sizeof samples[0], compare);
    printf("{\"answers\": %.0f, \"seconds\": %.6f, \"rate\": %.2f, ", answered, seconds, answered / seconds);
    printf("\"mb_s\": %.2f, ", (double)phase.bytes / 1e6 / seconds);
    printf("\"p50_us\": %u, \"p99_us\": %u, \"errors\": %llu}\n", n ? samples[n / 2] : 0, n ? samples[n * 99 / 100] : 0,
           (unsigned long long)(phase.errors + early_errors));
}

static void run(void)
{
    uint64_t early_errors = 0;
    if (!option.handshake && !option.bulk) {
        uint64_t elapsed = run_phase(PATIENCE * 3);
        rendezvous();
        report(elapsed, option.conns - phase.answered);
        return;
    }
    if (option.warmup > 0) {
        run_phase(option.warmup);
        early_errors = phase.errors;
    }
    rendezvous();
    report(run_phase(option.seconds), early_errors);
}

/* --- start --- */

static void fail_usage(const char *what)
{
    fprintf(stderr, "load_tls: %s\nusage: load_tls handshake|bulk|idle port=N [conns= resume=1 path=\n"
                    "                seconds= warmup= count=]\n", what);
    exit(2);
}

static void set(char *argument)
{
    char *value = strchr(argument, '=');
    if (!value) {
        fail_usage("an option is key=value");
    }
    *value++ = '\0';
    double number = strtod(value, NULL);
    if (strcmp(argument, "path") == 0) {
        option.path = value;
    } else if (strcmp(argument, "port") == 0) {
        option.port = (uint16_t)number;
    } else if (strcmp(argument, "conns") == 0 && number >= 1 && number <= MAX_CONNS) {
        option.conns = (uint32_t)number;
    } else if (strcmp(argument, "resume") == 0) {
        option.resume = number > 0;
    } else if (strcmp(argument, "seconds") == 0) {
        option.seconds = number;
    } else if (strcmp(argument, "warmup") == 0) {
        option.warmup = number;
    } else if (strcmp(argument, "count") == 0) {
        option.count = (uint64_t)number;
    } else {
        fail_usage(argument);
    }
}

static void prepare(void)
{
    request_size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", option.path);
    slots = calloc(option.conns, sizeof *slots);
    poller = epoll_create1(EPOLL_CLOEXEC);
    context = SSL_CTX_new(TLS_client_method());
    if (!slots || poller < 0 || !context) {
        die("start");
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    for (uint32_t i = 0; i < option.conns; i++) {
        slots[i].fd = -1;
    }
}

int main(int argc, char **argv)
{
    option.handshake = argc > 1 && strcmp(argv[1], "handshake") == 0;
    option.bulk = argc > 1 && strcmp(argv[1], "bulk") == 0;
    if (argc < 2 || (!option.handshake && !option.bulk && strcmp(argv[1], "idle") != 0)) {
        fail_usage("the first argument is the mode");
    }
    for (int i = 2; i < argc; i++) {
        set(argv[i]);
    }
    alarm((unsigned)(option.seconds + option.warmup) + 12 * PATIENCE);
    signal(SIGPIPE, SIG_IGN);
    prepare();
    run();
    return 0;
}
