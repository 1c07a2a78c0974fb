/* weft/parallel.h: fork-join of CPU work without an allocation.
 *
 *     static intptr_t fib(void *arg) {
 *         intptr_t n = (intptr_t)arg, b;
 *         if (n < 2) return n;
 *         weft_parallel call;
 *         weft_parallel_start(&call, fib, (void *)(n - 1));
 *         b = fib((void *)(n - 2));
 *         return weft_parallel_join(&call) + b;
 *     }
 *
 * A started call waits in the worker's deque, where an idle worker may steal it; join runs it in place if
 * nobody has. Join in the opposite order of start. The work-stealing discipline is Cilk's. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call in flight; lives on the caller's stack from start to join. Its content is weft's. */
typedef struct weft_parallel {
    void *opaque[6];
} weft_parallel;

/* Offers `fn(arg)` to the other workers. Outside a task, or without memory for the queue, it simply calls
 * fn(arg) now.
 * Thread: any. Suspends: no. Owns: the record must stay where it is until joined.
 * Errors: -EINVAL (NULL). */
int weft_parallel_start(weft_parallel *call, weft_fn *fn, void *arg);

/* The result of the call: runs it in place, or waits for the worker that took it. No cancellation point.
 * Thread: the task that started it. Suspends: yes. Errors: the call's own; -EINVAL (NULL), -EPERM (inside a
 * blocking region, and it has not finished: it is to be joined outside). */
intptr_t weft_parallel_join(weft_parallel *call);

#ifdef __cplusplus
}
#endif
#endif
