#include "script/bounds.h"

#include "script/state.h"

#include <lauxlib.h>

size_t mw_bound_bytes(lua_State *L) {
    return mw_state_of(L)->sandboxed ? MW_BOUND_BYTES : SIZE_MAX / 2;
}

lua_Integer mw_bound_elements(lua_State *L) {
    return mw_state_of(L)->sandboxed ? MW_BOUND_ELEMENTS : INT32_MAX;
}

uint64_t mw_bound_steps(lua_State *L, size_t subject_length) {
    if (!mw_state_of(L)->sandboxed) {
        return UINT64_MAX;
    }
    uint64_t steps = MW_BOUND_STEPS + (uint64_t)subject_length * MW_BOUND_STEPS_PER_BYTE;
    return steps < MW_BOUND_STEPS_MOST ? steps : MW_BOUND_STEPS_MOST;
}

int mw_bound_refuse_bytes(lua_State *L) {
    return luaL_error(L, "the result has more than %d bytes, which is the most in a sandbox", MW_BOUND_BYTES);
}

int mw_bound_refuse_elements(lua_State *L) {
    return luaL_error(L, "more than %d elements at once, which is the most in a sandbox", MW_BOUND_ELEMENTS);
}
