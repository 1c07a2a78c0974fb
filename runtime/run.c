/* The life of a runtime: open the workers, run main, cancel what is left, close.
 *
 * Shutdown, driven by messages on the workers' own queues:
 *   1. main has ended: its waiter posts `begin_stop` to worker 0, which closes the gates (foreign threads
 *      get -ESHUTDOWN from here on), sets `stopping`, and posts `notice_stop` to every worker.
 *   2. Each worker runs notice_stop between two steps. Every task that it schedules from then on is born
 *      cancelled (task.c reads `stopping`); every one before is in the slab for the last step to find.
 *   3. The last notice cancels all tasks of this runtime that were not born cancelled: each exactly once,
 *      so that clean-up code which awaits is not cancelled again.
 *   4. The runtime is quiet when all tasks that were spawned have finished. Each finishing task looks,
 *      once stopping; so does step 3. Finished is read before spawned, and a task spawns before it
 *      finishes, so equality means that there was a moment without tasks, and then nobody can spawn.
 *   5. Whoever finds it quiet sets `ended` and wakes everybody; the loops return.
 *
 * Two tasks that finish last on two workers must not both miss the other: a seq_cst fence stands between
 * counting oneself and reading the others. */
#include <weft/run.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "assert.h"
#include "worker.h"

#define SPIN_NS 20000
#define STACK_MOST ((size_t)WEFT__STACK_LEAST_BYTES << (WEFT__STACK_CLASSES - 1))

struct run {
    struct weft__runtime runtime;
    weft_future *main;
    struct weft__waiter main_done;
    struct weft__runnable begin_stop;
    struct weft__runnable *notices;  /* one per worker */
    _Atomic uint32_t unnoticed;      /* workers that have not run notice_stop */
    _Atomic uint32_t opened;         /* workers whose driver is open, or failed to */
    _Atomic uint32_t failed;         /* of these */
    _Atomic int error;               /* the first failure of a worker thread */
    _Atomic uint32_t loops;          /* drivers that were opened; 0: not known yet */
    _Atomic uint32_t left;           /* loops that have returned */
};

static struct run *run_of(struct weft__runtime *runtime) {
    return weft__container_of(runtime, struct run, runtime);
}

/* ---- stop ---- */

static void end(struct weft__runtime *runtime) {
    store_release(&runtime->ended, true); /* pairs with the load in weft__worker_loop */
    for (unsigned i = 0; i < runtime->worker_count; i++) weft__idle_notify_worker(&runtime->workers[i]);
}

static void end_if_quiet(struct weft__runtime *runtime) {
    uint64_t finished = 0, spawned = 0;
    fence_seq_cst(); /* pairs with itself on the other workers */
    for (unsigned i = 0; i < runtime->worker_count; i++)
        finished += load_acquire(&runtime->workers[i].counters.finished);
    for (unsigned i = 0; i < runtime->worker_count; i++)
        spawned += load_acquire(&runtime->workers[i].counters.spawns);
    spawned += load_acquire(&runtime->foreign_spawns);
    uint32_t loud = 0;
    if (finished == spawned && cas_acq_rel(&runtime->quiet, &loud, 1)) end(runtime);
}

void weft__runtime_task_finished(struct weft__worker *worker) {
    _Atomic uint64_t *finished = &worker->counters.finished;
    store_release(finished, load_relaxed(finished) + 1); /* pairs with end_if_quiet */
    if (load_relaxed(&worker->runtime->stopping) && load_relaxed(&run_of(worker->runtime)->unnoticed) == 0)
        end_if_quiet(worker->runtime);
}

static void cancel_leftover(void *record, void *arg) {
    struct weft__task *task = record;
    if (!weft__future_try_ref(&task->future)) return;
    if (task->future.kind == WEFT__KIND_TASK && task->runtime == arg && !task->born_cancelled)
        weft_cancel(&task->future);
    weft_release(&task->future);
}

static void notice_stop(struct weft__worker *worker, struct weft__runnable *notice) {
    struct weft__runtime *runtime = worker->runtime;
    (void)notice;
    if (fetch_sub_acq_rel(&run_of(runtime)->unnoticed, 1) != 1) return;
    weft__slab_each(cancel_leftover, runtime);
    end_if_quiet(runtime);
}

static void begin_stop(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct weft__runtime *runtime = worker->runtime;
    struct run *run = run_of(runtime);
    (void)runnable;
    for (unsigned i = 0; i < runtime->worker_count; i++) weft__gate_close(runtime->workers[i].loop);
    store_release(&runtime->stopping, true); /* pairs with the handshake: notice_stop carries it */
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        run->notices[i].run = notice_stop;
        weft__worker_post(&runtime->workers[i], &run->notices[i]);
    }
}

static void serve_main_done(struct weft__waiter *waiter) {
    struct run *run = weft__container_of(waiter, struct run, main_done);
    run->begin_stop.run = begin_stop;
    weft__worker_post(&run->runtime.workers[0], &run->begin_stop);
}

/* ---- workers ---- */

static int worker_init(struct weft__worker *worker, struct weft__runtime *runtime, unsigned index) {
    worker->runtime = runtime;
    worker->index = index;
    worker->strict = runtime->options.fifo;
    worker->spin_ns = runtime->options.spin_ns;
    weft__ring_queue_init(&worker->ring);
    weft__inbox_init(&worker->inbox);
    weft__timers_init(&worker->timers, weft__world_now());
    worker->loop = calloc(1, sizeof *worker->loop);
    if (!worker->loop) return -ENOMEM;
    worker->loop->worker = worker;
    worker->loop->index = index;
    worker->loop->generation = weft__world_generation();
    atomic_init(&worker->loop->references, 1);
    return weft__deque_init(&worker->deque, 256);
}

static void drop_runnable(struct weft__item *link) {
    struct weft__runnable *runnable = weft__container_of(link, struct weft__runnable, link);
    runnable->run(NULL, runnable);
}

/* What the ended loop leaves behind: stale entries of tasks that were run in place, callbacks of tasks that
 * used their last breath to queue one. */
static void worker_fini(struct weft__worker *worker) {
    if (worker->loop) {
        for (uintptr_t item; (item = weft__deque_pop(&worker->deque));) weft_release((weft_future *)item);
        for (struct weft__item *link; (link = weft__fifo_pop(&worker->local));) drop_runnable(link);
        for (struct weft__item *link = weft__inbox_take_all(&worker->inbox), *next; link; link = next) {
            next = link->next;
            drop_runnable(link);
        }
    }
    if (load_relaxed(&worker->deque.array)) weft__deque_fini(&worker->deque);
    if (worker->spare) weft__slab_give(&worker->slab, worker->spare);
    weft__slab_flush(&worker->slab);
    weft_loop_release(worker->loop);
}

static void leave_thread(struct weft__worker *worker) {
    weft__stack_flush(&worker->runtime->pools[worker->runtime->default_class], &worker->stacks);
    weft__overflow_unwatch();
    weft__world_set_worker(NULL);
}

/* After the loop, or instead of it. A driver is closed by its own thread, and when nobody can ring its
 * doorbell any more: every loop has returned, and no guest is left (weft__task_wake). */
static void close_worker(struct weft__worker *worker) {
    struct run *run = run_of(worker->runtime);
    atomic_fetch_add_explicit(&run->left, 1, memory_order_acq_rel);
    weft__world_wake_all(&run->left);
    for (uint32_t left; (left = load_acquire(&run->left)) < load_acquire(&run->loops);)
        weft__world_wait(&run->left, left, INT64_MAX);
    for (unsigned round = 0; load_acquire(&run->runtime.guests) > 0; round++) weft__world_relax(round);
    worker->driver->ops->close(worker->driver);
    leave_thread(worker);
}

static int open_driver(struct weft__worker *worker) {
    const weft_options *options = &worker->runtime->options;
    weft__fiber_adopt_thread(&worker->scheduler);
    weft__world_set_worker(worker);
    weft__overflow_watch();
    bool notice = options->debug && worker->index == 0; /* once, not once a worker */
    int error = weft__driver_open(options->driver, notice, &worker->driver);
    if (error) leave_thread(worker);
    return error;
}

static void worker_thread(void *arg) {
    struct weft__worker *worker = arg;
    struct run *run = run_of(worker->runtime);
    int error = open_driver(worker), none = 0;
    if (error) {
        cas_acq_rel(&run->error, &none, error);
        fetch_add_relaxed(&run->failed, 1);
    }
    atomic_fetch_add_explicit(&run->opened, 1, memory_order_release); /* pairs with start_threads */
    weft__world_wake_all(&run->opened);
    if (error) return;
    weft__worker_loop(worker);
    close_worker(worker);
}

/* Starts workers 1 and up, and waits until every driver is open: from then on anybody may wake anybody.
 * Returns how many threads there are to join. */
static unsigned start_threads(struct run *run) {
    unsigned started = 1;
    for (; started < run->runtime.worker_count; started++) {
        struct weft__worker *worker = &run->runtime.workers[started];
        int error = weft__world_thread_start(&worker->thread, worker_thread, worker), none = 0;
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

static int check_options(weft_options *options) {
    if (options->fifo && options->workers > 1) return -EINVAL;
    if (options->workers > WEFT__WORKERS_MOST || options->stack_bytes > STACK_MOST) return -EINVAL;
    if (options->fifo) options->workers = 1;
    if (options->workers == 0) options->workers = weft__world_cpus();
    if (options->workers > WEFT__WORKERS_MOST) options->workers = WEFT__WORKERS_MOST;
    if (options->stack_bytes == 0) options->stack_bytes = WEFT__STACK_DEFAULT_BYTES;
    if (options->spin_ns == 0) options->spin_ns = SPIN_NS;
    return 0;
}

static void runtime_fini(struct run *run) {
    struct weft__runtime *runtime = &run->runtime;
    for (unsigned i = 0; runtime->workers && i < runtime->worker_count; i++) worker_fini(&runtime->workers[i]);
    for (unsigned class = 0; class < WEFT__STACK_CLASSES; class ++) weft__stack_pool_fini(&runtime->pools[class]);
    free(runtime->workers);
    free(run->notices);
    free(run);
}

static struct run *runtime_new(weft_options options) {
    struct run *run = aligned_alloc(WEFT__CACHE_LINE, sizeof *run);
    if (!run) return NULL;
    *run = (struct run){.main_done.serve = serve_main_done};
    struct weft__runtime *runtime = &run->runtime;
    runtime->options = options;
    runtime->worker_count = options.workers;
    atomic_init(&run->unnoticed, options.workers);
    for (unsigned class = 0; class < WEFT__STACK_CLASSES; class ++)
        weft__stack_pool_init(&runtime->pools[class], (size_t)WEFT__STACK_LEAST_BYTES << class, weft__task_fiber);
    while ((size_t)WEFT__STACK_LEAST_BYTES << runtime->default_class < options.stack_bytes) runtime->default_class++;
    run->notices = calloc(options.workers, sizeof *run->notices);
    runtime->workers = aligned_alloc(WEFT__CACHE_LINE, options.workers * sizeof *runtime->workers);
    bool failed = !run->notices || !runtime->workers;
    if (runtime->workers) memset(runtime->workers, 0, options.workers * sizeof *runtime->workers);
    for (unsigned i = 0; !failed && i < options.workers; i++) failed = worker_init(&runtime->workers[i], runtime, i);
    if (!failed) return run;
    runtime_fini(run);
    return NULL;
}

/* Runs main on the runtime, whose workers are open. */
static intptr_t run_main(struct run *run, weft_future *main) {
    struct weft__worker *worker = &run->runtime.workers[0];
    weft_task *task = weft_create_task(main);
    if (!weft__future_add_waiter(task, &run->main_done)) serve_main_done(&run->main_done);
    weft__worker_loop(worker);
    intptr_t result = weft_result(task);
    weft_release(task);
    return result;
}

static intptr_t run_in(struct run *run, weft_future *main) {
    struct weft__worker *worker = &run->runtime.workers[0];
    int error = open_driver(worker);
    if (error) {
        weft_coroutine_close(main);
        return error;
    }
    unsigned threads = start_threads(run);
    intptr_t result = load_acquire(&run->error);
    store_release(&run->loops, 1 + load_relaxed(&run->opened) - load_relaxed(&run->failed));
    if (result == 0) {
        result = run_main(run, main);
    } else {
        weft_coroutine_close(main);
        end(&run->runtime);
    }
    close_worker(worker);
    for (unsigned i = 1; i < threads; i++) weft__world_thread_join(&run->runtime.workers[i].thread);
    return result;
}

/* A write to a closed pipe raises SIGPIPE whatever the call (MSG_NOSIGNAL covers only send). Blocked, it
 * stays pending on the thread: one that was raised by us must not hit the caller afterwards. */
static intptr_t run_without_sigpipe(struct run *run, weft_future *main) {
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    intptr_t result = run_in(run, main);
    sigpending(&pending);
    if (!was_pending && sigismember(&pending, SIGPIPE) == 1)
        sigtimedwait(&pipe_only, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

intptr_t weft_run_with(weft_options options, weft_future *main) {
    if (main && main->kind == WEFT__KIND_IMMORTAL) return main->result;
    if (!weft_iscoroutine(main)) return -EINVAL;
    struct run *run = NULL;
    weft__world_on_fork(weft__slab_hold, weft__slab_let_go);
    intptr_t result = weft__world_worker() ? -EDEADLK : check_options(&options);
    if (result == 0 && !(run = runtime_new(options))) result = -ENOMEM;
    if (result) {
        weft_coroutine_close(main);
        return result;
    }
    result = run_without_sigpipe(run, main);
    runtime_fini(run);
    return result;
}

intptr_t weft_run(weft_future *main) { return weft_run_with((weft_options){0}, main); }

intptr_t weft_run_fn(weft_fn *fn, void *arg) { return weft_run(weft_coroutine(fn, arg)); }

intptr_t weft_run_fn_with(weft_options options, weft_fn *fn, void *arg) {
    return weft_run_with(options, weft_coroutine(fn, arg));
}
