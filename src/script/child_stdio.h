/* Standard input, output and errors of a child: what a script asks for, and the
 * descriptors that come of it. */
#ifndef MW_SCRIPT_CHILD_STDIO_H
#define MW_SCRIPT_CHILD_STDIO_H

#include <lua.h>

enum mw_child_role {
    MW_CHILD_STREAM,
    MW_CHILD_NOTHING,
    MW_CHILD_INHERITED,
    MW_CHILD_LOGGED,
    MW_CHILD_MERGED, /* where the output goes */
    MW_CHILD_OPEN_FILE,
};

struct mw_child_stdio {
    enum mw_child_role role[3];
    int file[3]; /* of MW_CHILD_OPEN_FILE: the script's descriptor */
};

/* The options that ask for them: "stdin", "stdout", "stderr". */
extern const char *const mw_child_stdio_names[3];

/* Reads those of the table at `options`. Raises for what makes no sense. */
struct mw_child_stdio mw_child_stdio_read(lua_State *L, int options);

/* Opens what the child gets and, of pipes, what we keep; -1 in the arrays, as they
 * all are before, stands for none. 0 or errno: what was opened stays open then. */
int mw_child_stdio_open(const struct mw_child_stdio *stdio, int ours[3], int theirs[3]);

#endif
