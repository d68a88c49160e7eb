/* One Lua state: the interpreter with its scheduler, its resolver, and the
 * places it loads modules from. Text chunks only; accidental globals raise. */
#ifndef MW_SCRIPT_STATE_H
#define MW_SCRIPT_STATE_H

#include "net/resolver.h"
#include "script/sched.h"

struct mw_memory;

struct mw_state {
    struct mw_sched sched; /* first: mw_state_of finds the state by it */
    struct mw_memory *memory;
    char *library;
    bool sandboxed; /* see script/sandbox.h */
    struct mw_resolver *resolver; /* NULL until it is needed */
    struct mw_metrics *own_metrics; /* NULL unless it had to make some, see mw_state_metrics */
    struct mw_bus *own_bus;         /* NULL unless it had to make one, see mw_state_bus */
    struct mw_tallies *own_tallies;     /* NULL unless it had to make some, see mw_state_tallies */
    struct mw_tls_tickets *own_tickets; /* NULL unless it had to make some, see mw_state_tickets */
};

struct mw_state_limits {
    double cpu;    /* see mw_preempt.cpu_limit */
    size_t memory; /* bytes; SIZE_MAX: no limit */
};

/* Sets what the scripts of the state may use; at first there are no limits. */
void mw_state_set_limits(struct mw_state *state, const struct mw_state_limits *limits);

struct mw_state_options {
    const char *library; /* folder of Moonwire's own Lua modules */
    bool sandboxed;      /* for scripts from others: see script/sandbox.h */
};

/* A state with the standard library, moonwire.core and the module paths preset.
 * NULL when memory is out. */
struct mw_state *mw_state_new(struct mw_loop *loop, struct mw_net *net, const struct mw_state_options *options);

/* Closes streams, listeners and everything else that the scripts hold. */
void mw_state_free(struct mw_state *state);

/* Whether assignments to undeclared globals raise: on, but for specs, whose
 * framework makes its words that way. */
void mw_state_set_strict(struct mw_state *state, bool strict);

/* The resolver of the state, made at the first use. NULL and a fault when it cannot be. */
struct mw_resolver *mw_state_resolver(struct mw_state *state, struct mw_fault *fault);

/* The metrics that the state was given (sched.metrics); a process that has none for all of it gets some at the first use,
 * for this state alone. NULL when memory is out. */
struct mw_metrics *mw_state_metrics(struct mw_state *state);

/* The bus that the state was given (sched.bus); where it is the only one of its process it makes one at the first
 * use. NULL when memory is out. */
struct mw_bus *mw_state_bus(struct mw_state *state);

/* The keys of session tickets that the state was given (sched.tickets); a process that has none for all of it gets some at
 * the first use, for this state alone. NULL when memory is out: then servers give no tickets. */
struct mw_tls_tickets *mw_state_tickets(struct mw_state *state);

/* The counts of clients that the state was given (sched.tallies and tallied); where it is the only one of its process it
 * makes some at the first use. NULL when memory is out. */
struct mw_tallies *mw_state_tallies(struct mw_state *state);

static inline struct mw_state *mw_state_of(lua_State *L) {
    return (struct mw_state *)mw_sched_of(L);
}

#endif
