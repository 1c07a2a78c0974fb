/* weft/run.h: the entry point (asyncio.run). */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include <weft/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero is the default of every option. */
typedef struct weft_options {
    unsigned workers;        /* threads with a loop each, at most 1024; 0: one per CPU allowed to us */
    bool fifo;               /* strict order: one worker, one FIFO of callbacks and steps (asyncio's order) */
    const char *driver;      /* "uring", "epoll"; NULL: $WEFT_DRIVER, else uring where the kernel offers it */
    size_t stack_bytes;      /* address space of a task's stack, guard included; 0: 256 KiB */
    int64_t spin_ns;         /* the most that an idle worker spins before it sleeps; 0: 20 us; negative: never */
    int64_t executor_ns;     /* how long the end of the run waits for jobs of the default executor (executor.h);
                                0: 300 s; negative: not at all */
    int debug;               /* debug mode: 1 on, -1 off, 0: on if $WEFT_DEBUG is not empty */
    bool no_rescue;          /* what a worker has queued waits while its task computes or blocks, however long */
} weft_options;

/* Runs `main` on a new runtime until it returns; then cancels every task that is left, waits for their
 * clean-up and for the default executor, and closes the runtime. The calling thread is one of the workers.
 * Thread: any without a running loop. Suspends: no, it blocks. Owns: consumes the coroutine, even when it
 * fails. Errors: main's own; -EINVAL (not a coroutine, an option out of range), -EDEADLK (a loop runs on
 * this thread), -ENOMEM, -EAGAIN (no more threads), -EMFILE and others of ring and epoll set-up. */
intptr_t weft_run(weft_future *main);
intptr_t weft_run_with(weft_options options, weft_future *main);

/* weft_run(weft_coroutine(fn, arg)) and the same with options.
 * Thread: any without a running loop. Suspends: no, they block. Owns: `arg` stays the caller's.
 * Errors: as weft_run. */
intptr_t weft_run_fn(weft_fn *fn, void *arg);
intptr_t weft_run_fn_with(weft_options options, weft_fn *fn, void *arg);

/* A runner keeps one strict-order loop and one context over several runs (asyncio.Runner). `options` as for
 * weft_new_event_loop_with.
 * Thread: any. Suspends: no. Owns: the caller, until weft_runner_release. Errors: NULL without memory or for
 * options out of range. */
typedef struct weft_runner weft_runner;
weft_runner *weft_runner_new(weft_options options);

/* Runs `coroutine` as the main task on the runner's loop; what it sets in its context the next run finds.
 * Thread: any without a running loop, one at a time. Suspends: no, it blocks. Owns: consumes the coroutine, even
 * when it fails. Errors: main's own; -EINVAL (NULL, not a coroutine), -ESHUTDOWN (closed), -EDEADLK (a loop runs
 * on this thread), -EBUSY (it runs already), -EINTR (SIGINT: see signal.h), -EINPROGRESS (the loop was stopped),
 * -ENOMEM and those of set-up. */
intptr_t weft_runner_run(weft_runner *runner, weft_future *coroutine);

/* The runner's loop; NULL once it is closed.
 * Thread: any. Suspends: no. Owns: borrowed. Errors: none. */
weft_loop *weft_runner_get_loop(weft_runner *runner);

/* Cancels the tasks that are left, waits for their clean-up, and closes the loop. Again: nothing happens. release
 * closes, and frees the runner.
 * Thread: any without a running loop. Suspends: no. Owns: release takes the runner; NULL is fine.
 * Errors: -EINVAL (NULL), -EBUSY (it runs), -EDEADLK, and those of set-up if tasks are left. */
int weft_runner_close(weft_runner *runner);
void weft_runner_release(weft_runner *runner);

/* A main() that runs the coroutine function `coroutine`, made by weft_async without arguments, and exits
 * with 1 if it ends with an error. */
#define WEFT_MAIN(coroutine)                                    \
    int main(void) { return weft_is_error(weft_run(coroutine())); }

#ifdef __cplusplus
}
#endif
#endif
