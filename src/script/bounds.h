/* What one call of a library function may cost in a sandboxed state. In other
 * states there are no such bounds. */
#ifndef MW_SCRIPT_BOUNDS_H
#define MW_SCRIPT_BOUNDS_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MW_BOUND_BYTES = 16 * 1024 * 1024, /* of a string that a function makes */
    MW_BOUND_ELEMENTS = 1000 * 1000,   /* of a table that a function goes through */
    MW_BOUND_STEPS = 1000 * 1000,      /* of matching a pattern … */
    MW_BOUND_STEPS_PER_BYTE = 32,      /* … and for each byte of the subject, … */
    MW_BOUND_STEPS_MOST = 20 * 1000 * 1000, /* … but so many at most: about half a second */
};

/* The bounds that hold in this state: those above, or as good as none. */
size_t mw_bound_bytes(lua_State *L);
lua_Integer mw_bound_elements(lua_State *L);
uint64_t mw_bound_steps(lua_State *L, size_t subject_length);

/* Raises, blaming the caller of the running function, because its result would
 * have more bytes, or because it would go through more elements. */
int mw_bound_refuse_bytes(lua_State *L);
int mw_bound_refuse_elements(lua_State *L);

#endif
