/* A context that can be switched to: registers on a stack. The switch is boost.context's fcontext; this
 * file alone knows it, and tells ASan, TSan and Valgrind.
 *
 * A fiber runs its entry function once; the function never returns, it switches away for the last time.
 * The scheduler's own context, on the thread's stack, is a fiber without an entry. */
#ifndef WEFT_RUNTIME_FIBER_H
#define WEFT_RUNTIME_FIBER_H

#include <stddef.h>

struct weft__fiber {
    void *context;        /* the saved registers; valid while the fiber does not run */
    char *low, *high;     /* the stack, without the guard; low == NULL for a thread's own */
    void *asan_fake_stack;
    void *tsan_fiber;
    unsigned valgrind_stack;
    void (*entry)(struct weft__fiber *fiber);
};

/* Makes `fiber` the calling thread's own context. */
void weft__fiber_adopt_thread(struct weft__fiber *fiber);

/* Prepares `fiber` to run entry(fiber) on the stack [low, high). `high` need not be aligned. */
void weft__fiber_init(struct weft__fiber *fiber, char *low, char *high,
                      void (*entry)(struct weft__fiber *fiber));

/* Undoes init, on a fiber that does not run. */
void weft__fiber_fini(struct weft__fiber *fiber);

/* Saves the running context in `from` and continues in `to`. Returns when somebody switches back.
 * Callee-saved registers, the FP control words and nothing else survive. */
void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to);

#endif
