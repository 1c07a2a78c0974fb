/* weft/future.h: a result that may not exist yet (asyncio.Future).
 *
 * Every call here is legal from every thread: a future may be completed by a plain thread, awaited on
 * several loops, and outlive the runtime in which it was made. */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty future.
 * Thread: any. Suspends: no. Owns: the caller holds one reference, given up with weft_release or
 * weft_join. Errors: never NULL; without memory, a completed future that holds -ENOMEM. */
weft_future *weft_future_new(void);

/* Completes `future` with `value`, and serves everybody who waits for it.
 * Thread: any. Suspends: no. Owns: borrows the future.
 * Errors: -EINVAL (NULL, a task, coroutine, gather or shield, or a value that is an error), -EALREADY (done
 * already; nothing changes). */
int weft_future_set_result(weft_future *future, intptr_t value);

/* Completes `future` with the error `error`, in [-4095, -1]. -ECANCELED counts as an error here, not as
 * a cancellation: weft_cancelled stays false. As weft_future_set_result otherwise. */
int weft_future_set_exception(weft_future *future, int error);

/* Whether `future` has completed: with a result, an error or by cancellation. NULL is not done.
 * Thread: any. Suspends: no. Errors: none. */
bool weft_done(const weft_future *future);

/* Whether `future` has ended by cancellation.
 * Thread: any. Suspends: no. Errors: none. */
bool weft_cancelled(const weft_future *future);

/* The result (or the error, or -ECANCELED) of a completed future.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EINPROGRESS (not done yet), and the future's own. */
intptr_t weft_result(const weft_future *future);

/* The error of a completed future as -errno, 0 if it holds a result.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EINPROGRESS (not done yet), -ECANCELED. */
intptr_t weft_exception(const weft_future *future);

/* Takes another reference on `future`, and returns it. NULL is fine.
 * Thread: any. Suspends: no. Owns: the caller, one reference more. Errors: none. */
weft_future *weft_ref(weft_future *future);

/* Gives up one reference. A task that is still running goes on alone. A coroutine that nothing ever drove
 * is discarded with one warning on stderr ("was never awaited"). NULL is fine.
 * Thread: any. Suspends: no. Owns: takes the caller's reference. Errors: none. */
void weft_release(weft_future *future);

/* Waits until `future` is done and returns its result. On a task: suspends it; a coroutine is run as a
 * plain call, and an unstarted task may be run in place. Outside a task: blocks the calling thread.
 * If the awaiting task is cancelled meanwhile, the request goes to what is awaited, and the call returns
 * when that has ended.
 * Thread: any. Suspends: yes. Owns: borrows a future or task; consumes a coroutine, gather, shield or
 * weft_to_thread.
 * Errors: the future's own; -EINVAL (NULL, a coroutine driven already), -EDEADLK (a task that awaits
 * itself; a loop's callback), -EPERM (a coroutine outside a task), -ECANCELED (a request that was pending
 * when the call began to wait). */
intptr_t weft_await(weft_future *future);

/* weft_await, then weft_release: for whoever needs the result once.
 * As weft_await; Owns: takes the caller's reference whatever happens. */
intptr_t weft_join(weft_future *future);

/* weft_await for a plain thread, with a limit: gives up after `timeout_ns` without cancelling anything.
 * Thread: any but a loop's. Suspends: no, it blocks. Owns: borrows the future.
 * Errors: the future's own; -ETIMEDOUT, -EINVAL (NULL, a coroutine), -EDEADLK (called on a loop). */
intptr_t weft_wait_blocking(weft_future *future, int64_t timeout_ns);

/* Calls fn(future, arg) once when `future` is done, as a callback of the running loop, or on a plain thread of the
 * future's own; in registration order, in a copy of the current context. On one that is done: queued at once.
 * Thread: any. Suspends: no. Owns: `arg` stays the caller's; the future is borrowed during the call of fn.
 * Errors: -EINVAL (NULL, a coroutine), -EPERM (no running loop, and the future has none), -ENOMEM. If the loop is
 * closed by then, nobody is called. */
int weft_add_done_callback(weft_future *future, void (*fn)(weft_future *future, void *arg), void *arg);

/* Removes every registration of fn and arg that has not been queued; returns how many: these are not called.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL). */
int weft_remove_done_callback(weft_future *future, void (*fn)(weft_future *future, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
