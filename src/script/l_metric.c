#include "script/l_metric.h"

#include "base/log.h"
#include "base/metric.h"
#include "script/check.h"
#include "script/state.h"

#include <string.h>

enum {
    LABELS = 8,           /* that a metric may have of the script's own */
    SERIES_DEFAULT = 200, /* of one metric */
    SERIES_OF_SERVICE = MW_METRICS_PER_WORKER / 2, /* of all its metrics together: others want some, too */
};

static const char OTHER[] = "other";
static const char *const TYPES[] = {"moonwire.counter", "moonwire.gauge", "moonwire.histogram"};
static const double default_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

/* A metric of a script. Its series lie in shared memory, which outlives the state. */
struct metric {
    enum mw_metric_kind kind;
    struct mw_metrics *metrics;
    struct mw_metric *only; /* series of a metric without labels */
    char name[MW_METRIC_NAME], help[MW_METRIC_HELP];
    char service[MW_METRIC_LABELS]; /* the label that all have */
    char labels[LABELS][MW_METRIC_NAME];
    int label_count, bound_count;
    double bounds[MW_METRIC_BUCKETS];
    size_t series, most;
    bool full; /* further values of labels are counted as others */
};

static struct mw_metric *create(struct metric *metric, const char *labels) {
    return mw_metric(metric->metrics, metric->kind, metric->name, metric->help, labels, metric->bounds,
                     metric->bound_count);
}

/* A service has a share of what there is. */
static struct mw_metric *create_within_share(struct metric *metric, const char *labels) {
    if (mw_metrics_count(metric->metrics, NULL, metric->service) >= SERIES_OF_SERVICE) {
        return NULL;
    }
    return create(metric, labels);
}

static void tell_full(struct metric *metric) {
    metric->full = true;
    mw_log(MW_LOG_WARN, "metric %s has no room for more series (it has %zu): %s", metric->name, metric->series,
           metric->label_count ? "further values of its labels count as \"other\"" : "it is not counted");
}

/* Where whatever has no series of its own is counted. NULL when there is none to be had. */
static struct mw_metric *find_other(struct metric *metric) {
    char labels[MW_METRIC_LABELS];
    memcpy(labels, metric->service, sizeof labels);
    for (int i = 0; i < metric->label_count; i++) {
        if (!mw_metric_label(labels, metric->labels[i], OTHER, sizeof OTHER - 1)) {
            return NULL;
        }
    }
    struct mw_metric *found = mw_metric_find(metric->metrics, metric->name, labels);
    return found ? found : create(metric, labels);
}

static struct mw_metric *find_series(struct metric *metric, const char *labels) {
    struct mw_metric *found = mw_metric_find(metric->metrics, metric->name, labels);
    if (!found && !metric->full) {
        found = metric->series < metric->most ? create_within_share(metric, labels) : NULL;
        if (found) {
            metric->series++;
        } else {
            tell_full(metric);
        }
    }
    return found ? found : find_other(metric);
}

static void refuse_values(lua_State *L, const struct metric *metric, int count) {
    luaL_Buffer names;
    luaL_buffinit(L, &names);
    for (int i = 0; i < metric->label_count; i++) {
        luaL_addstring(&names, i ? ", " : ": ");
        luaL_addstring(&names, metric->labels[i]);
    }
    luaL_pushresult(&names);
    luaL_error(L, "metric '%s' has %d label%s%s; got %d value%s", metric->name, metric->label_count,
               metric->label_count == 1 ? "" : "s", lua_tostring(L, -1), count, count == 1 ? "" : "s");
}

/* (metric, number, values of its labels…) */
static struct mw_metric *check_series(lua_State *L, struct metric *metric) {
    char labels[MW_METRIC_LABELS];
    int count = lua_gettop(L) - 2;
    if (count != metric->label_count) {
        refuse_values(L, metric, count);
    }
    if (count == 0) {
        return metric->only;
    }
    memcpy(labels, metric->service, sizeof labels);
    bool fits = true;
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *value = luaL_checklstring(L, 3 + i, &length);
        fits = fits && mw_metric_label(labels, metric->labels[i], value, length);
    }
    return fits ? find_series(metric, labels) : find_other(metric);
}

static double check_number(lua_State *L) {
    double number = luaL_checknumber(L, 2);
    luaL_argcheck(L, number - number == 0, 2, "a finite number expected");
    return number;
}

static int counter_add(lua_State *L) {
    struct metric *metric = luaL_checkudata(L, 1, TYPES[MW_COUNTER]);
    double amount = check_number(L);
    luaL_argcheck(L, amount >= 0, 2, "a counter never falls; use a gauge");
    mw_metric_add(check_series(L, metric), amount);
    return 0;
}

static int gauge_add(lua_State *L) {
    struct metric *metric = luaL_checkudata(L, 1, TYPES[MW_GAUGE]);
    double amount = check_number(L);
    mw_metric_add(check_series(L, metric), amount);
    return 0;
}

static int gauge_set(lua_State *L) {
    struct metric *metric = luaL_checkudata(L, 1, TYPES[MW_GAUGE]);
    double value = check_number(L);
    mw_metric_set(check_series(L, metric), value);
    return 0;
}

static int histogram_observe(lua_State *L) {
    struct metric *metric = luaL_checkudata(L, 1, TYPES[MW_HISTOGRAM]);
    double value = check_number(L);
    mw_metric_observe(check_series(L, metric), value);
    return 0;
}

static int metric_tostring(lua_State *L) {
    const struct metric *metric = NULL;
    for (size_t kind = 0; !metric && kind < sizeof TYPES / sizeof *TYPES; kind++) {
        metric = luaL_testudata(L, 1, TYPES[kind]);
    }
    if (!metric) {
        return luaL_typeerror(L, 1, "moonwire.metric");
    }
    lua_pushfstring(L, "%s: %s", TYPES[metric->kind], metric->name);
    return 1;
}

static void check_name(lua_State *L, struct metric *metric) {
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length), *problem = mw_metric_name_problem(metric->kind, name);
    if (strlen(name) != length) {
        problem = "no NUL expected";
    } else if (strncmp(name, "moonwire_", 9) == 0) {
        problem = "names that begin with moonwire_ are of the process itself";
    }
    if (problem) {
        luaL_argerror(L, 1, lua_pushfstring(L, "'%s' is no name for it: %s", name, problem));
    }
    memcpy(metric->name, name, length + 1);
}

static void check_help(lua_State *L, struct metric *metric) {
    size_t length;
    const char *help = luaL_checklstring(L, 2, &length);
    luaL_argcheck(L, length > 0 && length < MW_METRIC_HELP && strlen(help) == length, 2,
                  "a sentence of 1 to 127 bytes expected, that says what the metric is");
    memcpy(metric->help, help, length + 1);
}

static void check_label(lua_State *L, struct metric *metric, const char *name) {
    const char *problem = mw_metric_label_problem(name);
    for (int i = 0; i < metric->label_count; i++) {
        problem = strcmp(metric->labels[i], name) == 0 ? "there are two of that name" : problem;
    }
    if (strcmp(name, "service") == 0) {
        problem = "the label service is there by itself";
    } else if (strlen(name) >= MW_METRIC_NAME) {
        problem = "a name is at most 95 bytes long";
    }
    if (problem) {
        luaL_argerror(L, 3, lua_pushfstring(L, "label '%s': %s", name, problem));
    }
    memcpy(metric->labels[metric->label_count++], name, strlen(name) + 1);
}

static void check_labels(lua_State *L, struct metric *metric) {
    if (lua_getfield(L, 3, "labels") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    luaL_argcheck(L, lua_istable(L, -1), 3, "option 'labels': a list of names expected");
    lua_Integer count = luaL_len(L, -1);
    luaL_argcheck(L, count <= LABELS, 3, "option 'labels': at most 8");
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_argcheck(L, lua_geti(L, -1, i) == LUA_TSTRING, 3, "option 'labels': a list of names expected");
        check_label(L, metric, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void check_buckets(lua_State *L, struct metric *metric) {
    if (lua_getfield(L, 3, "buckets") != LUA_TNIL) {
        luaL_argcheck(L, lua_istable(L, -1), 3, "option 'buckets': a list of numbers expected");
        lua_Integer count = luaL_len(L, -1);
        luaL_argcheck(L, count >= 1 && count <= MW_METRIC_BUCKETS, 3, "option 'buckets': 1 to 24 numbers expected");
        for (int i = 0; i < (int)count; i++) {
            luaL_argcheck(L, lua_geti(L, -1, i + 1) == LUA_TNUMBER, 3, "option 'buckets': a list of numbers expected");
            double bound = lua_tonumber(L, -1);
            luaL_argcheck(L, bound - bound == 0 && (i == 0 || bound > metric->bounds[i - 1]), 3,
                          "option 'buckets': each finite, and above the one before it");
            metric->bounds[i] = bound;
            lua_pop(L, 1);
        }
        metric->bound_count = (int)count;
    }
    lua_pop(L, 1);
}

static void check_options(lua_State *L, struct metric *metric) {
    static const char *const plain[] = {"labels", "series", NULL}, *const with[] = {"buckets", "labels", "series", NULL};
    bool has_buckets = metric->kind == MW_HISTOGRAM;
    metric->most = SERIES_DEFAULT;
    if (has_buckets) {
        memcpy(metric->bounds, default_bounds, sizeof default_bounds);
        metric->bound_count = sizeof default_bounds / sizeof *default_bounds;
    }
    if (mw_check_options(L, 3, has_buckets ? with : plain)) {
        metric->most = (size_t)mw_option_integer(L, 3, "series", 1, SERIES_OF_SERVICE, SERIES_DEFAULT);
        check_labels(L, metric);
        if (has_buckets) {
            check_buckets(L, metric);
        }
    }
}

static void find_service(lua_State *L, struct metric *metric) {
    struct mw_state *state = mw_state_of(L);
    const char *name = state->sched.name ? state->sched.name : "script";
    metric->metrics = mw_state_metrics(state);
    if (!metric->metrics || !mw_metric_label(metric->service, "service", name, strlen(name))) {
        luaL_error(L, metric->metrics ? "the name of the service is too long for metrics" : "not enough memory");
    }
}

/* The series that are there already are those of the generation before, or of a worker that died. */
static void open_series(lua_State *L, struct metric *metric) {
    int kind = mw_metrics_kind(metric->metrics, metric->name);
    if (kind >= 0 && kind != (int)metric->kind) {
        luaL_error(L, "metric '%s' is a %s already, and remains one while the process runs; choose another name",
                   metric->name, strchr(TYPES[kind], '.') + 1);
    }
    mw_metrics_set_bounds(metric->metrics, metric->name, metric->service, metric->bounds, metric->bound_count);
    metric->series = mw_metrics_count(metric->metrics, metric->name, metric->service);
    if (metric->label_count == 0) {
        metric->only = mw_metric_find(metric->metrics, metric->name, metric->service);
        metric->only = metric->only ? metric->only : create_within_share(metric, metric->service);
        if (!metric->only) {
            tell_full(metric);
        }
    }
}

/* (name, help, options?) → metric */
static int new_metric(lua_State *L, enum mw_metric_kind kind) {
    lua_settop(L, 3);
    struct metric *metric = lua_newuserdatauv(L, sizeof *metric, 0);
    memset(metric, 0, sizeof *metric);
    metric->kind = kind;
    check_name(L, metric);
    check_help(L, metric);
    check_options(L, metric);
    find_service(L, metric);
    open_series(L, metric);
    luaL_setmetatable(L, TYPES[kind]);
    return 1;
}

static int metrics_counter(lua_State *L) {
    return new_metric(L, MW_COUNTER);
}

static int metrics_gauge(lua_State *L) {
    return new_metric(L, MW_GAUGE);
}

static int metrics_histogram(lua_State *L) {
    return new_metric(L, MW_HISTOGRAM);
}

static int push_text(lua_State *L) {
    const struct mw_text *text = lua_touserdata(L, 1);
    lua_pushlstring(L, text->bytes, text->size);
    return 1;
}

/* text() → string. The text is C's until Lua has a copy, and freed if it gets none. */
static int metrics_text(lua_State *L) {
    struct mw_metrics *metrics = mw_state_metrics(mw_state_of(L));
    struct mw_text text = {.bytes = NULL};
    lua_pushcfunction(L, push_text);
    lua_pushlightuserdata(L, &text);
    if (metrics) {
        mw_metrics_write(metrics, &text);
    }
    bool failed = !metrics || text.failed || lua_pcall(L, 1, 1, 0) != LUA_OK;
    mw_text_free(&text);
    return failed ? luaL_error(L, "not enough memory") : 1;
}

void mw_l_metric_open(lua_State *L) {
    static const luaL_Reg counter_methods[] = {{"add", counter_add}, {NULL, NULL}};
    static const luaL_Reg gauge_methods[] = {{"add", gauge_add}, {"set", gauge_set}, {NULL, NULL}};
    static const luaL_Reg histogram_methods[] = {{"observe", histogram_observe}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", metric_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"counter", metrics_counter},
        {"gauge", metrics_gauge},
        {"histogram", metrics_histogram},
        {"text", metrics_text},
        {NULL, NULL},
    };
    mw_new_type(L, TYPES[MW_COUNTER], counter_methods, metamethods);
    mw_new_type(L, TYPES[MW_GAUGE], gauge_methods, metamethods);
    mw_new_type(L, TYPES[MW_HISTOGRAM], histogram_methods, metamethods);
    mw_set_functions(L, "metrics", functions);
}
