#include "proc/control.h"

#include "base/log.h"
#include "net/listener.h"
#include "net/stream.h"
#include "proc/control_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAULT_MOST = 4096 };

/* How long an answer may take to leave when its client is done with. */
#define FAREWELL_SECONDS 5.0

/* One answer may be as large as it is: the next request is not looked at before it has left. */
static const struct mw_stream_marks marks = {
    .input = MW_CONTROL_LINE, .high = 64 * 1024, .low = 16 * 1024, .cap = SIZE_MAX};

struct client {
    struct mw_list node;
    struct mw_control *control;
    struct mw_stream *stream;
    struct mw_timer timer; /* due when it has been idle for too long, or at once to be served */
    double answered;       /* when */
    uint64_t request;      /* that is with the owner; 0: none */
    bool serving;          /* its lines are being taken just now */
    bool gone;             /* nothing more can be said to it */
    bool ended;            /* what was said was the last */
};

struct mw_control {
    struct mw_net *net;
    const struct mw_control_events *events;
    void *owner;
    struct mw_listener *listener;
    struct mw_list clients;
    unsigned count;
    uint64_t requests; /* so far */
    uid_t denied;      /* who was turned away last, so that it is logged once; ours: nobody yet */
    char line[MW_CONTROL_LINE + 1], scratch[MW_CONTROL_LINE];
};

/* --- what is said --- */

static bool say(struct mw_stream *stream, const char *json, size_t size) {
    const struct iovec pieces[] = {
        {.iov_base = (char *)(uintptr_t)json, .iov_len = size},
        {.iov_base = (char *)(uintptr_t) "\n", .iov_len = 1},
    };
    return mw_stream_queue_pieces(stream, pieces, 2) == 0 && mw_stream_flush(stream) == 0;
}

static bool say_fault(struct mw_stream *stream, const char *code, const char *message) {
    struct mw_text text = {.bytes = NULL};
    mw_text_puts(&text, "{\"ok\":false,\"error\":");
    mw_text_json(&text, message, strlen(message));
    mw_text_puts(&text, ",\"code\":");
    mw_text_json(&text, code, strlen(code));
    mw_text_puts(&text, "}");
    bool said = !text.failed && say(stream, text.bytes, text.size);
    mw_text_free(&text);
    return said;
}

/* --- clients --- */

static void drop(struct client *client, double linger) {
    struct mw_control *control = client->control;
    mw_list_remove(&client->node);
    mw_timer_remove(mw_loop_timers(control->net->loop), &client->timer);
    mw_stream_close(client->stream, linger);
    control->count--;
    free(client);
}

static double last_active(const struct client *client) {
    struct mw_stream_counters counters;
    mw_stream_count(client->stream, &counters);
    return counters.active > client->answered ? counters.active : client->answered;
}

/* The timer is in the heap as long as the client lives, and so needs no memory to be set. */
static void set_timer(struct client *client, double due) {
    mw_timer_set(mw_loop_timers(client->control->net->loop), &client->timer, due);
}

static void complain(struct client *client, const char *code, const char *message) {
    client->gone = !say_fault(client->stream, code, message);
}

static void handle_line(struct client *client, size_t length) {
    struct mw_control *control = client->control;
    struct mw_text message = {.bytes = NULL};
    struct mw_value fields;
    char why[MW_CONTROL_WHY];
    if (!mw_control_read(&message, control->line, length, control->scratch, why)) {
        complain(client, "invalid", why);
    } else if (message.failed || !mw_message_read(&fields, message.bytes, message.size)) {
        complain(client, "memory", "memory is out");
    } else {
        client->request = ++control->requests;
        control->events->on_request(control->owner, client->request, &fields);
    }
    mw_text_free(&message);
}

/* The length of the line that is there whole, and in `taken` that with its end. What follows the last line end may be
 * a request, too. */
static bool find_line(const struct client *client, const char *bytes, size_t size, size_t *length, size_t *taken) {
    const char *end = size ? memchr(bytes, '\n', size < MW_CONTROL_LINE ? size : MW_CONTROL_LINE) : NULL;
    if (end) {
        *length = (size_t)(end - bytes);
        *taken = *length + 1;
        return true;
    }
    *length = *taken = size;
    return size > 0 && size < MW_CONTROL_LINE && mw_stream_at_end(client->stream);
}

/* Whether a line was there. */
static bool take_line(struct client *client) {
    size_t size, length, taken;
    const char *bytes = mw_stream_unread(client->stream, &size);
    if (!find_line(client, bytes, size, &length, &taken)) {
        if (size >= MW_CONTROL_LINE) {
            complain(client, "too_large", "the request is longer than 64 KiB");
            client->ended = true;
        }
        return false;
    }
    char *line = client->control->line;
    memcpy(line, bytes, length);
    line[length] = '\0';
    mw_stream_take(client->stream, taken);
    if (strspn(line, " \t\r") < length) {
        handle_line(client, length);
    }
    return true;
}

static bool may_go_on(const struct client *client) {
    return !client->gone && !client->ended && !client->request && mw_stream_pending(client->stream) <= marks.low;
}

/* Sees to it that the client is served again when there is something to do. */
static void wait_for_more(struct client *client) {
    size_t unread;
    mw_stream_unread(client->stream, &unread);
    if (mw_stream_pending(client->stream) > marks.low) {
        mw_stream_await_output(client->stream, marks.low);
    }
    mw_stream_await_input(client->stream, may_go_on(client) ? unread + 1 : 0);
    double since = client->request ? mw_loop_now(client->control->net->loop) : last_active(client);
    set_timer(client, since + MW_CONTROL_IDLE);
}

static void serve(struct client *client) {
    client->serving = true;
    while (may_go_on(client) && take_line(client)) {
    }
    client->serving = false;
    if (mw_stream_input_fault(client->stream) || mw_stream_output_fault(client->stream)) {
        client->gone = true;
    }
    if (client->gone) {
        drop(client, 0);
    } else if (client->ended || (may_go_on(client) && mw_stream_at_end(client->stream))) {
        drop(client, FAREWELL_SECONDS);
    } else {
        wait_for_more(client);
    }
}

static void on_ready(void *owner) {
    serve(owner);
}

static const struct mw_stream_events stream_events = {.on_readable = on_ready, .on_writable = on_ready};

static void on_due(struct mw_timer *timer) {
    struct client *client = mw_list_owner(timer, struct client, timer);
    bool idle = mw_loop_now(client->control->net->loop) >= last_active(client) + MW_CONTROL_IDLE;
    if (idle && !client->request) {
        drop(client, 0);
    } else {
        serve(client);
    }
}

/* --- coming in --- */

static bool is_allowed(struct mw_control *control, int fd) {
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof peer;
    uid_t own = geteuid();
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == 0 || peer.uid == own)) {
        return true;
    }
    if (peer.uid != control->denied) {
        control->denied = peer.uid;
        mw_log(MW_LOG_WARN, "the control socket turned away user %u (process %d): only root and user %u may command",
               (unsigned)peer.uid, (int)peer.pid, (unsigned)own);
    }
    return false;
}

/* Ends the client that has been idle for the longest. Whether there is room now. */
static bool make_room(struct mw_control *control) {
    struct client *idlest = NULL;
    if (control->count < MW_CONTROL_CLIENTS) {
        return true;
    }
    for (struct mw_list *node = control->clients.next; node != &control->clients; node = node->next) {
        struct client *client = mw_list_owner(node, struct client, node);
        if (!client->request && (!idlest || last_active(client) < last_active(idlest))) {
            idlest = client;
        }
    }
    if (!idlest) {
        return false;
    }
    drop(idlest, 0);
    return true;
}

/* NULL when memory is out; the stream is still the caller's then. */
static struct client *new_client(struct mw_control *control, struct mw_stream *stream) {
    struct mw_loop *loop = control->net->loop;
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        return NULL;
    }
    mw_timer_init(&client->timer, on_due);
    if (!mw_timer_set(mw_loop_timers(loop), &client->timer, mw_loop_now(loop) + MW_CONTROL_IDLE)) {
        free(client);
        return NULL;
    }
    client->control = control;
    client->stream = stream;
    mw_list_append(&control->clients, &client->node);
    control->count++;
    return client;
}

static bool on_accept(void *owner, int fd, const struct mw_addr *peer) {
    struct mw_control *control = owner;
    struct client *client = NULL;
    (void)peer;
    bool allowed = is_allowed(control, fd);
    struct mw_stream *stream = mw_stream_new(control->net, fd, &mw_plain_ops, NULL);
    if (!stream) {
        close(fd);
        return true;
    }
    mw_stream_set_marks(stream, &marks);
    if (!allowed) {
        say_fault(stream, "denied", "only root and the user that the daemon runs as may give commands");
    } else if (!make_room(control)) {
        say_fault(stream, "busy", "256 other commands are being worked on; try again later");
    } else {
        client = new_client(control, stream);
    }
    if (client) {
        mw_stream_set_owner(stream, &stream_events, client);
        mw_stream_await_input(stream, 1);
    } else {
        mw_stream_close(stream, FAREWELL_SECONDS);
    }
    return true;
}

static const struct mw_listener_events listener_events = {.on_accept = on_accept};

/* --- the owner's side --- */

static struct client *find(struct mw_control *control, uint64_t request) {
    for (struct mw_list *node = control->clients.next; node != &control->clients; node = node->next) {
        struct client *client = mw_list_owner(node, struct client, node);
        if (client->request == request) {
            return client;
        }
    }
    return NULL;
}

/* The owner is not called from within its own call: further lines have their turn with the loop. */
static void finish_request(struct client *client, bool said) {
    client->answered = mw_loop_now(client->control->net->loop);
    client->request = 0;
    client->gone = !said;
    if (!client->serving) {
        set_timer(client, client->answered);
    }
}

void mw_control_answer(struct mw_control *control, uint64_t request, const char *json, size_t size) {
    struct client *client = find(control, request);
    if (client) {
        finish_request(client, say(client->stream, json, size));
    }
}

void mw_control_refuse(struct mw_control *control, uint64_t request, const char *code, const char *format, ...) {
    struct client *client = find(control, request);
    char message[FAULT_MOST];
    va_list arguments;
    if (!client) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    finish_request(client, say_fault(client->stream, code, message));
}

/* Makes the folder of `path` if it is not there; that of its folder must be. */
static bool make_folder(const char *path, struct mw_fault *fault) {
    char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (folder[0] == '\0' || mkdir(folder, 0755) == 0 || errno == EEXIST) {
        return true;
    }
    mw_fault_set(fault, errno, "make the folder of the control socket", folder);
    return false;
}

static int open_socket(const char *path, struct mw_fault *fault) {
    struct mw_listener_options options = mw_listener_defaults;
    struct mw_address address = {.scheme = MW_SCHEME_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        mw_fault_format(fault, "invalid", "control socket %s: give an absolute path of at most 107 bytes", path);
        return -1;
    }
    if (!make_folder(path, fault)) {
        return -1;
    }
    memcpy(address.host, path, strlen(path));
    options.mode = 0600;
    int fd = mw_listener_open(&address, &options, fault);
    struct stat status;
    if (fd < 0 && strcmp(fault->code, "in_use") == 0) {
        bool is_socket = lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
        mw_fault_format(fault, "in_use", "control socket %s: %s", path,
                        is_socket ? "another daemon answers there; stop it first, or give this one another path"
                                  : "a file that is no socket is in the way");
    }
    return fd;
}

struct mw_control *mw_control_new(struct mw_net *net, const char *path, const struct mw_control_events *events,
                                  void *owner, struct mw_fault *fault) {
    struct mw_control *control = calloc(1, sizeof *control);
    if (!control) {
        mw_fault_set(fault, ENOMEM, "control socket", path);
        return NULL;
    }
    *control = (struct mw_control){.net = net, .events = events, .owner = owner, .denied = geteuid()};
    mw_list_init(&control->clients);
    int fd = open_socket(path, fault);
    if (fd < 0) {
        free(control);
        return NULL;
    }
    control->listener = mw_listener_new(net, fd, &listener_events, control);
    if (!control->listener) {
        mw_fault_set(fault, ENOMEM, "control socket", path);
        unlink(path);
        close(fd);
        free(control);
        return NULL;
    }
    mw_listener_accept(control->listener, true);
    return control;
}

void mw_control_close(struct mw_control *control, double linger) {
    mw_listener_close(control->listener);
    for (struct mw_list *node = control->clients.next, *next; node != &control->clients; node = next) {
        struct client *client = mw_list_owner(node, struct client, node);
        next = node->next;
        if (client->request) {
            say_fault(client->stream, "stopping", "the daemon stops");
        }
        drop(client, linger);
    }
    free(control);
}
