/* weft/base.h: the words that every other header uses.
 *
 * A result is one intptr_t. Values in [-4095, -1] are errors, -errno; everything else (every non-negative
 * number and every user-space pointer) is a result. -ECANCELED is asyncio's CancelledError, -ETIMEDOUT
 * its TimeoutError.
 *
 * A duration is an int64_t in nanoseconds; a point in time is nanoseconds on CLOCK_MONOTONIC.
 *
 * In the comments of these headers
 *   Thread: any       the call is legal from every thread, inside or outside a loop
 *   Thread: task      only from code that a loop runs as a task
 *   Thread: loop      from a task or a callback of a loop
 *   Suspends: yes     the calling task may give up its worker, and resume on another one; errno and
 *                     thread-locals that were read before the call may then be another thread's */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Durations. WEFT_FOREVER is "no limit". */
#define WEFT_NS(n) ((int64_t)(n))
#define WEFT_US(n) ((int64_t)(n) * 1000)
#define WEFT_MS(n) ((int64_t)(n) * 1000000)
#define WEFT_SEC(n) ((int64_t)(n) * 1000000000)
#define WEFT_FOREVER INT64_MAX

/* Everything that can be awaited. A task is a future whose value is its function's return value, and a
 * coroutine is a task that has not been scheduled: one opaque type for all three. */
typedef struct weft_future weft_future;
typedef struct weft_future weft_task;

/* One worker's event loop. */
typedef struct weft_loop weft_loop;

/* What a coroutine is made of: runs as a task, returns a result or -errno. */
typedef intptr_t weft_fn(void *arg);

/* Whether `result` is an error, that is, in [-4095, -1].
 * Thread: any. Suspends: no. Errors: none. */
static inline bool weft_is_error(intptr_t result) { return result < 0 && result >= -4095; }

/* The name of the error `result` ("ECANCELED", …), "OK" for a result that is none, "EUNKNOWN" for an
 * error without a name.
 * Thread: any. Suspends: no. Owns: a constant string. Errors: none. */
const char *weft_strerror(intptr_t result);

/* The present on CLOCK_MONOTONIC, in nanoseconds (asyncio's loop.time()).
 * Thread: any. Suspends: no. Errors: none. */
int64_t weft_time(void);

/* The address of the calling thread's errno, computed anew at every call: compilers cache errno's own
 * address across an await, after which the task may be on another thread.
 * Thread: any. Suspends: no. Errors: none. */
int *weft_errno_location(void);

#ifndef WEFT_KEEP_ERRNO
#undef errno
#define errno (*weft_errno_location())
#endif

#ifdef __cplusplus
}
#endif
#endif
