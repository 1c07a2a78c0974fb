/* Loops of one's own: a runtime with one strict-order worker, which is run again and again, by any thread, one at
 * a time. Between runs no thread is its worker: other threads' messages wait in the inbox, operations that were
 * under way have been taken back by the driver (driver.h: unbind), and `running` is what excludes a second
 * runner. */
#include <weft/loop.h>

#include <stdlib.h>

#include "assert.h"
#include "context.h"
#include "thread_pool.h"
#include "worker.h"

weft_loop *weft_new_event_loop_with(weft_options options) {
    if (options.workers > 1) return NULL;
    options.fifo = true;
    if (weft__options_check(&options)) return NULL;
    weft__world_on_fork(weft__slab_hold, weft__slab_let_go);
    struct weft__runtime *runtime = weft__runtime_new(&options);
    if (!runtime) return NULL;
    weft_loop *loop = runtime->workers[0].loop;
    loop->own = true;
    return weft_loop_ref(loop);
}

weft_loop *weft_new_event_loop(void) { return weft_new_event_loop_with((weft_options){0}); }

/* ---- running ---- */

/* One thread runs the loop: 0, or why not. */
static int occupy(weft_loop *loop) {
    if (!loop || !loop->own) return -EINVAL;
    if (load_relaxed(&loop->generation) != weft__world_generation()) return -EPERM;
    if (weft__world_worker()) return weft__world_worker()->loop == loop ? -EBUSY : -EDEADLK;
    bool running = false;
    if (!cas_acq_rel(&loop->running, &running, true)) return -EBUSY; /* pairs with vacate */
    if (!weft_loop_is_closed(loop)) return 0;
    store_release(&loop->running, false);
    return -ESHUTDOWN;
}

static void vacate(weft_loop *loop) { store_release(&loop->running, false); }

static intptr_t run_worker(void *arg) {
    struct weft__worker *worker = arg;
    int error = weft__worker_enter(worker);
    if (error) return error;
    weft__worker_loop(worker);
    worker->driver->ops->unbind(worker->driver);
    weft__worker_leave(worker);
    return 0;
}

static int run(struct weft__worker *worker) {
    int error = (int)weft__without_sigpipe(run_worker, worker);
    store_relaxed(&worker->runtime->paused, false);
    return error;
}

int weft_loop_run_forever(weft_loop *loop) {
    int error = occupy(loop);
    if (error) return error;
    error = run(loop->worker);
    vacate(loop);
    return error;
}

/* When the awaited future is done, the loop stops one turn later, as CPython's done callback has it. */
struct completion {
    struct weft__waiter waiter;
    struct weft__runnable runnable;
    struct weft__worker *worker;
};

static void run_completed(struct weft__worker *worker, struct weft__runnable *runnable) {
    (void)runnable;
    if (worker) store_relaxed(&worker->runtime->paused, true);
}

static void serve_completed(struct weft__waiter *waiter) {
    struct completion *self = weft__container_of(waiter, struct completion, waiter);
    if (weft__world_worker() == self->worker) weft__fifo_push(&self->worker->local, &self->runnable.link);
    else weft__worker_post(self->worker, &self->runnable);
}

static intptr_t run_until(weft_loop *loop, weft_future *future) {
    struct completion self = {{.serve = serve_completed}, {.run = run_completed}, loop->worker};
    if (!weft__future_add_waiter(future, &self.waiter)) serve_completed(&self.waiter);
    int error = run(loop->worker);
    if (error || !weft_done(future)) {
        /* If somebody completes it this moment, its message comes: it must not find our frame gone. */
        if (weft__future_remove_waiter(future, &self.waiter)) return error ? error : -EINPROGRESS;
        error = run(loop->worker);
    }
    return error ? error : weft_result(future);
}

intptr_t weft_loop_run_until_complete(weft_loop *loop, weft_future *awaitable) {
    if (!awaitable) return -EINVAL;
    if (awaitable->kind == WEFT__KIND_IMMORTAL) return awaitable->result;
    bool coroutine = weft_iscoroutine(awaitable);
    int error = occupy(loop);
    if (error == 0 && coroutine && (error = weft__loop_submit(loop, weft__task_of(awaitable)))) vacate(loop);
    if (error) {
        if (coroutine) weft_coroutine_close(awaitable);
        return error;
    }
    intptr_t result = run_until(loop, awaitable);
    if (coroutine) weft_release(awaitable);
    vacate(loop);
    return result;
}

int weft_loop_stop(weft_loop *loop) {
    if (!loop || !loop->own) return -EINVAL;
    int error = weft__gate_enter(loop);
    if (error) return error;
    /* read by the loop after each turn and before it sleeps */
    store_release(&loop->worker->runtime->paused, true);
    weft__idle_notify_worker(loop->worker);
    weft__gate_leave(loop);
    return 0;
}

/* ---- closing ---- */

static bool tasks_left(struct weft__worker *worker) {
    return load_acquire(&worker->runtime->watchers) > 0 || weft__generators_any(worker->runtime) ||
           weft__executor_any(worker->runtime) ||
           load_acquire(&worker->counters.finished) !=
           load_acquire(&worker->counters.spawns) + load_acquire(&worker->runtime->foreign_spawns);
}

static void report_leftover(void *record, void *arg) {
    struct weft__task *task = record;
    struct weft__worker *worker = arg;
    if (!weft__future_try_ref(&task->future)) return;
    if (task->future.kind == WEFT__KIND_TASK && task->runtime == worker->runtime)
        weft_loop_call_exception_handler(worker->loop, &(weft_exception_record){
            .message = "a task was still pending when its loop was closed", .future = &task->future,
            .name = weft_task_name(&task->future), .site = task->future.site});
    weft_release(&task->future);
}

/* Cancels the tasks that are left, and runs them to their end. */
static int end_tasks(struct weft__worker *worker) {
    if (weft__world_worker()) return -EDEADLK;
    weft__shutdown_begin(worker->runtime);
    int error;
    do error = run(worker); /* again, if it was stopped */
    while (!error && !load_acquire(&worker->runtime->ended));
    return error;
}

static int close_occupied(weft_loop *loop, bool report) {
    if (load_acquire(&loop->serial) == 0) return 0; /* its worker has gone */
    struct weft__worker *worker = loop->worker;
    weft__gate_close(loop); /* first: what is submitted until now is among the tasks that are left */
    if (tasks_left(worker)) {
        if (report) weft__slab_each(report_leftover, worker);
        int error = end_tasks(worker);
        if (error) return error;
    }
    for (unsigned round = 0; load_acquire(&worker->runtime->guests) > 0; round++) weft__world_relax(round);
    if (worker->driver) worker->driver->ops->close(worker->driver);
    weft__runtime_free(worker->runtime); /* and its reference on the loop: the caller has one more */
    return 0;
}

static int close_loop(weft_loop *loop, bool report) {
    if (!loop || !loop->own) return -EINVAL;
    if (load_relaxed(&loop->generation) != weft__world_generation()) return -EPERM;
    bool running = false;
    if (!cas_acq_rel(&loop->running, &running, true)) return -EBUSY; /* pairs with vacate */
    int error = close_occupied(loop, report);
    vacate(loop);
    return error;
}

int weft_loop_close(weft_loop *loop) { return close_loop(loop, true); }

/* ---- runners ---- */

struct weft_runner {
    weft_loop *loop;
    weft_context *context;
    bool closed;
};

weft_runner *weft_runner_new(weft_options options) {
    weft_runner *runner = calloc(1, sizeof *runner);
    if (!runner) return NULL;
    runner->loop = weft_new_event_loop_with(options);
    runner->context = weft_copy_context();
    if (runner->loop && runner->context) {
        struct weft__runtime *runtime = runner->loop->worker->runtime;
        runtime->executors.wait_ns = runtime->options.executor_ns;
        return runner;
    }
    weft_loop_close(runner->loop);
    weft_loop_release(runner->loop);
    weft_context_release(runner->context);
    free(runner);
    return NULL;
}

weft_loop *weft_runner_get_loop(weft_runner *runner) { return runner && !runner->closed ? runner->loop : NULL; }

static intptr_t run_interruptible(weft_loop *loop, weft_task *main) {
    bool interruptible = weft__interrupt_begin(loop, main);
    intptr_t result = run_until(loop, main);
    return weft__interrupt_end(interruptible, result);
}

intptr_t weft_runner_run(weft_runner *runner, weft_future *coroutine) {
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine->result;
    if (!runner || !weft_iscoroutine(coroutine)) return -EINVAL;
    int error = runner->closed ? -ESHUTDOWN : occupy(runner->loop);
    if (error) {
        weft_coroutine_close(coroutine);
        return error;
    }
    struct weft__task *main = weft__task_of(coroutine);
    weft__context_enter(runner->context);
    weft__loop_submit(runner->loop, main); /* copies the context */
    intptr_t result = run_interruptible(runner->loop, coroutine);
    struct weft__context **map = weft__context_current(); /* what main has made of it is what the next one finds */
    weft__context_release(*map);
    *map = weft__context_ref(main->context);
    weft__context_leave(runner->context);
    weft_release(coroutine);
    vacate(runner->loop);
    return result;
}

int weft_runner_close(weft_runner *runner) {
    if (!runner) return -EINVAL;
    if (runner->closed) return 0;
    int error = close_loop(runner->loop, false);
    runner->closed = error == 0;
    return error;
}

void weft_runner_release(weft_runner *runner) {
    if (!runner) return;
    weft_runner_close(runner);
    weft_loop_release(runner->loop);
    weft_context_release(runner->context);
    free(runner);
}
