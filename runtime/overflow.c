/* A stack overflow hits the guard below the stack: say so, with the task's name, before the process dies
 * as it would have. The handler runs on a stack of its own, calls only what is async-signal-safe, and then
 * restores the former disposition and returns, so that the fault happens again (a core dump or a sanitizer
 * report shows the place). */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "worker.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static struct sigaction former;
static _Thread_local void *signal_stack;
static _Thread_local unsigned watches; /* a pool thread's job may run a loop */

static void say(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    struct weft__task *task = weft__running_task();
    (void)context;
    if (task && weft__stack_overflowed(task->stack->pool, task->stack, info->si_addr)) {
        say("weft: stack overflow in task '");
        say(weft_task_name(&task->future));
        say("': it needs more than its stack_bytes\n");
    }
    sigaction(signal, &former, NULL);
}

void weft__overflow_watch(void) {
    static _Atomic bool installed;
    bool not_yet = false;
    if (cas_acq_rel(&installed, &not_yet, true)) {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, &action, &former);
    }
    if (watches++ > 0) return;
    stack_t now;
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return; /* the user has one */
    size_t bytes = 2 * getauxval(AT_MINSIGSTKSZ) + 16 * 1024; /* an AVX-512 frame alone takes 3.7 KB and more */
    void *memory = malloc(bytes);
    if (!memory) return; /* overflows then die without the message */
    stack_t mine = {.ss_sp = memory, .ss_size = bytes};
    if (sigaltstack(&mine, NULL) == 0) signal_stack = memory;
    else free(memory);
}

void weft__overflow_unwatch(void) {
    if (--watches > 0 || !signal_stack) return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    free(signal_stack);
    signal_stack = NULL;
}
