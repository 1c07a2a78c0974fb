/* weft/executor.h: code that blocks, away from the loops.
 *
 *     intptr_t size = weft_await(weft_to_thread(measure_file, path));     one call, in a thread of a pool
 *
 *     int error = weft_enter_blocking();                                  or the task itself, with its own stack
 *     if (error < 0) return error;
 *     size = measure_file(path);
 *     weft_leave_blocking();
 *
 * A pool starts threads as there is work for them, up to its limit, and those that find nothing to do for a while
 * end. A job is a plain function; it runs outside any loop and may block, await futures (its thread blocks),
 * submit to other pools, and run a loop of its own. */
#ifndef WEFT_EXECUTOR_H
#define WEFT_EXECUTOR_H

#include <weft/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- thread pools (concurrent.futures.ThreadPoolExecutor) ---- */

typedef struct weft_thread_pool weft_thread_pool;

/* Zero is the default of every option. */
typedef struct weft_thread_pool_options {
    const char *name;   /* of its threads in a debugger, 15 characters; copied; NULL: "weft pool" */
    unsigned threads;   /* at most; 0: min(32, CPUs + 4) */
    size_t queue;       /* jobs that wait for a thread, at most; 0: 16384 */
    int64_t idle_ns;    /* how long a thread waits for work before it ends; 0: 10 s */
} weft_thread_pool_options;

/* Makes a pool; no thread is started yet.
 * Thread: any. Suspends: no. Owns: the caller, until weft_thread_pool_release. Errors: NULL without memory, or for
 * options out of range (more than 32768 threads, a negative time). */
weft_thread_pool *weft_thread_pool_new(weft_thread_pool_options options);

/* Queues fn(arg) for a thread of the pool; the future completes with what it returns. Jobs start in the order of
 * their submission. If the queue is full, the call waits for a place: a task suspends, a plain thread blocks.
 *
 * Cancelling the future, or a task that awaits it, ends it with -ECANCELED at once. A job that has not started
 * then never runs; one that has is left to finish, and its result is dropped. A job starts with no context
 * variable set.
 * Thread: any. Suspends: yes, if the queue is full. Owns: the caller holds one reference on the future; `arg`
 * stays the caller's, until the job has finished. Errors: never NULL; a completed future that holds -EINVAL (NULL;
 * in debug mode also a function that weft_async defined), -ESHUTDOWN (closed), -EPERM (a forked child; inside a
 * blocking region, with a full queue), -EAGAIN (a full queue, in a loop's callback or a job of the same pool; or
 * the system gives no thread, and the pool has none), -ECANCELED (while waiting for a place), -ENOMEM. */
weft_future *weft_thread_pool_submit(weft_thread_pool *pool, weft_fn *fn, void *arg);

/* Accepts no more jobs, and waits until all have finished and the threads have ended. After `timeout_ns` jobs that
 * have not started are cancelled, and those that run are left to themselves. Again is fine: waits again.
 * Thread: any but a thread of the pool, or a loop's callback. Suspends: yes; a plain thread blocks. Owns: the
 * handle stays the caller's. Errors: -ETIMEDOUT (jobs still run), -ECANCELED, -EINVAL (NULL), -EDEADLK (a thread
 * of the pool, a loop's callback: nothing happens), -EPERM (a forked child; inside a blocking region). */
int weft_thread_pool_close(weft_thread_pool *pool, int64_t timeout_ns);

/* Gives up the handle. A pool that is not closed accepts no more jobs and ends when all have finished; nobody
 * waits.
 * Thread: any. Suspends: no. Owns: takes the handle; NULL is fine. Errors: none. */
void weft_thread_pool_release(weft_thread_pool *pool);

/* What a pool does at the moment. */
typedef struct weft_thread_pool_stats {
    unsigned threads;   /* that there are */
    unsigned idle;      /* of these, asleep without work */
    size_t queued;      /* jobs that wait for a thread; cancelled ones until their turn would come */
    size_t waiting;     /* submitters that wait for a place in the queue */
} weft_thread_pool_stats;

/* Fills `stats` with what holds at this moment.
 * Thread: any. Suspends: no. Owns: the caller. Errors: -EINVAL (NULL), -EPERM (a forked child). */
int weft_thread_pool_get_stats(weft_thread_pool *pool, weft_thread_pool_stats *stats);

/* ---- the default executor ---- */

/* weft_thread_pool_submit to `pool`, or with NULL to the default executor of `loop`'s runtime, which is made at
 * first use (loop.run_in_executor). The future belongs to `loop`; NULL: the running one.
 * Thread: any. Suspends: as weft_thread_pool_submit. Owns: as weft_thread_pool_submit. Errors: as
 * weft_thread_pool_submit; -EPERM (no loop), -ESHUTDOWN (the loop is closed, or its executor shut down). */
weft_future *weft_run_in_executor(weft_loop *loop, weft_thread_pool *pool, weft_fn *fn, void *arg);

/* Runs fn(arg) in the default executor, in a copy of the caller's context (asyncio.to_thread). Like a coroutine it
 * is a temporary: the first call that takes it (weft_await, weft_gather, weft_wait_for ...) consumes it, and
 * weft_ref keeps it longer. Unlike one it is submitted when the call returns, awaited or not.
 * Thread: loop. Suspends: as weft_thread_pool_submit. Owns: the temporary is the caller's. Errors: as
 * weft_run_in_executor. */
weft_future *weft_to_thread(weft_fn *fn, void *arg);

/* Makes `pool` the default executor of `loop`'s runtime (NULL: the running loop's). A former one goes on with its
 * jobs. At the end of the run `pool` is closed.
 * Thread: any. Suspends: no. Owns: the caller keeps his handle on the pool. Errors: -EINVAL (NULL pool), -EPERM
 * (no loop, a forked child), -ESHUTDOWN (the loop is closed, or its default executor shut down). */
int weft_set_default_executor(weft_loop *loop, weft_thread_pool *pool);

/* Closes the default executor of `loop`'s runtime (NULL: the running loop's) as weft_thread_pool_close does, and
 * says so on stderr if jobs still run at the end of `timeout_ns`. From then on submissions to it fail. weft_run
 * and weft_runner_close do this at their end, unless it has been done, see weft_options.executor_ns;
 * weft_loop_close shuts it without waiting.
 * Thread: any but a job's of that executor. Suspends: yes; a plain thread blocks. Owns: nothing. Errors: as
 * weft_thread_pool_close; -EPERM (no loop), -ESHUTDOWN (the loop is closed). */
int weft_shutdown_default_executor(weft_loop *loop, int64_t timeout_ns);

/* ---- in place ---- */

/* Moves the running task, with its stack, to a thread where it may block, and back. Between the two calls the task
 * is still itself (weft_current_task, context variables, errno), but has no loop: calls that would suspend return
 * -EPERM, so does whatever needs the running loop, and a cancel request waits for the first await after leave. A
 * timeout scope that was entered outside is left outside. The stack is the task's: what runs in between must do
 * with it.
 *
 * enter is an await point. Up to 512 tasks of a runtime can be between the calls; others wait for their turn, and
 * can be cancelled meanwhile. Enters nest: only the outermost pair moves the task. leave does not fail and is no
 * await point; a pinned task comes back to its own loop. A task that returns in between leaves by itself.
 * Thread: task. Suspends: yes. Owns: nothing. Errors: enter: -ECANCELED, -EPERM (not in a task), -ENOMEM, -EAGAIN
 * (the system gives no thread); leave: -EPERM (not between). */
int weft_enter_blocking(void);
int weft_leave_blocking(void);

#ifdef __cplusplus
}
#endif
#endif
