#include "base/rescue.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static const int faults[] = {SIGSEGV, SIGBUS};
enum { FAULTS = sizeof faults / sizeof *faults };

static _Thread_local sigjmp_buf *volatile way_out;

/* A fault of another thread is not ours: it comes again, and ends the process. */
static void on_fault(int number) {
    if (way_out) {
        siglongjmp(*way_out, 1);
    }
    signal(number, SIG_DFL);
}

bool mw_rescue(void (*fn)(void *context), void *context) {
    struct sigaction ours = {.sa_handler = on_fault}, before[FAULTS];
    sigjmp_buf here;
    volatile bool ended = false;
    sigemptyset(&ours.sa_mask);
    for (int i = 0; i < FAULTS; i++) {
        sigaction(faults[i], &ours, &before[i]);
    }
    if (sigsetjmp(here, 1) == 0) {
        way_out = &here;
        fn(context);
        ended = true;
    }
    way_out = NULL;
    for (int i = 0; i < FAULTS; i++) {
        sigaction(faults[i], &before[i], NULL);
    }
    return ended;
}
