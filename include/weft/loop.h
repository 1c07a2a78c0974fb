/* weft/loop.h: event loops as other threads see them. */
#ifndef WEFT_LOOP_H
#define WEFT_LOOP_H

#include <weft/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The loop that runs the calling task or callback; NULL where none does (asyncio raises there).
 * Thread: any. Suspends: no. Owns: borrowed until the runtime ends; weft_loop_ref keeps it longer.
 * Errors: none. */
weft_loop *weft_get_running_loop(void);

/* Keeps the handle valid after its runtime has ended (calls then return -ESHUTDOWN), and gives it up.
 * Thread: any. Suspends: no. Owns: one reference. NULL is fine. Errors: none. */
weft_loop *weft_loop_ref(weft_loop *loop);
void weft_loop_release(weft_loop *loop);

/* Queues `fn(arg)` on `loop`, and wakes the loop. One thread's callbacks run in the order in which they
 * were queued, each exactly once, on the loop's own thread, outside any task.
 * Thread: any. Suspends: no. Owns: `arg` stays the caller's.
 * Errors: -EINVAL (NULL), -ESHUTDOWN (the loop has ended or is ending), -EPERM (a forked child: the
 * loop is the parent's), -ENOMEM. */
int weft_loop_call_soon_threadsafe(weft_loop *loop, void (*fn)(void *arg), void *arg);

/* Schedules `coroutine` in the runtime of `loop`; the task can be awaited, also by blocking in a plain
 * thread with weft_await or weft_wait_blocking, and cancelled from anywhere.
 * Thread: any. Suspends: no. Owns: consumes the coroutine; the caller holds one reference on the task.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, not a coroutine), -ESHUTDOWN, -EPERM (a
 * forked child). */
weft_future *weft_run_coroutine_threadsafe(weft_future *coroutine, weft_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
