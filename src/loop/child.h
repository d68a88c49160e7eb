/* Child processes of a loop. Each gets three descriptors and none of ours
 * besides, default signals, and a death signal that ends it with this process;
 * its end is an event. None is left a zombie. */
#ifndef MW_LOOP_CHILD_H
#define MW_LOOP_CHILD_H

#include "base/fault.h"
#include "base/list.h"
#include "loop/loop.h"

#include <sys/resource.h>
#include <sys/types.h>

struct mw_child;

/* The children of one loop, embedded by its owner; zeroed but for what
 * mw_children_init sets. */
struct mw_children {
    struct mw_loop *loop;
    struct mw_list list;
    rlim_t descriptors; /* soft limit of open files that children get; 0: ours */
    void (*on_drained)(void *context);
    void *drained_context;
};

/* How a child has ended. */
struct mw_child_status {
    int code;   /* what it ended with; 128 and the signal's number when one ended it */
    int signal; /* the number of that signal; 0: none */
};

struct mw_child_plan {
    const char *program; /* a path, or a name without a slash that is looked for in PATH */
    char *const *arguments, *const *environment; /* NULL ends each */
    const char *folder; /* to start in; NULL: ours. A relative path to the program counts from there */
    int stdio[3];       /* to become 0, 1 and 2; each at least 3; they stay the caller's */
    bool group;         /* it leads a process group of its own, and signals go to all of that */
};

void mw_children_init(struct mw_children *children, struct mw_loop *loop);

/* Kills those that are left and forgets them. Owners hear nothing of that. */
void mw_children_close(struct mw_children *children);

/* Calls on_drained, once, when no child is left: before this returns when none is. */
void mw_children_drain(struct mw_children *children, void (*on_drained)(void *context), void *context);

/* Starts a child. It exists until on_exit was called; nothing is to be done with
 * it afterwards, nor within. NULL and a fault when it cannot start: its program
 * is running when this returns. The loop is held while it lives. Only on the
 * thread of the loop, whose end would be the child's. */
struct mw_child *mw_child_start(struct mw_children *children, const struct mw_child_plan *plan,
                                void (*on_exit)(void *context, struct mw_child_status status), void *context,
                                struct mw_fault *fault);

/* The owner leaves: on_exit will not be called. The child goes on as it is. */
void mw_child_disown(struct mw_child *child);

pid_t mw_child_id(const struct mw_child *child);

/* Sends a signal to it or to its group. 0 or errno. */
int mw_child_signal(struct mw_child *child, int number);

/* Asks it to end (SIGTERM), and kills it when it still is there after `grace` seconds
 * (0: at once, MW_TIMER_NEVER: does not), and what it leaves in its group. Called
 * again, the shorter grace counts. Does not wait. */
void mw_child_end(struct mw_child *child, double grace);

/* "term", "KILL", "sigusr1" → number; 0: no such signal. */
int mw_child_signal_number(const char *name);

/* The lowercase name without "sig" ("kill"), written to `name`; "signal 40" for one without a name. */
void mw_child_signal_name(int number, char *name, size_t size);

#endif
