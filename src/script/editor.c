#include "script/editor.h"

#include "loop/signal.h"
#include "script/history.h"
#include "script/screen.h"
#include "script/tty.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <wchar.h>

enum { STACK_SIZE = 256 * 1024, PARTIAL_MAX = 4096 };

struct mw_editor {
    struct mw_loop *loop;
    EditLine *editline;
    struct mw_history *history;
    ucontext_t here, there; /* of the loop, of libedit */
    char *stack;
    ev_io typed;
    struct mw_signal *stopped, *continued, *resized;
    enum mw_editor_event event; /* why libedit's stack was left */
    void (*on_event)(void *context, enum mw_editor_event event);
    void *context;
    char *prompt, *text;
    size_t length; /* of the text */
    mbstate_t decoding;
    bool readable; /* there may be keys */
    bool broken;   /* no more keys for this line */
    bool editing;  /* a line is on the screen */
    bool hidden;   /* but while the job is stopped */
    bool at_margin; /* the cursor is, when none is */
    size_t partial_length;
    char partial[PARTIAL_MAX]; /* what was printed meanwhile behind the last newline */
};

/* The one whose stack is entered for the first time. */
static struct mw_editor *entering;

static struct mw_editor *editor_of(EditLine *editline) {
    void *editor = NULL;
    el_get(editline, EL_CLIENTDATA, &editor);
    return editor;
}

/* --- on libedit's stack --- */

static void leave(struct mw_editor *editor, enum mw_editor_event event) {
    editor->event = event;
    swapcontext(&editor->there, &editor->here); /* cppcheck-suppress swapcontextCalled */
}

/* The next character, if all its bytes are there: 1; 0 at the end of input, -1 when there is none. */
static int take_key(struct mw_editor *editor, wchar_t *key) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 0) > 0) {
        char byte;
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count <= 0) {
            return 0;
        }
        size_t used = mbrtowc(key, &byte, 1, &editor->decoding);
        if (used <= 1) {
            return 1;
        }
        if (used == (size_t)-1) { /* no character: the byte is dropped */
            memset(&editor->decoding, 0, sizeof editor->decoding);
        }
    }
    return -1;
}

static int get_key(EditLine *editline, wchar_t *key) {
    struct mw_editor *editor = editor_of(editline);
    while (!editor->broken) {
        int count = editor->readable ? take_key(editor, key) : -1;
        if (count >= 0) {
            return count;
        }
        editor->readable = false;
        leave(editor, MW_EDITOR_KEY);
    }
    return 0;
}

static unsigned char complete(EditLine *editline, int key) {
    (void)key;
    leave(editor_of(editline), MW_EDITOR_COMPLETE);
    return CC_REFRESH;
}

static char *prompt_of(EditLine *editline) {
    return editor_of(editline)->prompt;
}

static void keep_text(struct mw_editor *editor, const char *text, size_t length) {
    free(editor->text);
    editor->text = malloc(length + 1);
    editor->length = editor->text ? length : 0;
    if (editor->text) {
        memcpy(editor->text, text, length);
        editor->text[length] = '\0';
    }
}

static void edit(void) {
    struct mw_editor *editor = entering;
    for (;;) {
        int count;
        el_set(editor->editline, EL_PREP_TERM, 1); /* before the prompt is shown: what is typed behind it counts */
        const char *line = el_gets(editor->editline, &count);
        if (line) {
            keep_text(editor, line, strcspn(line, "\n"));
        }
        leave(editor, line ? MW_EDITOR_LINE : editor->broken ? MW_EDITOR_INTERRUPTED : MW_EDITOR_END);
    }
}

/* --- what is on the screen --- */

/* Where the text ends that the editor shows up to `end`. */
static struct mw_place place_of(const struct mw_editor *editor, const LineInfo *line, const char *end) {
    int columns = mw_tty_columns();
    struct mw_place place = mw_screen_walk((struct mw_place){0}, columns, editor->prompt, strlen(editor->prompt));
    return mw_screen_walk(place, columns, line->buffer, (size_t)(end - line->buffer));
}

/* Takes the line off the screen; the cursor is where it began. */
static void hide(struct mw_editor *editor) {
    char order[32];
    const LineInfo *line = el_line(editor->editline);
    struct mw_place cursor = place_of(editor, line, line->cursor);
    int length = cursor.row > 0 ? snprintf(order, sizeof order, "\r\033[%dA\033[J", cursor.row)
                                : snprintf(order, sizeof order, "\r\033[J");
    mw_tty_write(order, (size_t)length);
}

static void show(struct mw_editor *editor) {
    el_set(editor->editline, EL_REFRESH);
}

/* Moves the cursor behind the line and says that it is given up. */
static void cross_out(struct mw_editor *editor) {
    char order[32];
    const LineInfo *line = el_line(editor->editline);
    struct mw_place cursor = place_of(editor, line, line->cursor), end = place_of(editor, line, line->lastchar);
    int length = end.row > cursor.row ? snprintf(order, sizeof order, "\033[%dB", end.row - cursor.row) : 0;
    length += snprintf(order + length, sizeof order - (size_t)length, "\033[%dG^C\r\n", end.column + 1);
    mw_tty_write(order, (size_t)length);
}

static void write_out(struct mw_editor *editor, const char *bytes, size_t length) {
    if (length > 0) {
        mw_tty_write(bytes, length);
        editor->at_margin = bytes[length - 1] == '\n';
    }
}

static void write_partial(struct mw_editor *editor) {
    write_out(editor, editor->partial, editor->partial_length);
    editor->partial_length = 0;
}

static void move_to_margin(struct mw_editor *editor) {
    if (!editor->at_margin) {
        write_out(editor, "\n", 1);
    }
}

/* Holds back what follows the last newline, as long as there is room. */
static size_t whole_lines(const struct mw_editor *editor, const char *bytes, size_t length) {
    const char *last = memrchr(bytes, '\n', length);
    size_t whole = last ? (size_t)(last - bytes) + 1 : 0;
    size_t rest = length - whole + (whole > 0 ? 0 : editor->partial_length);
    return rest <= sizeof editor->partial ? whole : length;
}

void mw_editor_print(struct mw_editor *editor, const char *bytes, size_t length) {
    if (!editor->editing) {
        write_out(editor, bytes, length);
        return;
    }
    size_t whole = whole_lines(editor, bytes, length);
    if (whole > 0) {
        hide(editor);
        write_partial(editor);
        write_out(editor, bytes, whole);
        move_to_margin(editor);
        show(editor);
    }
    memcpy(editor->partial + editor->partial_length, bytes + whole, length - whole);
    editor->partial_length += length - whole;
}

/* --- on the loop's stack --- */

static void unwatch(struct mw_editor *editor) {
    ev_io_stop(mw_loop_ev(editor->loop), &editor->typed);
    mw_signal_unwatch(editor->stopped);
    mw_signal_unwatch(editor->continued);
    mw_signal_unwatch(editor->resized);
    editor->stopped = editor->continued = editor->resized = NULL;
}

/* Goes on with libedit until it wants a key that is not there, or has something to tell. */
static void run(struct mw_editor *editor) {
    swapcontext(&editor->here, &editor->there); /* cppcheck-suppress swapcontextCalled */
    if (editor->event == MW_EDITOR_KEY) {
        return;
    }
    unwatch(editor);
    if (editor->event != MW_EDITOR_COMPLETE) {
        editor->editing = false;
        editor->at_margin = editor->event != MW_EDITOR_END;
        mw_tty_restore();
        move_to_margin(editor);
        write_partial(editor);
    }
    if (editor->on_event) {
        editor->on_event(editor->context, editor->event);
    }
}

static void on_typed(struct ev_loop *loop, ev_io *watcher, int events) {
    struct mw_editor *editor = watcher->data;
    (void)loop;
    (void)events;
    editor->readable = true;
    run(editor);
}

/* A job that is stopped leaves the terminal as it was. */
static void on_stopped(void *context, int number) {
    struct mw_editor *editor = context;
    (void)number;
    hide(editor);
    editor->hidden = true;
    el_set(editor->editline, EL_PREP_TERM, 0);
    mw_tty_restore();
    raise(SIGSTOP);
}

static void on_continued(void *context, int number) {
    struct mw_editor *editor = context;
    (void)number;
    if (!editor->hidden) {
        hide(editor);
    }
    editor->hidden = false;
    el_set(editor->editline, EL_PREP_TERM, 0);
    el_set(editor->editline, EL_PREP_TERM, 1);
    el_resize(editor->editline);
    show(editor);
}

static void on_resized(void *context, int number) {
    struct mw_editor *editor = context;
    (void)number;
    el_resize(editor->editline);
}

/* Without memory for it a signal does what it does by default. */
static void watch(struct mw_editor *editor) {
    if (ev_is_active(&editor->typed)) {
        return;
    }
    ev_io_start(mw_loop_ev(editor->loop), &editor->typed);
    editor->stopped = mw_signal_watch(editor->loop, SIGTSTP, on_stopped, editor);
    editor->continued = mw_signal_watch(editor->loop, SIGCONT, on_continued, editor);
    editor->resized = mw_signal_watch(editor->loop, SIGWINCH, on_resized, editor);
}

void mw_editor_read(struct mw_editor *editor, const char *prompt,
                    void (*on_event)(void *context, enum mw_editor_event event), void *context) {
    char *copy = strdup(prompt);
    if (copy && editor->event != MW_EDITOR_COMPLETE) {
        free(editor->prompt);
        editor->prompt = copy;
        move_to_margin(editor);
    } else {
        free(copy);
    }
    editor->on_event = on_event;
    editor->context = context;
    editor->editing = true;
    editor->readable = editor->broken = false;
    watch(editor);
    run(editor);
}

const char *mw_editor_text(const struct mw_editor *editor, size_t *length) {
    if (editor->event == MW_EDITOR_COMPLETE) {
        const LineInfo *line = el_line(editor->editline);
        *length = (size_t)(line->cursor - line->buffer);
        return line->buffer;
    }
    *length = editor->length;
    return editor->text ? editor->text : "";
}

void mw_editor_insert(struct mw_editor *editor, const char *text) {
    el_insertstr(editor->editline, text);
}

void mw_editor_interrupt(struct mw_editor *editor) {
    if (editor->editing) {
        cross_out(editor);
        editor->broken = true;
        run(editor);
    }
}

void mw_editor_remember(struct mw_editor *editor, const char *text) {
    mw_history_add(editor->history, text);
}

/* --- its life --- */

static const char *const bindings[][2] = {
    {"^I", "moonwire-complete"},      {"^R", "em-inc-search-prev"}, {"^W", "ed-delete-prev-word"},
    {"\\e[3~", "ed-delete-next-char"}, {"\\e[1~", "ed-move-to-beg"}, {"\\e[4~", "ed-move-to-end"},
    {"\\e[1;5C", "em-next-word"},      {"\\e[1;5D", "ed-prev-word"},
    {"\\ex", "ed-unassigned"}, /* asks for commands of libedit */
};

static void set_up(struct mw_editor *editor) {
    EditLine *editline = editor->editline;
    el_set(editline, EL_CLIENTDATA, editor);
    el_set(editline, EL_PROMPT, prompt_of);
    el_set(editline, EL_GETCFN, get_key);
    el_set(editline, EL_EDITOR, "emacs");
    /* Wide, for el_set loses the memory of the two strings. */
    el_wset(editline, EL_ADDFN, L"moonwire-complete", L"Complete what stands before the cursor", complete);
    for (size_t i = 0; i < sizeof bindings / sizeof *bindings; i++) {
        el_set(editline, EL_BIND, bindings[i][0], bindings[i][1], NULL);
    }
    mw_history_attach(editor->history, editline);
    el_source(editline, NULL);
}

/* Characters are those of the user's locale, or UTF-8. */
static void set_charset(void) {
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
}

static void free_parts(struct mw_editor *editor) {
    if (editor->editline) {
        el_end(editor->editline);
    }
    if (editor->history) {
        mw_history_free(editor->history);
    }
    free(editor->stack);
    free(editor->prompt);
    free(editor->text);
    free(editor);
}

static bool allocate_parts(struct mw_editor *editor, const char *path) {
    set_charset();
    editor->stack = malloc(STACK_SIZE);
    editor->prompt = strdup("");
    editor->history = mw_history_new(path);
    editor->editline = el_init("moonwire", stdin, stdout, stderr);
    return editor->stack && editor->prompt && editor->history && editor->editline;
}

static void prepare_stack(struct mw_editor *editor) {
    ucontext_t *there = &editor->there;
    getcontext(there); /* cppcheck-suppress getcontextCalled */
    there->uc_stack.ss_sp = editor->stack;
    there->uc_stack.ss_size = STACK_SIZE;
    there->uc_link = NULL;
    makecontext(there, edit, 0); /* cppcheck-suppress makecontextCalled */
    entering = editor;
}

struct mw_editor *mw_editor_new(struct mw_loop *loop, const char *path) {
    struct mw_editor *editor = calloc(1, sizeof *editor);
    if (!editor) {
        return NULL;
    }
    editor->loop = loop;
    editor->event = MW_EDITOR_END;
    editor->at_margin = true;
    mw_tty_keep();
    if (!allocate_parts(editor, path)) {
        mw_tty_release();
        free_parts(editor);
        return NULL;
    }
    set_up(editor);
    ev_io_init(&editor->typed, on_typed, STDIN_FILENO, EV_READ);
    editor->typed.data = editor;
    prepare_stack(editor);
    return editor;
}

/* libedit returns from its call first: what it holds is given back. */
void mw_editor_free(struct mw_editor *editor) {
    editor->on_event = NULL;
    if (editor->editing) {
        hide(editor);
        editor->broken = true;
        run(editor);
    }
    free_parts(editor);
    mw_tty_release();
}
