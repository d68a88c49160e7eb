#include "script/l_sort.h"

#include "script/bounded_table.h"
#include "script/bounds.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

/* What lies where on the stack of sort: elements are merged from one table into
 * another, and LEFT and RIGHT are those that are compared. */
enum { LIST = 1, IS_LESS, FROM, TO, STATE, LEFT, RIGHT };

enum { BYTES_A_STEP = 16 }; /* compared at once */

/* Runs of `width` elements are sorted, and merged in pairs: the elements before
 * `left_end` with those before `right_end`. */
struct sort {
    lua_Integer count, width;
    lua_Integer left, left_end, right, right_end, out; /* from 1 */
    uint64_t steps; /* that comparing strings may still take */
};

/* Comparing strings costs by their length, and no hook interrupts it. */
static void charge(lua_State *L, struct sort *s) {
    if (lua_type(L, LEFT) == LUA_TSTRING && lua_type(L, RIGHT) == LUA_TSTRING) {
        size_t left = lua_rawlen(L, LEFT), right = lua_rawlen(L, RIGHT);
        size_t steps = (left < right ? left : right) / BYTES_A_STEP;
        if (steps > s->steps) {
            luaL_error(L, "sorting these strings takes too many steps");
        }
        s->steps -= steps;
    }
}

static void start_pair(struct sort *s, lua_Integer first) {
    s->left = s->out = first;
    s->left_end = s->right = first + s->width <= s->count ? first + s->width : s->count + 1;
    s->right_end = s->right + s->width <= s->count ? s->right + s->width : s->count + 1;
}

static void load_pair(lua_State *L, const struct sort *s) {
    lua_settop(L, STATE);
    lua_rawgeti(L, FROM, s->left);
    lua_rawgeti(L, FROM, s->right);
}

/* The result of a comparison lies on top: takes the lesser element, of equal
 * ones the left. */
static void take(lua_State *L, struct sort *s) {
    bool right = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (right) {
        lua_rawseti(L, TO, s->out++);
        lua_rawgeti(L, FROM, ++s->right);
    } else {
        lua_pushvalue(L, LEFT);
        lua_rawseti(L, TO, s->out++);
        lua_rawgeti(L, FROM, ++s->left);
        lua_replace(L, LEFT);
    }
}

static void take_rest(lua_State *L, struct sort *s) {
    lua_settop(L, STATE);
    for (; s->left < s->left_end; s->left++) {
        lua_rawgeti(L, FROM, s->left);
        lua_rawseti(L, TO, s->out++);
    }
    for (; s->right < s->right_end; s->right++) {
        lua_rawgeti(L, FROM, s->right);
        lua_rawseti(L, TO, s->out++);
    }
}

static int merge(lua_State *L, struct sort *s);

static int compared(lua_State *L, int status, lua_KContext context) {
    struct sort *s = lua_touserdata(L, STATE);
    (void)status;
    (void)context;
    take(L, s);
    return merge(L, s);
}

static void merge_pair(lua_State *L, struct sort *s) {
    bool calls = lua_toboolean(L, IS_LESS);
    while (s->left < s->left_end && s->right < s->right_end) {
        if (calls) {
            lua_pushvalue(L, IS_LESS);
            lua_pushvalue(L, RIGHT);
            lua_pushvalue(L, LEFT);
            lua_callk(L, 2, 1, 0, compared);
        } else {
            charge(L, s);
            lua_pushboolean(L, lua_compare(L, RIGHT, LEFT, LUA_OPLT));
        }
        take(L, s);
    }
    take_rest(L, s);
}

static int finish(lua_State *L, const struct sort *s) {
    lua_settop(L, STATE);
    for (lua_Integer i = 1; i <= s->count; i++) {
        lua_rawgeti(L, FROM, i);
        lua_seti(L, LIST, i);
    }
    return 0;
}

/* Goes on with the pair that is begun, and to the end. */
static int merge(lua_State *L, struct sort *s) {
    while (s->width < s->count) {
        merge_pair(L, s);
        if (s->right_end > s->count) {
            s->width *= 2;
            lua_pushvalue(L, FROM);
            lua_copy(L, TO, FROM);
            lua_replace(L, TO);
            start_pair(s, 1);
        } else {
            start_pair(s, s->right_end);
        }
        load_pair(L, s);
    }
    return finish(L, s);
}

int mw_l_sort(lua_State *L) {
    mw_check_list(L, LIST, "inl");
    lua_Integer count = luaL_len(L, LIST);
    if (count < 2) {
        return 0;
    }
    luaL_argcheck(L, count < INT32_MAX, LIST, "array too big");
    if (!lua_isnoneornil(L, IS_LESS)) {
        luaL_checktype(L, IS_LESS, LUA_TFUNCTION);
    }
    if (count > mw_bound_elements(L)) {
        return mw_bound_refuse_elements(L);
    }
    lua_settop(L, IS_LESS);
    lua_createtable(L, (int)count, 0);
    lua_createtable(L, (int)count, 0);
    struct sort *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (struct sort){.count = count, .width = 1, .steps = mw_bound_steps(L, UINT32_MAX)};
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, LIST, i);
        lua_rawseti(L, FROM, i);
    }
    start_pair(s, 1);
    load_pair(L, s);
    return merge(L, s);
}
