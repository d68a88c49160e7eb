/* The settings of a stream that scripts may change. */
#include "script/check.h"
#include "script/l_stream.h"
#include "script/tls_settings.h"

#include <stdlib.h>

enum { LEAST_MARK = 1, MOST_MARK = 1 << 30 };

static size_t mark(lua_State *L, int index, const char *key, size_t otherwise) {
    return (size_t)mw_option_integer(L, index, key, LEAST_MARK, MOST_MARK, (lua_Integer)otherwise);
}

struct mw_l_profile *mw_l_profile_options(lua_State *L, int index, struct mw_l_profile *base) {
    if (!lua_istable(L, index)) {
        base->references++;
        return base;
    }
    struct mw_l_profile profile = {
        .marks.input = mark(L, index, "input_mark", base->marks.input),
        .marks.high = mark(L, index, "high_mark", base->marks.high),
        .marks.low = mark(L, index, "low_mark", base->marks.low),
        .marks.cap = mark(L, index, "queue_limit", base->marks.cap),
        .read_timeout = mw_option_seconds(L, index, "read_timeout", base->read_timeout),
        .write_timeout = mw_option_seconds(L, index, "write_timeout", base->write_timeout),
        .tls = base->tls,
        .references = 1,
    };
    luaL_argcheck(L, profile.marks.low <= profile.marks.high, index, "low_mark must not be above high_mark");
    luaL_argcheck(L, profile.marks.high <= profile.marks.cap, index, "high_mark must not be above queue_limit");
    struct mw_l_profile *copy = malloc(sizeof *copy);
    if (!copy) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    *copy = profile;
    if (copy->tls) {
        mw_tls_settings_hold(copy->tls);
    }
    return copy;
}

struct mw_l_profile *mw_l_profile_with_tls(lua_State *L, struct mw_l_profile *base, struct mw_tls_settings *tls) {
    struct mw_l_profile *copy = malloc(sizeof *copy);
    if (!copy) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    *copy = *base;
    copy->references = 1;
    copy->tls = mw_tls_settings_hold(tls);
    mw_l_profile_release(base);
    return copy;
}

void mw_l_profile_release(struct mw_l_profile *profile) {
    if (--profile->references == 0) {
        mw_tls_settings_release(profile->tls);
        free(profile);
    }
}
