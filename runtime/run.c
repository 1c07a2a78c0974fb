/* weft_run: open the workers, run main, cancel what is left, close. */
#include <weft/run.h>

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "assert.h"
#include "context.h"
#include "process_slot.h"
#include "worker.h"

#define SPIN_NS 20000
#define EXECUTOR_NS INT64_C(300000000000) /* asyncio's THREAD_JOIN_TIMEOUT */
#define STACK_MOST ((size_t)WEFT__STACK_LEAST_BYTES << (WEFT__STACK_CLASSES - 1))

/* One call of weft_run; lives on its stack. */
struct run {
    struct weft__runtime *runtime;
    weft_future *main;
    struct weft__waiter main_done;
    struct thread *threads;          /* of workers 1 and up */
    _Atomic uint32_t opened;         /* workers whose driver is open, or failed to */
    _Atomic uint32_t failed;         /* of these */
    _Atomic int error;               /* the first failure of a worker thread */
    _Atomic uint32_t loops;          /* drivers that were opened; 0: not known yet */
    _Atomic uint32_t left;           /* loops that have returned */
};

struct thread {
    struct run *run;
    struct weft__worker *worker;
};

/* ---- workers ---- */

/* After the loop, or instead of it. A driver is closed by its own thread, and when nobody can ring its
 * doorbell any more: every loop has returned, and no guest is left (weft__task_wake). */
static void close_worker(struct run *run, struct weft__worker *worker) {
    atomic_fetch_add_explicit(&run->left, 1, memory_order_acq_rel);
    weft__world_wake_all(&run->left);
    for (uint32_t left; (left = load_acquire(&run->left)) < load_acquire(&run->loops);)
        weft__world_wait(&run->left, left, INT64_MAX);
    for (unsigned round = 0; load_acquire(&run->runtime->guests) > 0; round++) weft__world_relax(round);
    worker->driver->ops->close(worker->driver);
    weft__worker_leave(worker);
}

static void worker_thread(void *arg) {
    struct thread *thread = arg;
    struct run *run = thread->run;
    int error = weft__worker_enter(thread->worker), none = 0;
    if (error) {
        cas_acq_rel(&run->error, &none, error);
        fetch_add_relaxed(&run->failed, 1);
    }
    atomic_fetch_add_explicit(&run->opened, 1, memory_order_release); /* pairs with start_threads */
    weft__world_wake_all(&run->opened);
    if (error) return;
    weft__worker_loop(thread->worker);
    close_worker(run, thread->worker);
}

/* Starts workers 1 and up, and waits until every driver is open: from then on anybody may wake anybody.
 * Returns how many threads there are to join. */
static unsigned start_threads(struct run *run) {
    unsigned started = 1;
    for (; started < run->runtime->worker_count; started++) {
        struct thread *thread = &run->threads[started];
        *thread = (struct thread){run, &run->runtime->workers[started]};
        int error = weft__world_thread_start(&thread->worker->thread, worker_thread, thread), none = 0;
        if (error) {
            cas_acq_rel(&run->error, &none, error);
            break;
        }
    }
    for (uint32_t opened; (opened = load_acquire(&run->opened)) < started - 1;) /* pairs with worker_thread */
        weft__world_wait(&run->opened, opened, INT64_MAX);
    return started;
}

/* ---- run ---- */

int weft__options_check(weft_options *options) {
    if (options->fifo && options->workers > 1) return -EINVAL;
    if (options->workers > WEFT__WORKERS_MOST || options->stack_bytes > STACK_MOST) return -EINVAL;
    if (options->fifo) options->workers = 1;
    if (options->workers == 0) options->workers = weft__world_cpus();
    if (options->workers > WEFT__WORKERS_MOST) options->workers = WEFT__WORKERS_MOST;
    if (options->stack_bytes == 0) options->stack_bytes = WEFT__STACK_DEFAULT_BYTES;
    if (options->spin_ns == 0) options->spin_ns = SPIN_NS;
    if (options->executor_ns == 0) options->executor_ns = EXECUTOR_NS;
    if (options->debug == 0) options->debug = weft__debug_from_environment();
    return 0;
}

static void serve_main_done(struct weft__waiter *waiter) {
    weft__shutdown_begin(weft__container_of(waiter, struct run, main_done)->runtime);
}

/* Runs main on the runtime, whose workers are open. */
static intptr_t run_main(struct run *run) {
    struct weft__worker *worker = &run->runtime->workers[0];
    worker->context = *weft__context_outside(); /* main copies the thread's */
    weft_task *task = weft_create_task(run->main);
    worker->context = NULL;
    bool interruptible = weft__interrupt_begin(worker->loop, task);
    if (!weft__future_add_waiter(task, &run->main_done)) serve_main_done(&run->main_done);
    weft__worker_loop(worker);
    intptr_t result = weft__interrupt_end(interruptible, weft_result(task));
    weft_release(task);
    return result;
}

static intptr_t run_in(void *arg) {
    struct run *run = arg;
    struct weft__worker *worker = &run->runtime->workers[0];
    int error = weft__worker_enter(worker);
    if (error) {
        weft_coroutine_close(run->main);
        return error;
    }
    unsigned threads = start_threads(run);
    intptr_t result = load_acquire(&run->error);
    store_release(&run->loops, 1 + load_relaxed(&run->opened) - load_relaxed(&run->failed));
    if (result == 0) {
        weft__watchman_start(run->runtime);
        result = run_main(run);
        weft__watchman_stop(run->runtime); /* before anybody closes its driver: we have not left yet */
    } else {
        weft_coroutine_close(run->main);
        weft__shutdown_end(run->runtime);
    }
    close_worker(run, worker);
    for (unsigned i = 1; i < threads; i++) weft__world_thread_join(&run->runtime->workers[i].thread);
    return result;
}

/* Blocked, SIGPIPE stays pending on the thread: one that was raised by us must not hit the caller afterwards. */
intptr_t weft__without_sigpipe(intptr_t (*fn)(void *arg), void *arg) {
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    intptr_t result = fn(arg);
    sigpending(&pending);
    if (!was_pending && sigismember(&pending, SIGPIPE) == 1)
        sigtimedwait(&pipe_only, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

intptr_t weft_run_with(weft_options options, weft_future *main) {
    if (main && main->kind == WEFT__KIND_IMMORTAL) return main->result;
    if (!weft_iscoroutine(main)) return -EINVAL;
    struct run run = {.main = main, .main_done.serve = serve_main_done};
    weft__world_on_fork(weft__slab_hold, weft__slab_let_go);
    intptr_t result = weft__world_worker() ? -EDEADLK : weft__options_check(&options);
    /* Before there is a ring or a thread. An error is told to whoever makes a pool. */
    bool served = result == 0 && weft__process_server_wanted() && weft__process_server_acquire() == 0;
    if (result == 0) {
        run.runtime = weft__runtime_new(&options);
        if (run.runtime) run.runtime->executors.wait_ns = options.executor_ns;
        run.threads = calloc(options.workers, sizeof *run.threads);
        if (!run.runtime || !run.threads) result = -ENOMEM;
    }
    if (result) weft_coroutine_close(main);
    else result = weft__without_sigpipe(run_in, &run);
    if (run.runtime) weft__runtime_free(run.runtime);
    free(run.threads);
    if (served) weft__process_server_release();
    return result;
}

intptr_t weft_run(weft_future *main) { return weft_run_with((weft_options){0}, main); }

intptr_t weft_run_fn(weft_fn *fn, void *arg) { return weft_run(weft_coroutine(fn, arg)); }

intptr_t weft_run_fn_with(weft_options options, weft_fn *fn, void *arg) {
    return weft_run_with(options, weft_coroutine(fn, arg));
}
