/* Debug mode's report of a step that is slow, while it still runs: what it is, where it was made, and its stack.
 *
 *     watchman                                        the worker's signal handler
 *     D1 wanted := ASKED, SIGURG                      D2 ASKED -> TAKING, and only then: fills in the stack
 *     D4 READY: prints                                D3 wanted := READY, rings the alarm
 *     or after a while: ASKED -> NOBODY, prints without
 *
 * A worker that blocks in a system call is named, but sent no signal, which might cut the call short. What is read
 * of the step is published by the worker between two stores of began_ns: two reads of that which agree enclose it.
 * Its name is the program's string; it stays valid after the task. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

#include "assert.h"
#include "worker.h"

#define STACK_AFTER_NS 50000000 /* then it is printed without */

enum { NOBODY, ASKED, TAKING, READY };

void weft__watchdog_begin(struct weft__watchdog *dog, const char *kind, const char *name, const void *site,
                          int64_t now_ns) {
    store_relaxed(&dog->kind, kind);
    store_relaxed(&dog->name, name);
    store_relaxed(&dog->site, site);
    store_release(&dog->began_ns, now_ns); /* pairs with look */
}

void weft__watchdog_end(struct weft__watchdog *dog) { exchange_seq_cst(&dog->began_ns, 0); /* pairs with look */ }

/* ---- the handler ---- */

static void *interrupted_at(void *context) {
#if defined(__x86_64__)
    return (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)((ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

/* backtrace has been called before, so it loads nothing; a fiber's first frame ends it. */
void weft__watchdog_take_stack(struct weft__watchdog *dog, void *context) {
    uint32_t asked = ASKED;
    if (!cas_acq_rel(&dog->wanted, &asked, TAKING)) return; /* D2; pairs with D1 */
    dog->count = backtrace(dog->frames, WEFT__WATCHDOG_FRAMES);
    dog->at = interrupted_at(context);
    store_release(&dog->wanted, READY); /* D3; pairs with D4 */
}

/* ---- the watchman ---- */

static void print_frame(FILE *out, int number, void *address) {
    Dl_info info = {0};
    if (!dladdr(address, &info) || !info.dli_fname) {
        fprintf(out, "weft:   #%d %p\n", number, address);
        return;
    }
    fprintf(out, "weft:   #%d %s%s%s+0x%zx\n", number, info.dli_sname ? info.dli_sname : "", info.dli_sname ? " at " : "",
            info.dli_fname, (size_t)((char *)address - (char *)info.dli_fbase));
}

/* The handler's own frames come before the one that was interrupted. */
static void print_stack(FILE *out, struct weft__watchdog *dog) {
    int first = 0;
    while (first < dog->count && dog->frames[first] != dog->at) first++;
    if (first == dog->count) first = 0;
    for (int i = first; i < dog->count; i++) print_frame(out, i - first, dog->frames[i]);
}

static void report(struct weft__watchdog *dog, struct weft__watchdog_step step, int64_t now_ns, bool runs,
                   bool has_stack) {
    char site[256];
    flockfile(stderr);
    fprintf(stderr, "weft: %s '%s'%s has been %s for %.3f seconds, and still is%s\n", step.kind, step.name,
            weft__debug_site_text(step.site, site, sizeof site), runs ? "running" : "blocked in a system call",
            (double)(now_ns - step.began_ns) / 1e9, has_stack ? ":" : "");
    if (has_stack) print_stack(stderr, dog);
    funlockfile(stderr);
}

/* The step that runs; false if there is none. */
static bool read_step(struct weft__watchdog *dog, struct weft__watchdog_step *step) {
    step->began_ns = load_seq_cst(&dog->began_ns); /* pairs with begin and end */
    step->kind = load_acquire(&dog->kind);
    step->name = load_acquire(&dog->name);
    step->site = load_acquire(&dog->site);
    return step->began_ns != 0 && load_seq_cst(&dog->began_ns) == step->began_ns;
}

bool weft__watchdog_look(struct weft__worker *worker, int64_t now_ns, bool runs, bool may_signal) {
    struct weft__watchdog *dog = &worker->watchdog;
    struct weft__watchdog_step step;
    uint32_t asked = ASKED;
    if (!read_step(dog, &step) || step.began_ns == dog->reported_ns) return false;
    if (now_ns - step.began_ns < load_relaxed(&worker->loop->slow_ns)) return false;
    if (dog->asked_ns != step.began_ns && runs && may_signal) {
        void *prime[1];
        backtrace(prime, 1);
        dog->asked_ns = step.began_ns;
        dog->give_up_ns = now_ns + STACK_AFTER_NS;
        store_release(&dog->wanted, ASKED); /* D1; pairs with D2 */
        return true;
    }
    bool pending = dog->asked_ns == step.began_ns;
    bool ready = pending && load_acquire(&dog->wanted) == READY; /* D4; pairs with D3 */
    if (pending && !ready) {
        if (now_ns < dog->give_up_ns) return false;
        if (!cas_acq_rel(&dog->wanted, &asked, NOBODY)) return false; /* it is being taken */
    }
    report(dog, step, now_ns, runs || ready, ready);
    dog->reported_ns = step.began_ns;
    return false;
}
