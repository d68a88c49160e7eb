/* Lua values to JSON. The text grows in a userdata, so that nothing leaks when
 * a value is refused. */
#include "base/json.h"
#include "base/utf8.h"
#include "script/check.h"
#include "script/l_json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_DEFAULT = 128,
    INDENT_MOST = 16, /* spaces */
    FIRST = 512,      /* bytes that need no userdata */
    PATH_SHOWN = 8,   /* the last steps to a value that is refused */
    KEY_SHOWN = 40,   /* characters of each */
};

/* An array or object that is being written, and the place in it. */
struct level {
    const struct level *above; /* NULL: the outermost */
    const char *key;           /* NULL: an array */
    lua_Integer index;
    unsigned depth;
};

struct encoding {
    lua_State *L;
    char *text;
    size_t size, capacity;
    int slot; /* of the userdata that holds the text */
    unsigned depth_limit, indent;
    bool sorted, replace;
    char first[FIRST];
};

static void reserve(struct encoding *to, size_t more) {
    if (to->capacity - to->size >= more) {
        return;
    }
    size_t capacity = to->capacity * 2 > to->size + more ? to->capacity * 2 : to->size + more;
    char *text = lua_newuserdatauv(to->L, capacity, 0);
    memcpy(text, to->text, to->size);
    lua_replace(to->L, to->slot);
    to->text = text;
    to->capacity = capacity;
}

static void add(struct encoding *to, const char *text, size_t size) {
    reserve(to, size);
    memcpy(to->text + to->size, text, size);
    to->size += size;
}

static void add_char(struct encoding *to, char c) {
    reserve(to, 1);
    to->text[to->size++] = c;
}

static void add_line(struct encoding *to, unsigned depth) {
    if (to->indent) {
        size_t spaces = (size_t)to->indent * depth;
        add_char(to, '\n');
        reserve(to, spaces);
        memset(to->text + to->size, ' ', spaces);
        to->size += spaces;
    }
}

/* --- what cannot be written --- */

static void push_step(lua_State *L, const struct level *level) {
    if (!level->key) {
        lua_pushfstring(L, "[%I]", (LUAI_UACINT)level->index);
        return;
    }
    char key[KEY_SHOWN + 1];
    snprintf(key, sizeof key, "%s", level->key);
    lua_pushfstring(L, level->above ? ".%s" : "%s", key);
}

/* Pushes the way to the value, such as "items[3].callback". */
static void push_path(lua_State *L, const struct level *level) {
    lua_pushliteral(L, "");
    for (int steps = 0; level; level = level->above, steps++) {
        if (steps == PATH_SHOWN) {
            lua_pushliteral(L, "...");
            lua_insert(L, -2);
            lua_concat(L, 2);
            return;
        }
        push_step(L, level);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
}

/* Raises: what cannot be written, and where it is. */
static void refuse(const struct encoding *from, const struct level *level, const char *why) {
    lua_State *L = from->L;
    luaL_checkstack(L, 8, "JSON");
    push_path(L, level);
    const char *colon = level ? ": " : "";
    luaL_argerror(L, 1, lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), colon, why));
}

/* --- scalars --- */

static void add_escape(struct encoding *to, unsigned char c) {
    static const char names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    char text[8];
    for (size_t i = 0; names[i]; i += 2) {
        if ((unsigned char)names[i] == c) {
            text[0] = '\\';
            text[1] = names[i + 1];
            add(to, text, 2);
            return;
        }
    }
    snprintf(text, sizeof text, "\\u%04x", c);
    add(to, text, 6);
}

static bool is_plain(unsigned char c) {
    return c >= ' ' && c < 0x7F && c != '"' && c != '\\';
}

static void add_string(struct encoding *to, const struct level *level, const char *text, size_t size) {
    add_char(to, '"');
    for (size_t at = 0; at < size;) {
        size_t plain = at;
        while (plain < size && is_plain((unsigned char)text[plain])) {
            plain++;
        }
        add(to, text + at, plain - at);
        at = plain;
        if (at == size) {
            break;
        }
        size_t length = mw_utf8_length(text + at, size - at);
        if (length > 1) {
            add(to, text + at, length);
        } else if (length == 1) {
            add_escape(to, (unsigned char)text[at]);
        } else if (to->replace) {
            reserve(to, 3);
            to->size += mw_utf8_write(MW_UTF8_REPLACEMENT, to->text + to->size);
        } else {
            refuse(to, level, "a string that is not UTF-8; encode bytes with moonwire.codec, or set 'replace'");
        }
        at += length ? length : 1;
    }
    add_char(to, '"');
}

/* The shortest text that is read as the same number. */
static void add_real(struct encoding *to, const struct level *level, double value) {
    char text[40];
    if (!isfinite(value)) {
        refuse(to, level, isnan(value) ? "not a number (NaN)" : "an infinite number");
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    const char point = *localeconv()->decimal_point;
    char *found = strchr(text, point);
    if (found) {
        *found = '.';
    }
    add(to, text, strlen(text));
    if (!strpbrk(text, ".e")) {
        add(to, ".0", 2);
    }
}

static void add_integer(struct encoding *to, lua_Integer value) {
    char text[32];
    int length = snprintf(text, sizeof text, LUA_INTEGER_FMT, (LUAI_UACINT)value);
    add(to, text, (size_t)length);
}

/* --- tables --- */

static void add_value(struct encoding *to, const struct level *level);

static bool is_marked(lua_State *L) {
    if (!lua_getmetatable(L, -1)) {
        return false;
    }
    luaL_getmetatable(L, MW_L_JSON_ARRAY);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* Whether the table on top is an array, of `*count` elements without a gap. */
static bool is_array(const struct encoding *from, const struct level *level, lua_Integer *count) {
    lua_State *L = from->L;
    bool marked = is_marked(L), others = false;
    lua_Integer integers = 0, largest = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1) {
            others = true;
            lua_pop(L, 1);
            break;
        }
        largest = key > largest ? key : largest;
        integers++;
    }
    if (others && (marked || integers)) {
        refuse(from, level, "a table with elements and other keys");
    }
    if (largest != integers) {
        refuse(from, level, "an array with gaps, which json.null could fill");
    }
    *count = integers;
    return marked || integers > 0;
}

static void add_array(struct encoding *to, struct level *level, lua_Integer count) {
    add_char(to, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            add_char(to, ',');
        }
        level->index = i;
        add_line(to, level->depth);
        lua_rawgeti(to->L, -1, i);
        add_value(to, level);
        lua_pop(to->L, 1);
    }
    if (count) {
        add_line(to, level->depth - 1);
    }
    add_char(to, ']');
}

/* The key and, on top, the value of one field. */
static void add_field(struct encoding *to, struct level *level, const char *key, size_t length) {
    level->key = key;
    add_line(to, level->depth);
    add_string(to, level, key, length);
    add(to, to->indent ? ": " : ":", to->indent ? 2 : 1);
    add_value(to, level);
    lua_pop(to->L, 1);
}

/* Returns how many. */
static size_t add_fields(struct encoding *to, struct level *level) {
    lua_State *L = to->L;
    size_t count = 0, length;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            refuse(to, level->above, "a table with a key that is neither a string nor the place of an element");
        }
        if (count++) {
            add_char(to, ',');
        }
        const char *key = lua_tolstring(L, -2, &length);
        add_field(to, level, key, length);
    }
    return count;
}

struct key {
    const char *text;
    size_t length;
};

static int compare(const void *one, const void *other) {
    const struct key *a = one, *b = other;
    int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Pushes the keys of the table on top, sorted by their bytes. */
static struct key *push_sorted_keys(struct encoding *to, struct level *level, size_t *count) {
    lua_State *L = to->L;
    *count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            refuse(to, level->above, "a table with a key that is neither a string nor the place of an element");
        }
        ++*count;
    }
    struct key *keys = lua_newuserdatauv(L, (*count + 1) * sizeof *keys, 0), *key = keys;
    lua_insert(L, -2);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        key->text = lua_tolstring(L, -1, &key->length);
        key++;
    }
    qsort(keys, *count, sizeof *keys, compare);
    return keys;
}

static size_t add_sorted_fields(struct encoding *to, struct level *level) {
    size_t count;
    const struct key *keys = push_sorted_keys(to, level, &count);
    for (size_t i = 0; i < count; i++) {
        if (i) {
            add_char(to, ',');
        }
        lua_pushlstring(to->L, keys[i].text, keys[i].length);
        lua_rawget(to->L, -2);
        add_field(to, level, keys[i].text, keys[i].length);
    }
    lua_remove(to->L, -2);
    return count;
}

/* The table on top. */
static void add_table(struct encoding *to, const struct level *above) {
    struct level level = {.above = above, .depth = above ? above->depth + 1 : 1};
    lua_Integer count;
    if (level.depth > to->depth_limit) {
        refuse(to, above, "nested too deeply, or a table within itself");
    }
    luaL_checkstack(to->L, 12, "JSON");
    if (is_array(to, above, &count)) {
        add_array(to, &level, count);
        return;
    }
    add_char(to, '{');
    if (to->sorted ? add_sorted_fields(to, &level) : add_fields(to, &level)) {
        add_line(to, level.depth - 1);
    }
    add_char(to, '}');
}

static void add_number(struct encoding *to, const struct level *level) {
    if (lua_isinteger(to->L, -1)) {
        add_integer(to, lua_tointeger(to->L, -1));
    } else {
        add_real(to, level, lua_tonumber(to->L, -1));
    }
}

/* The value on top, which `level` has led to. */
static void add_value(struct encoding *to, const struct level *level) {
    lua_State *L = to->L;
    int type = lua_type(L, -1);
    size_t length;
    if (type == LUA_TSTRING) {
        const char *text = lua_tolstring(L, -1, &length);
        add_string(to, level, text, length);
    } else if (type == LUA_TNUMBER) {
        add_number(to, level);
    } else if (type == LUA_TBOOLEAN) {
        const char *word = lua_toboolean(L, -1) ? "true" : "false";
        add(to, word, strlen(word));
    } else if (type == LUA_TTABLE) {
        add_table(to, level);
    } else if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1)) {
        add(to, "null", 4);
    } else {
        const char *name = lua_typename(L, type);
        refuse(to, level, lua_pushfstring(L, "a value of type %s; JSON has none, and null is json.null", name));
    }
}

/* encode(value, options) → text */
int mw_l_json_encode(lua_State *L) {
    static const char *const known[] = {"sorted", "indent", "depth", "replace", NULL};
    struct encoding to;
    luaL_checkany(L, 1);
    mw_check_options(L, 2, known);
    to.L = L;
    to.text = to.first;
    to.size = 0;
    to.capacity = FIRST;
    to.sorted = mw_option_boolean(L, 2, "sorted", false);
    to.replace = mw_option_boolean(L, 2, "replace", false);
    to.indent = (unsigned)mw_option_integer(L, 2, "indent", 0, INDENT_MOST, 0);
    to.depth_limit = (unsigned)mw_option_integer(L, 2, "depth", 1, MW_JSON_DEPTH_MOST, DEPTH_DEFAULT);
    lua_settop(L, 1);
    lua_pushnil(L);
    to.slot = 2;
    lua_pushvalue(L, 1);
    add_value(&to, NULL);
    lua_pushlstring(L, to.text, to.size);
    return 1;
}
