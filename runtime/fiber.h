/* A context that can be switched to: registers on a stack. The switch is boost.context's fcontext; this
 * file alone knows it, and tells ASan, TSan and Valgrind.
 *
 * A fiber runs its entry function once; the function never returns, it switches away for the last time.
 * The scheduler's own context, on the thread's stack, is a fiber without an entry. */
#ifndef WEFT_RUNTIME_FIBER_H
#define WEFT_RUNTIME_FIBER_H

#include <stddef.h>

#include "sanitize.h"

#if defined(WEFT__ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

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

/* boost/context/detail/fcontext.hpp, which is C++. */
struct weft__transfer {
    void *context, *data;
};
extern struct weft__transfer jump_fcontext(void *to, void *data);

/* What a switch carries to the other side; lives on the stack that is being left. */
struct weft__crossing {
    struct weft__fiber *from, *to;
};

static inline struct weft__fiber *weft__fiber_arrive(struct weft__transfer transfer) {
    struct weft__crossing crossing = *(struct weft__crossing *)transfer.data;
    crossing.from->context = transfer.context;
#ifdef WEFT__ASAN
    __sanitizer_finish_switch_fiber(crossing.to->asan_fake_stack, NULL, NULL);
#endif
    return crossing.to;
}

static inline void weft__fiber_jump(struct weft__fiber *from, struct weft__fiber *to) {
#ifdef WEFT__ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake_stack, to->low, (size_t)(to->high - to->low));
#endif
    struct weft__crossing crossing = {from, to};
    weft__fiber_arrive(jump_fcontext(to->context, &crossing));
}

/* Saves the running context in `from` and continues in `to`. Returns when somebody switches back.
 * Callee-saved registers, the FP control words and nothing else survive.
 *
 * Inline: the CPU predicts where a `ret` goes by the calls that it saw last, which after a switch were another
 * fiber's. So each function between a switch and the user's code costs a misprediction, 5 ns (all of them
 * together: yield 62 ns, inline 25). Not under TSan: see fiber.c. */
#if defined(WEFT__TSAN) || defined(WEFT__TSAN_FIBERS)
void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to);
#else
static inline void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to) { weft__fiber_jump(from, to); }
#endif

#endif
