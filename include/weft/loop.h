/* weft/loop.h: event loops: one's own, and those of a weft_run, from inside and from other threads.
 *
 * A loop made by weft_new_event_loop keeps asyncio's order to the letter, and runs only while
 * weft_loop_run_until_complete or weft_loop_run_forever does, on the thread that calls them:
 *
 *     weft_loop *loop = weft_new_event_loop();
 *     intptr_t result = weft_loop_run_until_complete(loop, async_main());
 *     weft_loop_close(loop);
 *     weft_loop_release(loop);
 *
 * A handle stays valid as long as it is referenced; calls on a closed loop return -ESHUTDOWN. */
#ifndef WEFT_LOOP_H
#define WEFT_LOOP_H

#include <weft/context.h>
#include <weft/future.h>
#include <weft/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- which loop ---- */

/* The loop that runs the calling task or callback; NULL where none does (asyncio raises there).
 * Thread: any. Suspends: no. Owns: borrowed until the loop is closed; weft_loop_ref keeps it longer.
 * Errors: none. */
weft_loop *weft_get_running_loop(void);

/* The running loop, else the one that weft_set_event_loop chose for this thread, else NULL: none is made.
 * Thread: any. Suspends: no. Owns: borrowed. Errors: none. */
weft_loop *weft_get_event_loop(void);

/* Chooses `loop` for weft_get_event_loop on the calling thread; NULL: none.
 * Thread: any. Suspends: no. Owns: borrows the loop until another one is chosen. Errors: none. */
void weft_set_event_loop(weft_loop *loop);

/* ---- a loop of one's own ---- */

/* Makes a loop, and does not install it. Of the options `workers` must be 0 or 1; `fifo` is implied.
 * Thread: any. Suspends: no. Owns: the caller closes and releases it. Errors: NULL without memory or for options
 * out of range. */
weft_loop *weft_new_event_loop(void);
weft_loop *weft_new_event_loop_with(weft_options options);

/* Keeps the handle valid, and gives it up. Releasing the last reference of one's own loop that is not closed says
 * so on stderr, and closes it.
 * Thread: any. Suspends: no. Owns: one reference. NULL is fine. Errors: none. */
weft_loop *weft_loop_ref(weft_loop *loop);
void weft_loop_release(weft_loop *loop);

/* Runs the loop on the calling thread until `awaitable` is done, and returns its result. A coroutine becomes a
 * task.
 * Thread: any without a running loop. Suspends: no, it blocks. Owns: consumes a coroutine, even when it fails;
 * borrows a future or task.
 * Errors: the future's own; -EINVAL (NULL, not a loop of one's own, a coroutine driven already), -ESHUTDOWN
 * (closed), -EBUSY (it runs already), -EDEADLK (another loop runs on this thread), -EINPROGRESS (stopped before
 * the future was done), -EPERM (a forked child), -ENOMEM, and those of ring and epoll set-up. */
intptr_t weft_loop_run_until_complete(weft_loop *loop, weft_future *awaitable);

/* Runs the loop until weft_loop_stop. If that was called before, what is queued runs once, without waiting.
 * As weft_loop_run_until_complete; Errors: 0 when stopped. */
int weft_loop_run_forever(weft_loop *loop);

/* Asks the loop to return after the current batch; what that queues runs in the next run.
 * Thread: any; wakes the loop. Suspends: no. Errors: -EINVAL (NULL, a loop of weft_run), -ESHUTDOWN, -EPERM. */
int weft_loop_stop(weft_loop *loop);

/* Closes the loop. Tasks that are not done are reported to the exception handler, cancelled and run to their end,
 * with the loop on this thread; queued callbacks and timers are discarded. Again: nothing happens.
 * Thread: any. Suspends: no. Owns: the handle stays the caller's.
 * Errors: -EINVAL (NULL, a loop of weft_run), -EBUSY (it runs), -EDEADLK (tasks are left, and another loop runs on
 * this thread), and those of set-up if tasks are left. */
int weft_loop_close(weft_loop *loop);

/* Whether somebody runs the loop; whether it has been closed, or its weft_run has ended. NULL: false; true.
 * Thread: any. Suspends: no. Errors: none. */
bool weft_loop_is_running(const weft_loop *loop);
bool weft_loop_is_closed(const weft_loop *loop);

/* The loop's clock: weft_time().
 * Thread: any. Suspends: no. Errors: none. */
int64_t weft_loop_time(const weft_loop *loop);

/* An empty future, or a task of `coroutine`, that belongs to `loop`, which need not run yet.
 * Thread: any. Suspends: no. Owns: as weft_future_new and weft_create_task.
 * Errors: never NULL; a completed future that holds -EINVAL, -ESHUTDOWN, -EPERM or -ENOMEM. */
weft_future *weft_loop_create_future(weft_loop *loop);
weft_task *weft_loop_create_task(weft_loop *loop, weft_future *coroutine);

/* The loop of a future: the one that ran when it was made, or that it was made for; of a task: the one to which it
 * is pinned, else the first of its runtime. NULL if there was none or it is closed.
 * Thread: any. Suspends: no. Owns: borrowed. Errors: none. */
weft_loop *weft_future_get_loop(const weft_future *future);

/* ---- callbacks ---- */

/* A scheduled callback. A value, to be copied and forgotten freely: nothing is owned. */
typedef struct weft_handle {
    void *callback;     /* weft's */
    uint64_t serial;    /* weft's */
    int64_t when_ns;    /* when it is due, on weft_time(); 0 for call_soon */
    int error;          /* 0, or why nothing was scheduled */
} weft_handle;

/* Queues fn(arg): exactly once, in the order of registration, in the next turn of the loop, on the loop's thread,
 * outside any task, in a copy of the current context; or in `context`, if not NULL, of which a reference is taken.
 * Thread: those of the loop's runtime, and any while it does not run; others: see _threadsafe. Suspends: no.
 * Owns: `arg` stays the caller's. Errors: in the handle: -EINVAL (NULL), -ESHUTDOWN (closed or closing), -ENOMEM,
 * -EPERM (a forked child; in debug mode also a foreign thread). */
weft_handle weft_loop_call_soon(weft_loop *loop, void (*fn)(void *arg), void *arg);
weft_handle weft_loop_call_soon_with(weft_loop *loop, weft_context *context, void (*fn)(void *arg), void *arg);

/* The same, but not before `delay_ns` from now, or `when_ns` on weft_time(). Due ones run in order of their times.
 * As weft_loop_call_soon. */
weft_handle weft_loop_call_later(weft_loop *loop, int64_t delay_ns, void (*fn)(void *arg), void *arg);
weft_handle weft_loop_call_at(weft_loop *loop, int64_t when_ns, void (*fn)(void *arg), void *arg);
weft_handle weft_loop_call_at_with(weft_loop *loop, int64_t when_ns, weft_context *context, void (*fn)(void *arg),
                                   void *arg);

/* weft_loop_call_soon from any thread: wakes the loop. One thread's callbacks keep their order.
 * Thread: any. Otherwise as weft_loop_call_soon. */
weft_handle weft_loop_call_soon_threadsafe(weft_loop *loop, void (*fn)(void *arg), void *arg);

/* Cancels a callback: one that has not begun never runs, even if it stands in the current batch.
 * Thread: any. Suspends: no. Owns: nothing. Errors: none; what it was. */
typedef enum weft_handle_state { WEFT_HANDLE_CANCELLED, WEFT_HANDLE_RUNNING, WEFT_HANDLE_GONE } weft_handle_state;
weft_handle_state weft_handle_cancel(weft_handle handle);

/* Calls fn(arg), as weft_loop_call_soon does, whenever `fd` is readable, or writable; again as long as it is.
 * Adding again replaces the function. remove returns 1 if there was one, 0 if not; no call follows it. One whose
 * descriptor is closed by weft_close goes by itself.
 * Thread: the loop's own (a task or callback that it runs); any for a loop of one's own that does not run.
 * Suspends: no. Owns: `arg` stays the caller's; the loop removes its watchers when it is closed.
 * Errors: -EINVAL (NULL, a negative descriptor), -EPERM (another thread), -ESHUTDOWN, -ENOMEM. */
int weft_loop_add_reader(weft_loop *loop, int fd, void (*fn)(void *arg), void *arg);
int weft_loop_add_writer(weft_loop *loop, int fd, void (*fn)(void *arg), void *arg);
int weft_loop_remove_reader(weft_loop *loop, int fd);
int weft_loop_remove_writer(weft_loop *loop, int fd);

/* Schedules `coroutine` in the runtime of `loop`; the task can be awaited, also by blocking in a plain
 * thread with weft_await or weft_wait_blocking, and cancelled from anywhere. It copies the caller's context.
 * Thread: any. Suspends: no. Owns: consumes the coroutine; the caller holds one reference on the task.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, not a coroutine), -ESHUTDOWN, -EPERM (a
 * forked child). */
weft_future *weft_run_coroutine_threadsafe(weft_future *coroutine, weft_loop *loop);

/* ---- errors that nobody would see ---- */

typedef struct weft_exception_record {
    const char *message;    /* what happened */
    intptr_t error;         /* -errno, or 0 */
    const weft_future *future; /* whose; for queries only. NULL: none */
    const char *name;       /* of the task or generator; "future" */
    const void *site;       /* debug mode: the call that made it, as an address; NULL: not known */
} weft_exception_record;

/* Sets what is called for errors that nobody would see: a failed future that is given up without anybody having
 * looked, a task that is left when its loop is closed. It runs on the loop's thread. NULL: the default, a line on
 * stderr.
 * Thread: any. Suspends: no. Owns: `arg` stays the caller's. Errors: -EINVAL (NULL loop). */
typedef void weft_exception_handler(weft_loop *loop, const weft_exception_record *record, void *arg);
int weft_loop_set_exception_handler(weft_loop *loop, weft_exception_handler *handler, void *arg);

/* Calls the handler, or the default.
 * Thread: any. Suspends: no. Owns: borrows the record. Errors: -EINVAL (NULL). */
int weft_loop_call_exception_handler(weft_loop *loop, const weft_exception_record *record);
int weft_loop_default_exception_handler(weft_loop *loop, const weft_exception_record *record);

/* ---- debug mode ---- */

/* Debug mode remembers where things were made, and reports calls from the wrong thread; and on stderr, with names:
 *
 *  - a step that is slow, while it still runs (loops of weft_run only) and once it is over;
 *  - a deadlock, once a run (loops of weft_run only): tasks wait, no loop has anything to do, and nothing is under way
 *    that could wake one, no timer, I/O, job or handled signal. It says who waits for whom or for what, and who waits
 *    in a circle. A program that waits for what another thread is yet to do gets this report, too; nothing follows;
 *  - tasks that await each other in a circle, when it is closed, whatever others do;
 *  - a pthread mutex, read-write lock or spinlock (std::mutex and mtx_t are such) that a task holds when it suspends,
 *    goes into a blocking region or comes out of it, or ends: once for each place that locks. Not in static
 *    executables, nor in libraries that are loaded after debug mode was switched on for the first time. From then on
 *    these locks cost some nanoseconds more, until the process ends.
 *
 * Thread: any; takes effect with the next step. Suspends: no. Errors: none (NULL: nothing, false). */
void weft_loop_set_debug(weft_loop *loop, bool on);
bool weft_loop_get_debug(const weft_loop *loop);

/* From how many nanoseconds on a step or callback counts as slow; 100 ms at first.
 * Thread: any. Suspends: no. Errors: none. */
void weft_loop_set_slow_callback_duration(weft_loop *loop, int64_t duration_ns);
int64_t weft_loop_get_slow_callback_duration(const weft_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
