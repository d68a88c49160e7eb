#include "script/l_editor.h"

#include "base/log.h"
#include "script/check.h"
#include "script/editor.h"
#include "script/fault.h"
#include "script/sched.h"
#include "script/tty.h"

#include <stdio.h>
#include <unistd.h>

static const char TYPE[] = "moonwire.editor";
static const char *const event_names[] = {"key", "line", "complete", "interrupted", "end"};

/* What the script's io writes to: a file of the Lua library that is lent. */
struct lent_file {
    luaL_Stream *file; /* NULL: not lent; in a user value of the editor */
    FILE *own;
};

struct editor {
    struct mw_editor *editor; /* NULL once closed */
    struct mw_task *reader;
    struct mw_resource resource;
    FILE *output; /* writes above the line */
    struct lent_file files[2];
    enum mw_editor_event event;
};

static struct editor *check_editor(lua_State *L) {
    struct editor *self = luaL_checkudata(L, 1, TYPE);
    if (!self->editor) {
        luaL_error(L, "this editor is closed");
    }
    return self;
}

static ssize_t write_output(void *context, const char *bytes, size_t length) {
    mw_editor_print(context, bytes, length);
    return (ssize_t)length;
}

static void write_log(void *context, const char *bytes, size_t length) {
    mw_editor_print(context, bytes, length);
}

/* io.stdout and io.stderr write to the editor from now on, if they are the terminal. */
static void lend_file(lua_State *L, struct editor *self, int number, const char *name, int descriptor) {
    lua_getglobal(L, "io");
    lua_getfield(L, -1, name);
    luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (file && file->closef && isatty(descriptor)) {
        fflush(file->f);
        self->files[number] = (struct lent_file){.file = file, .own = file->f};
        file->f = self->output;
        lua_setiuservalue(L, 1, number + 1);
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 2);
}

static void take_files_back(struct editor *self) {
    for (int i = 0; i < 2; i++) {
        if (self->files[i].file) {
            self->files[i].file->f = self->files[i].own;
            self->files[i].file = NULL;
        }
    }
}

static void close_editor(struct editor *self) {
    if (!self->editor) {
        return;
    }
    struct mw_task *reader = self->reader;
    self->reader = NULL;
    take_files_back(self);
    mw_log_set_sink(NULL, NULL);
    if (self->output) {
        fclose(self->output);
    }
    mw_editor_free(self->editor);
    self->editor = NULL;
    mw_task_disown(&self->resource);
    if (reader) {
        self->event = MW_EDITOR_END;
        mw_task_ready(reader, 0);
    }
}

static void close_resource(struct mw_resource *resource) {
    close_editor(mw_list_owner(resource, struct editor, resource));
}

/* open([path]) → editor: edits lines at the terminal until it is closed; what is
 * printed and logged meanwhile appears above the line. `path` names the file of
 * the history. Belongs to the running task. */
static int editor_open(lua_State *L) {
    static const cookie_io_functions_t functions = {.write = write_output};
    struct mw_sched *sched = mw_sched_of(L);
    const char *path = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    struct editor *self = lua_newuserdatauv(L, sizeof *self, 2);
    *self = (struct editor){.event = MW_EDITOR_END, .resource.close = close_resource};
    mw_list_init(&self->resource.node);
    luaL_setmetatable(L, TYPE);
    self->editor = mw_editor_new(sched->loop, path);
    self->output = self->editor ? fopencookie(self->editor, "w", functions) : NULL;
    if (!self->output) {
        return luaL_error(L, "not enough memory");
    }
    setvbuf(self->output, NULL, _IONBF, 0);
    lua_replace(L, 1);
    lend_file(L, self, 0, "stdout", STDOUT_FILENO);
    lend_file(L, self, 1, "stderr", STDERR_FILENO);
    if (isatty(STDERR_FILENO)) {
        mw_log_set_sink(write_log, self->editor);
    }
    mw_task_own(L, &self->resource);
    return 1;
}

static void on_event(void *context, enum mw_editor_event event) {
    struct editor *self = context;
    struct mw_task *reader = self->reader;
    self->event = event;
    self->reader = NULL;
    if (reader) {
        mw_task_ready(reader, 0);
    }
}

static void abandon_read(struct mw_task *task, void *subject) {
    struct editor *self = subject;
    (void)task;
    self->reader = NULL;
}

static const struct mw_wait read_wait = {.name = "prompt", .abandon = abandon_read};

static int told(lua_State *L, int status, lua_KContext context) {
    const struct editor *self = luaL_checkudata(L, 1, TYPE);
    (void)status;
    (void)context;
    if (mw_task_outcome(L) == MW_TIMED_OUT) {
        return mw_push_word(L, "timeout");
    }
    lua_pushstring(L, event_names[self->event]);
    if (self->event != MW_EDITOR_LINE && self->event != MW_EDITOR_COMPLETE) {
        return 1;
    }
    size_t length;
    const char *text = mw_editor_text(self->editor, &length);
    lua_pushlstring(L, text, length);
    return 2;
}

/* read(prompt) → "line", text | "complete", text before the cursor | "interrupted" | "end".
 * After "complete" it goes on with the same line. */
static int editor_read(lua_State *L) {
    struct editor *self = check_editor(L);
    const char *prompt = luaL_checkstring(L, 2);
    if (self->reader) {
        return mw_push_word(L, "busy");
    }
    struct mw_task *task = mw_task_begin_wait(L, MW_TIMER_NEVER);
    self->reader = task;
    mw_editor_read(self->editor, prompt, on_event, self);
    return mw_task_wait(task, &read_wait, self, 0, told);
}

/* insert(text): after "complete", at the cursor */
static int editor_insert(lua_State *L) {
    mw_editor_insert(check_editor(L)->editor, luaL_checkstring(L, 2));
    return 0;
}

/* interrupt(): gives up the line that is being entered */
static int editor_interrupt(lua_State *L) {
    mw_editor_interrupt(check_editor(L)->editor);
    return 0;
}

/* remember(text): adds an entry to the history */
static int editor_remember(lua_State *L) {
    mw_editor_remember(check_editor(L)->editor, luaL_checkstring(L, 2));
    return 0;
}

static int editor_close(lua_State *L) {
    close_editor(luaL_checkudata(L, 1, TYPE));
    return 0;
}

/* is_terminal() → whether lines can be edited */
static int editor_is_terminal(lua_State *L) {
    lua_pushboolean(L, mw_tty_is_there());
    return 1;
}

/* columns() → of the terminal */
static int editor_columns(lua_State *L) {
    lua_pushinteger(L, mw_tty_columns());
    return 1;
}

static const luaL_Reg functions[] = {
    {"open", editor_open}, {"is_terminal", editor_is_terminal}, {"columns", editor_columns}, {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"read", editor_read},         {"insert", editor_insert}, {"interrupt", editor_interrupt},
    {"remember", editor_remember}, {"close", editor_close},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {{"__close", editor_close}, {"__gc", editor_close}, {NULL, NULL}};

void mw_l_editor_open(lua_State *L) {
    mw_new_type(L, TYPE, methods, metamethods);
    mw_set_functions(L, "editor", functions);
}
