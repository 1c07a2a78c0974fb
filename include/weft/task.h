/* weft/task.h: coroutines and tasks.
 *
 * A coroutine holds a function and its argument; nothing runs. Scheduling it makes it a task, which runs
 * on its own stack on any worker of the runtime, one worker at a time, and moves only at an await.
 *
 *     COROUTINE -- weft_create_task --> READY --> RUNNING <--> SUSPENDED --> DONE */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a task differs from the default. Zero is the default of every field. */
typedef struct weft_task_options {
    const char *name;      /* borrowed for the task's life; NULL: the coroutine's own */
    bool pinned;           /* stays on the loop that created it, or on `loop` */
    weft_loop *loop;       /* pinned to this loop of the same runtime; borrowed */
    size_t stack_bytes;    /* address space of the stack, guard included, rounded up to 32 KiB x 2^n; 0: the
                              runtime's */
} weft_task_options;

/* Makes a coroutine of `fn` and `arg`. Needs no loop.
 * Thread: any. Suspends: no. Owns: the caller, until the first call that takes it (weft_await,
 * weft_create_task, weft_run …), which consumes it even when it fails.
 * Errors: never NULL; a completed future that holds -EINVAL (no function) or -ENOMEM. */
weft_future *weft_coroutine(weft_fn *fn, void *arg);

/* weft_coroutine with a name (borrowed for ever) and a copy of `args`: fn gets the copy's address, aligned
 * to 16 bytes. Up to 64 bytes live in the task record, more in an allocation of their own.
 * As weft_coroutine otherwise. */
weft_future *weft_coroutine_copy(const char *name, weft_fn *fn, const void *args, size_t args_bytes);

/* Schedules `coroutine` on the running loop, and returns it as a task. It takes its first step later on a
 * strict-order loop, at any time from now on in a runtime with several workers.
 * Thread: loop. Suspends: no. Owns: consumes the coroutine; the caller holds one reference on the task.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, not a coroutine, scheduled already),
 * -EPERM (no running loop), -ENOMEM. */
weft_task *weft_create_task(weft_future *coroutine);
weft_task *weft_create_task_with(weft_task_options options, weft_future *coroutine);

/* weft_create_task(weft_coroutine(fn, arg)).
 * Thread: loop. Suspends: no. Owns: as weft_create_task. Errors: as weft_create_task. */
weft_task *weft_spawn(weft_fn *fn, void *arg);

/* Spawns a task that nobody will join.
 * Thread: loop. Suspends: no. Owns: the runtime. Errors: -EINVAL, -EPERM (no running loop), -ENOMEM. */
int weft_go(weft_fn *fn, void *arg);

/* A task or future as it is; a coroutine as a task (asyncio.ensure_future).
 * Thread: any for a future, loop for a coroutine. Suspends: no. Owns: passes the caller's reference on.
 * Errors: as weft_create_task. */
weft_future *weft_ensure_future(weft_future *awaitable);

/* Discards a coroutine that never ran, without the warning that weft_release gives. NULL is fine.
 * Thread: any. Suspends: no. Owns: consumes the coroutine. Errors: -EINVAL (not a coroutine: nothing
 * happens). */
int weft_coroutine_close(weft_future *coroutine);

/* Whether `awaitable` is a coroutine that has not been driven.
 * Thread: any. Suspends: no. Errors: none. */
bool weft_iscoroutine(const weft_future *awaitable);

/* Requests cancellation (asyncio's edge-triggered model): the await at which a task is suspended, or its
 * next one, returns -ECANCELED once. A pending future ends cancelled within the call. A task that has not
 * started ends cancelled without running. Nothing of a task changes synchronously.
 * Thread: any. Suspends: no. Owns: borrows the future. Errors: none; true: the request was accepted and
 * will be observed, false: already done (or NULL, or a coroutine). */
bool weft_cancel(weft_future *future);

/* weft_cancel with a message for whoever observes the request. It travels with it: to what a task awaits, and
 * from what was cancelled to the task that awaited it.
 * Thread: any. Suspends: no. Owns: borrows the message for as long as either future lives; a constant string
 * is best. Errors: as weft_cancel. */
bool weft_cancel_with(weft_future *future, const char *message);

/* The message of the last cancel request that reached `future`; NULL: it had none, or there was none, or the
 * future has ended otherwise than with -ECANCELED.
 * Thread: any. Suspends: no. Owns: borrowed from whoever cancelled. Errors: none. */
const char *weft_cancel_message(const weft_future *future);

/* The number of cancellation requests that `task` has been sent, less those withdrawn (task.cancelling()).
 * Thread: any. Suspends: no. Errors: -EINVAL (not a task). */
int weft_cancelling(const weft_task *task);

/* Takes one request back (task.uncancel()); at zero, one that was not delivered yet is dropped too.
 * Returns what remains.
 * Thread: any. Suspends: no. Errors: -EINVAL (not a task). */
int weft_uncancel(weft_task *task);

/* Lets every other ready task of this loop run once; no cancellation point (weft_sleep(0) is one).
 * Thread: any; on a plain thread it does nothing. Suspends: yes. Errors: -EPERM (a loop's callback). */
int weft_yield(void);

/* The running task, or NULL in a callback and on a plain thread. It belongs to the executing task, not to
 * the thread.
 * Thread: any. Suspends: no. Owns: borrowed. Errors: none. */
weft_task *weft_current_task(void);

/* The task's name: as given, else the coroutine function's, else "task".
 * Thread: any. Suspends: no. Owns: borrowed, lives as long as what was given. Errors: none. */
const char *weft_task_name(const weft_task *task);

/* All unfinished tasks of `loop`'s runtime (NULL: the running loop's), the current one included, as an array, each
 * with a reference, in no particular order: a task that lived during the whole call is in it, once. Returns their
 * number.
 * Thread: any. Suspends: no. Owns: the caller gives the array to weft_all_tasks_release.
 * Errors: -EINVAL (NULL tasks), -EPERM (no loop), -ESHUTDOWN (closed), -ENOMEM. */
int weft_all_tasks(weft_loop *loop, weft_task ***tasks);
void weft_all_tasks_release(weft_task **tasks, int count);

#ifdef __cplusplus
}
#endif
#endif
