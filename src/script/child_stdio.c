#include "script/child_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const mw_child_stdio_names[3] = {"stdin", "stdout", "stderr"};

/* The value on top. */
static enum mw_child_role read_role(lua_State *L, int options, int index) {
    static const char *const words[] = {"stream", "null", "inherit", "log", "stdout"};
    const char *text = lua_tostring(L, -1);
    /* Input cannot be logged, and only errors can go where the output goes. */
    int allowed = index == 0 ? MW_CHILD_LOGGED : index == 1 ? MW_CHILD_MERGED : MW_CHILD_OPEN_FILE;
    for (int role = 0; text && role < allowed; role++) {
        if (strcmp(text, words[role]) == 0) {
            return (enum mw_child_role)role;
        }
    }
    static const char *const expected[] = {
        "\"stream\", \"null\", \"inherit\" or an open file",
        "\"stream\", \"null\", \"inherit\", \"log\" or an open file",
        "\"stream\", \"null\", \"inherit\", \"log\", \"stdout\" or an open file",
    };
    return (enum mw_child_role)luaL_argerror(
        L, options,
        lua_pushfstring(L, "option '%s': %s expected", mw_child_stdio_names[index], expected[index]));
}

struct mw_child_stdio mw_child_stdio_read(lua_State *L, int options) {
    struct mw_child_stdio stdio = {.role = {MW_CHILD_STREAM, MW_CHILD_STREAM, MW_CHILD_LOGGED}};
    for (int i = 0; i < 3; i++) {
        if (lua_getfield(L, options, mw_child_stdio_names[i]) == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        const luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);
        if (file) {
            luaL_argcheck(L, file->closef, options,
                          lua_pushfstring(L, "option '%s': the file is closed", mw_child_stdio_names[i]));
            fflush(file->f);
            stdio.role[i] = MW_CHILD_OPEN_FILE;
            stdio.file[i] = fileno(file->f);
        } else {
            stdio.role[i] = read_role(L, options, i);
        }
        lua_pop(L, 1);
    }
    return stdio;
}

/* Above those of standard input and output, whose places the child fills. -1 with errno. */
static int duplicate(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int raise_above(int fd) {
    if (fd < 0 || fd > 2) {
        return fd;
    }
    int higher = duplicate(fd);
    close(fd);
    return higher;
}

/* 0 or errno. */
static int open_pipe(int *ours, int *theirs, bool we_write) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    *ours = raise_above(ends[we_write ? 1 : 0]);
    *theirs = raise_above(ends[we_write ? 0 : 1]);
    return *ours < 0 || *theirs < 0 ? errno : 0;
}

static int open_end(const struct mw_child_stdio *stdio, int index, int ours[3], int theirs[3]) {
    int *end = &theirs[index];
    switch (stdio->role[index]) {
    case MW_CHILD_STREAM:
    case MW_CHILD_LOGGED:
        return open_pipe(&ours[index], end, index == 0);
    case MW_CHILD_NOTHING:
        *end = raise_above(open("/dev/null", O_RDWR | O_CLOEXEC));
        break;
    case MW_CHILD_INHERITED:
        *end = duplicate(index);
        break;
    case MW_CHILD_MERGED:
        *end = duplicate(theirs[1]);
        break;
    case MW_CHILD_OPEN_FILE:
        *end = duplicate(stdio->file[index]);
        break;
    }
    return *end < 0 ? errno : 0;
}

int mw_child_stdio_open(const struct mw_child_stdio *stdio, int ours[3], int theirs[3]) {
    for (int i = 0; i < 3; i++) {
        int error = open_end(stdio, i, ours, theirs);
        if (error) {
            return error;
        }
    }
    return 0;
}
