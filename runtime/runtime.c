/* The parts of a runtime: made together, freed together; and what makes a thread a worker. */
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "context.h"
#include "thread_pool.h"
#include "worker.h"

static int worker_init(struct weft__worker *worker, struct weft__runtime *runtime, unsigned index) {
    worker->runtime = runtime;
    worker->index = index;
    worker->strict = runtime->options.fifo;
    worker->spin_ns = runtime->options.spin_ns;
    weft__ring_queue_init(&worker->ring);
    weft__inbox_init(&worker->inbox);
    weft__list_init(&worker->watchers);
    weft__timers_init(&worker->timers, weft__world_now());
    atomic_init(&worker->host, weft__crowding_home(worker));
    worker->alone = worker->ring.alone = runtime->worker_count == 1;
    worker->loop = weft__loop_new(worker);
    if (!worker->loop) return -ENOMEM;
    int error = weft__deque_init(&worker->deque, 256);
    worker->deque.alone = worker->alone;
    return error;
}

static void drop(struct weft__item *link) {
    struct weft__runnable *runnable = weft__container_of(link, struct weft__runnable, link);
    runnable->run(NULL, runnable);
}

/* What the ended loop leaves behind: stale entries of tasks that were run in place, callbacks of tasks that
 * used their last breath to queue one, callbacks whose time has not come. */
static void worker_fini(struct weft__worker *worker) {
    weft__signals_forget(worker);
    if (worker->loop) {
        for (uintptr_t item; (item = weft__deque_pop(&worker->deque));) weft_release((weft_future *)item);
        weft__timers_fire(&worker->timers, INT64_MAX, true);
        weft__inbox_take_all(&worker->inbox, &worker->local);
        for (struct weft__item *link; (link = weft__fifo_pop(&worker->local));) drop(link);
        store_release(&worker->loop->serial, 0); /* pairs with weft__gate_try_enter: futures have no loop now */
    }
    if (load_relaxed(&worker->deque.array)) weft__deque_fini(&worker->deque);
    if (worker->spare) weft__slab_give(&worker->slab, worker->spare);
    weft__slab_flush(&worker->slab);
    weft_loop_release(worker->loop);
}

void weft__runtime_free(struct weft__runtime *runtime) {
    weft__executor_fini(runtime);
    weft__watchman_fini(&runtime->watchman);
    weft__generators_fini(runtime);
    for (unsigned i = 0; runtime->workers && i < runtime->worker_count; i++) worker_fini(&runtime->workers[i]);
    for (unsigned class = 0; class < WEFT__STACK_CLASSES; class ++) weft__stack_pool_fini(&runtime->pools[class]);
    free(runtime->workers);
    free(runtime->shutdown.notices);
    free(runtime);
}

struct weft__runtime *weft__runtime_new(const weft_options *options) {
    struct weft__runtime *runtime = aligned_alloc(WEFT__CACHE_LINE, sizeof *runtime);
    if (!runtime) return NULL;
    *runtime = (struct weft__runtime){.options = *options, .worker_count = options->workers};
    atomic_init(&runtime->shutdown.unnoticed, options->workers);
    atomic_init(&runtime->watchman.armed, true);
    for (unsigned class = 0; class < WEFT__STACK_CLASSES; class ++)
        weft__stack_pool_init(&runtime->pools[class], (size_t)WEFT__STACK_LEAST_BYTES << class, weft__task_fiber);
    while ((size_t)WEFT__STACK_LEAST_BYTES << runtime->default_class < options->stack_bytes) runtime->default_class++;
    runtime->shutdown.notices = calloc(options->workers, sizeof *runtime->shutdown.notices);
    runtime->workers = aligned_alloc(WEFT__CACHE_LINE, options->workers * sizeof *runtime->workers);
    bool failed = !runtime->shutdown.notices || !runtime->workers;
    if (runtime->workers) memset(runtime->workers, 0, options->workers * sizeof *runtime->workers);
    for (unsigned i = 0; !failed && i < options->workers; i++) failed = worker_init(&runtime->workers[i], runtime, i);
    if (!failed) return runtime;
    weft__runtime_free(runtime);
    return NULL;
}

int weft__worker_enter(struct weft__worker *worker) {
    const weft_options *options = &worker->runtime->options;
    weft__fiber_adopt_thread(&worker->scheduler);
    struct weft__task *host = weft__blocked_task(); /* a loop inside a blocking region lies on the task's stack */
    if (host) worker->scheduler.low = host->stack->fiber.low, worker->scheduler.high = host->stack->fiber.high;
    weft__world_set_worker(worker);
    worker->errno_location = weft__world_errno();
    worker->thread_id = weft__world_thread_id();
    weft__overflow_watch();
    bool notice = options->debug > 0 && worker->index == 0; /* once, not once a worker */
    int error = worker->driver ? worker->driver->ops->bind(worker->driver)
                               : weft__driver_open(options->driver, notice, &worker->driver);
    if (error) weft__worker_leave(worker);
    else weft__watchers_arm(worker);
    /* for loops of one's own event_loop.c does it */
    if (error == 0 && !worker->loop->own) store_release(&worker->loop->running, true);
    return error;
}

void weft__worker_leave(struct weft__worker *worker) {
    if (!worker->loop->own) store_release(&worker->loop->running, false);
    weft__stack_flush(&worker->runtime->pools[worker->runtime->default_class], &worker->stacks);
    weft__overflow_unwatch();
    weft__world_set_worker(NULL);
}
