#include "script/sandbox_internal.h"

#include "script/state.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCE_MAX = 1024 * 1024 }; /* bytes of a chunk of Lua */

/* --- load --- */

/* Collects what a reader function gives until it gives nothing, in its place. */
static void collect(lua_State *L) {
    luaL_Buffer buffer;
    size_t size = 0, length;
    luaL_buffinit(L, &buffer);
    for (;;) {
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (!lua_isnil(L, -1) && !lua_isstring(L, -1)) {
            luaL_error(L, "reader function must return a string");
        }
        lua_tolstring(L, -1, &length);
        size += lua_isnil(L, -1) ? 0 : length;
        if (lua_isnil(L, -1) || length == 0 || size > SOURCE_MAX) {
            break;
        }
        luaL_addvalue(&buffer);
    }
    lua_pop(L, 1);
    luaL_pushresult(&buffer);
    lua_replace(L, 1);
    if (size > SOURCE_MAX) {
        luaL_error(L, "the chunk has more than %d bytes, which is the most in a sandbox", SOURCE_MAX);
    }
}

static int load_chunk(lua_State *L) {
    bool has_env = !lua_isnone(L, 4);
    const char *name = luaL_optstring(L, 2, lua_isstring(L, 1) ? lua_tostring(L, 1) : "=(load)");
    const char *mode = strchr(luaL_optstring(L, 3, "t"), 't') ? "t" : "";
    lua_settop(L, 4);
    if (!lua_isstring(L, 1)) {
        luaL_checktype(L, 1, LUA_TFUNCTION);
        collect(L);
    }
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    luaL_argcheck(L, length <= SOURCE_MAX, 1, "the chunk is too long for a sandbox");
    if (luaL_loadbufferx(L, text, length, name, mode) != LUA_OK) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushvalue(L, has_env ? 4 : lua_upvalueindex(1));
    lua_setupvalue(L, -2, 1);
    return 1;
}

int mw_sandbox_load_with(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushcclosure(L, load_chunk, 1);
    return 1;
}

/* --- modules of the script's own --- */

static int open_below(int folder, const char *name, int flags) {
    return openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

/* Opens a path below a folder, with no symbolic link on the way; -1 and errno. */
static int open_module(const char *root, const char *path) {
    char part[NAME_MAX + 1];
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; folder >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        if ((size_t)(slash - path) >= sizeof part) {
            close(folder);
            errno = ENAMETOOLONG;
            return -1;
        }
        *stpncpy(part, path, (size_t)(slash - path)) = '\0';
        int below = open_below(folder, part, O_PATH | O_DIRECTORY);
        close(folder);
        folder = below;
    }
    if (folder < 0) {
        return -1;
    }
    int file = open_below(folder, path, O_RDONLY);
    int error = errno;
    close(folder);
    errno = error;
    return file;
}

/* 0 or errno. `*text` is the caller's to free. */
static int read_file(const char *root, const char *path, char **text, size_t *length) {
    struct stat status;
    int file = open_module(root, path);
    if (file < 0) {
        return errno;
    }
    int error = fstat(file, &status) != 0      ? errno
                : !S_ISREG(status.st_mode)     ? EINVAL
                : status.st_size > SOURCE_MAX ? EFBIG
                                               : 0;
    *text = error ? NULL : malloc((size_t)status.st_size + 1);
    ssize_t count = *text ? read(file, *text, (size_t)status.st_size) : 0;
    if (!error && (!*text || count < 0)) {
        error = *text ? errno : ENOMEM;
        free(*text);
        *text = NULL;
    }
    *length = count > 0 ? (size_t)count : 0;
    close(file);
    return error;
}

struct text {
    const char *bytes;
    size_t length;
};

static int push_text(lua_State *L) {
    const struct text *text = lua_touserdata(L, 1);
    lua_pushlstring(L, text->bytes, text->length);
    return 1;
}

int mw_sandbox_read_module(lua_State *L) {
    const char *root = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    char *bytes = NULL;
    struct text text;
    int error = read_file(root, path, &bytes, &text.length);
    if (error == ENOENT || error == ENOTDIR) {
        return 0;
    }
    if (error) {
        lua_pushfstring(L, "%s: %s", path, error == ELOOP ? "reached through a symbolic link" : strerror(error));
        return lua_error(L);
    }
    text.bytes = bytes;
    lua_pushcfunction(L, push_text);
    lua_pushlightuserdata(L, &text);
    int status = lua_pcall(L, 1, 1, 0);
    free(bytes);
    return status == LUA_OK ? 1 : lua_error(L);
}
