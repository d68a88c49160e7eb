#include "script/l_sort.h"

#include "script/bounded_table.h"
#include "script/bounds.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

/* What lies where on the stack of sort: elements are merged from one half of PLACES
 * into the other, and LEFT and RIGHT are those that are compared. */
enum { LIST = 1, IS_LESS, PLACES, STATE, LEFT, RIGHT };

enum { BYTES_A_STEP = 16 }; /* compared at once */

/* Runs of `width` elements are sorted, and merged in pairs: the elements before
 * `left_end` with those before `right_end`. */
struct sort {
    lua_Integer count, width;
    lua_Integer from, to; /* added to an index: 0 and count, or count and 0 */
    lua_Integer left, left_end, right, right_end, out; /* from 1 */
    uint64_t steps; /* that comparing strings may still take */
};

/* --- many elements: runs are merged --- */

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

static void get(lua_State *L, const struct sort *s, lua_Integer index) {
    lua_rawgeti(L, PLACES, s->from + index);
}

/* Takes the element on top as the next. */
static void put(lua_State *L, struct sort *s) {
    lua_rawseti(L, PLACES, s->to + s->out++);
}

static void load_pair(lua_State *L, const struct sort *s) {
    lua_settop(L, STATE);
    get(L, s, s->left);
    get(L, s, s->right);
}

/* The result of a comparison lies on top: takes the lesser element, of equal
 * ones the left. */
static void take(lua_State *L, struct sort *s) {
    bool right = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (right) {
        put(L, s);
        get(L, s, ++s->right);
    } else {
        lua_pushvalue(L, LEFT);
        put(L, s);
        get(L, s, ++s->left);
        lua_replace(L, LEFT);
    }
}

static void take_rest(lua_State *L, struct sort *s) {
    lua_settop(L, STATE);
    for (; s->left < s->left_end; s->left++) {
        get(L, s, s->left);
        put(L, s);
    }
    for (; s->right < s->right_end; s->right++) {
        get(L, s, s->right);
        put(L, s);
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
        get(L, s, i);
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
            lua_Integer from = s->from;
            s->from = s->to;
            s->to = from;
            start_pair(s, 1);
        } else {
            start_pair(s, s->right_end);
        }
        load_pair(L, s);
    }
    return finish(L, s);
}

/* --- few elements: each is inserted among those before it, in place --- */

enum { FEW = 16 };

/* Where insertion stands. It fits into the context of a continuation. */
struct insertion {
    unsigned char count, index, low, high;
};

enum { KEY = 3 }; /* what is behind LIST and IS_LESS on the stack */

static lua_KContext to_context(struct insertion at) {
    return at.count | at.index << 8 | at.low << 16 | (lua_KContext)at.high << 24;
}

static struct insertion from_context(lua_KContext context) {
    return (struct insertion){
        .count = (unsigned char)context,
        .index = (unsigned char)(context >> 8),
        .low = (unsigned char)(context >> 16),
        .high = (unsigned char)(context >> 24),
    };
}

static unsigned char middle(struct insertion at) {
    return (unsigned char)((at.low + at.high) / 2);
}

/* The result of a comparison of the key with the element in the middle lies on top. */
static struct insertion narrow(lua_State *L, struct insertion at) {
    if (lua_toboolean(L, -1)) {
        at.high = middle(at);
    } else {
        at.low = (unsigned char)(middle(at) + 1);
    }
    lua_settop(L, KEY);
    return at;
}

/* Puts the key at its place: the table is changed only between comparisons, and
 * an error in one leaves all elements in it. */
static void settle(lua_State *L, struct insertion at) {
    for (lua_Integer i = at.index; i > at.low; i--) {
        lua_geti(L, LIST, i - 1);
        lua_seti(L, LIST, i);
    }
    lua_seti(L, LIST, at.low);
}

static int insert_rest(lua_State *L, struct insertion at);

static int narrowed(lua_State *L, int status, lua_KContext context) {
    (void)status;
    return insert_rest(L, narrow(L, from_context(context)));
}

static int insert_rest(lua_State *L, struct insertion at) {
    while (at.index <= at.count) {
        if (lua_gettop(L) < KEY) {
            lua_geti(L, LIST, at.index);
        }
        while (at.low < at.high) {
            lua_pushvalue(L, IS_LESS);
            lua_pushvalue(L, KEY);
            lua_geti(L, LIST, middle(at));
            lua_callk(L, 2, 1, to_context(at), narrowed);
            at = narrow(L, at);
        }
        settle(L, at);
        at.index++;
        at.low = 1;
        at.high = at.index;
    }
    return 0;
}

/* --- all of it --- */

int mw_l_sort(lua_State *L) {
    mw_check_list(L, LIST, "inl");
    lua_Integer count = luaL_len(L, LIST);
    if (count < 2) {
        return 0;
    }
    luaL_argcheck(L, count < INT32_MAX / 2, LIST, "array too big");
    if (!lua_isnoneornil(L, IS_LESS)) {
        luaL_checktype(L, IS_LESS, LUA_TFUNCTION);
    }
    if (count > mw_bound_elements(L)) {
        return mw_bound_refuse_elements(L);
    }
    lua_settop(L, IS_LESS);
    if (count <= FEW && lua_toboolean(L, IS_LESS)) {
        return insert_rest(L, (struct insertion){.count = (unsigned char)count, .index = 2, .low = 1, .high = 2});
    }
    lua_createtable(L, (int)count * 2, 0);
    struct sort *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (struct sort){.count = count, .width = 1, .to = count, .steps = mw_bound_steps(L, UINT32_MAX)};
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, LIST, i);
        lua_rawseti(L, PLACES, i);
    }
    start_pair(s, 1);
    load_pair(L, s);
    return merge(L, s);
}
