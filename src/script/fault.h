/* Failures as scripts see them: `nil, err, code` from calls, and fault objects
 * (tables with `message` and `code`) where one is raised. */
#ifndef MW_SCRIPT_FAULT_H
#define MW_SCRIPT_FAULT_H

#include "base/fault.h"

#include <lua.h>
#include <stdbool.h>

/* Registers the metatable of fault objects. Raises when memory is out. */
void mw_fault_open(lua_State *L);

/* Pushes nil, message, code and returns 3. */
int mw_push_fault(lua_State *L, const struct mw_fault *fault);

/* The same for one of the everyday words ("timeout"), where message is code. */
int mw_push_word(lua_State *L, const char *word);

/* The same for an errno value, naming operation and subject (NULL: none). */
int mw_push_errno(lua_State *L, int error, const char *operation, const char *subject);

/* Pushes a fault object. */
void mw_push_fault_object(lua_State *L, const char *code, const char *message);

/* Whether the value is a fault object; if so `*code` and `*message` are set,
 * valid as long as the object lives. */
bool mw_is_fault_object(lua_State *L, int index, const char **code, const char **message);

#endif
