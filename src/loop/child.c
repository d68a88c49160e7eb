#include "loop/child.h"

#include "loop/child_internal.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where programs are when the environment does not say. */
static const char USUAL_PATH[] = "/usr/local/bin:/usr/bin:/bin";

struct mw_child {
    ev_io end; /* of the process */
    struct mw_list node;
    struct mw_children *children;
    struct mw_process process;
    struct mw_timer kill;
    bool group;
    bool ending; /* it was asked to */
    void (*on_exit)(void *context, struct mw_child_status status);
    void *context;
};

void mw_children_init(struct mw_children *children, struct mw_loop *loop) {
    *children = (struct mw_children){.loop = loop};
    mw_list_init(&children->list);
}

static void tell_drained(struct mw_children *children) {
    void (*on_drained)(void *context) = children->on_drained;
    if (on_drained && mw_list_empty(&children->list)) {
        children->on_drained = NULL;
        on_drained(children->drained_context);
    }
}

void mw_children_drain(struct mw_children *children, void (*on_drained)(void *context), void *context) {
    children->on_drained = on_drained;
    children->drained_context = context;
    tell_drained(children);
}

static void release(struct mw_child *child) {
    ev_io_stop(mw_loop_ev(child->children->loop), &child->end);
    mw_timer_remove(mw_loop_timers(child->children->loop), &child->kill);
    mw_list_remove(&child->node);
    free(child);
}

void mw_children_close(struct mw_children *children) {
    for (struct mw_list *node = children->list.next, *next; node != &children->list; node = next) {
        next = node->next;
        struct mw_child *child = mw_list_owner(node, struct mw_child, node);
        struct mw_child_status status;
        mw_child_signal(child, SIGKILL);
        if (!mw_process_collect(&child->process, &status)) {
            close(child->process.descriptor);
        }
        release(child);
    }
}

/* What it leaves in its group is killed while the id is still taken, so that it
 * cannot be somebody else's. */
static void on_end(struct ev_loop *ev, ev_io *end, int events) {
    struct mw_child *child = mw_list_owner(end, struct mw_child, end);
    struct mw_children *children = child->children;
    struct mw_child_status status;
    (void)ev;
    (void)events;
    if (child->ending && child->group) {
        mw_child_signal(child, SIGKILL);
    }
    if (!mw_process_collect(&child->process, &status)) {
        return;
    }
    void (*on_exit)(void *context, struct mw_child_status status) = child->on_exit;
    void *context = child->context;
    release(child);
    if (on_exit) {
        on_exit(context, status);
    }
    tell_drained(children);
}

static void on_grace_is_over(struct mw_timer *timer) {
    mw_child_signal(mw_list_owner(timer, struct mw_child, kill), SIGKILL);
}

/* 0 for a file that may be executed. */
static int judge(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) {
        return errno;
    }
    if (!S_ISREG(about.st_mode)) {
        return EACCES;
    }
    return eaccess(path, X_OK) == 0 ? 0 : errno;
}

/* Looks for a name in the folders of PATH; those that are not absolute do not
 * count. What may not be executed is the answer only when there is nothing else. */
static int find_program(const char *name, char *path, size_t size) {
    int error = ENOENT;
    if (strchr(name, '/')) {
        return (size_t)snprintf(path, size, "%s", name) < size ? 0 : ENAMETOOLONG;
    }
    const char *folders = getenv("PATH");
    for (const char *folder = folders ? folders : USUAL_PATH, *end; *folder; folder = end + (*end == ':')) {
        end = strchrnul(folder, ':');
        int length = snprintf(path, size, "%.*s/%s", (int)(end - folder), folder, name);
        if (*folder != '/' || (size_t)length >= size) {
            continue;
        }
        int found = judge(path);
        if (found == 0) {
            return 0;
        }
        error = found == EACCES ? EACCES : error;
    }
    return error;
}

static int start(struct mw_child *child, const struct mw_child_plan *plan, rlim_t descriptors,
                 bool *folder_failed) {
    char path[PATH_MAX];
    *folder_failed = false;
    int error = find_program(plan->program, path, sizeof path);
    if (error) {
        return error;
    }
    return mw_process_start(&child->process, plan, path, descriptors, folder_failed);
}

struct mw_child *mw_child_start(struct mw_children *children, const struct mw_child_plan *plan,
                                void (*on_exit)(void *context, struct mw_child_status status), void *context,
                                struct mw_fault *fault) {
    bool folder_failed = false;
    struct mw_child *child = calloc(1, sizeof *child);
    int error = child ? start(child, plan, children->descriptors, &folder_failed) : ENOMEM;
    if (error) {
        free(child);
        mw_fault_set(fault, error, folder_failed ? "enter" : "spawn",
                     folder_failed ? plan->folder : plan->program);
        return NULL;
    }
    child->children = children;
    child->group = plan->group;
    child->on_exit = on_exit;
    child->context = context;
    mw_timer_init(&child->kill, on_grace_is_over);
    mw_list_append(&children->list, &child->node);
    ev_io_init(&child->end, on_end, child->process.descriptor, EV_READ);
    ev_io_start(mw_loop_ev(children->loop), &child->end);
    return child;
}

void mw_child_disown(struct mw_child *child) {
    child->on_exit = NULL;
}

pid_t mw_child_id(const struct mw_child *child) {
    return child->process.id;
}

/* The leader may have gone over to another group. */
int mw_child_signal(struct mw_child *child, int number) {
    if (child->group && kill(-child->process.id, number) == 0) {
        return 0;
    }
    return kill(child->process.id, number) == 0 ? 0 : errno;
}

void mw_child_end(struct mw_child *child, double grace) {
    struct mw_loop *loop = child->children->loop;
    double due = mw_loop_now(loop) + grace;
    if (child->ending && due >= child->kill.due) {
        return;
    }
    if (!child->ending) {
        mw_child_signal(child, SIGTERM);
        mw_child_signal(child, SIGCONT); /* one that is stopped would not hear */
    }
    child->ending = true;
    if (grace <= 0 || !mw_timer_set(mw_loop_timers(loop), &child->kill, due)) {
        mw_child_signal(child, SIGKILL);
    }
}

int mw_child_signal_number(const char *name) {
    if (strncasecmp(name, "sig", 3) == 0) {
        name += 3;
    }
    for (int number = 1; number < NSIG; number++) {
        const char *known = sigabbrev_np(number);
        if (known && strcasecmp(known, name) == 0) {
            return number;
        }
    }
    return 0;
}

void mw_child_signal_name(int number, char *name, size_t size) {
    const char *known = sigabbrev_np(number);
    if (known) {
        snprintf(name, size, "%s", known);
    } else {
        snprintf(name, size, "signal %d", number);
    }
    for (; *name; name++) {
        *name = (char)tolower((unsigned char)*name);
    }
}
