/* Task life. The transitions, and who performs them:
 *
 *     -> COROUTINE            weft_coroutine_copy (coroutine.c)
 *     COROUTINE -> READY      weft__task_schedule
 *     COROUTINE -> STARTED    weft__task_claim, by weft_await as a plain call
 *     READY -> STARTED        weft__task_claim, by weft__task_step or, in place, by weft_await
 *     running -> suspended    weft__task_suspend: the scheduler's commit makes it wakeable, never the task
 *     suspended -> queued     weft__task_wake, exactly once per suspension
 *     STARTED -> DONE         weft__task_run
 *
 * Running, suspended and queued need no state of their own: a started task is held by exactly one party,
 * the worker that runs it, the wait that it published, or the queue that it stands in.
 *
 * References: one per handle; one of the queue's from READY on, which becomes the run's. A task that is
 * claimed in place leaves its entry in the deque behind, with the queue's reference; whoever pops the stale
 * entry drops it. So only tasks in a deque (an array of pointers) may be claimed in place: one that is
 * linked into a list could not be queued again while its old entry stands there. */
#include "task.h"

#include <stdlib.h>

#include "assert.h"
#include "context.h"
#include "worker.h"

/* ---- the record ---- */

void weft__task_init(struct weft__task *task, const char *name, weft_fn *fn) {
    weft__future_init(&task->future, WEFT__KIND_TASK);
    task->future.stack_class = 0;
    task->runnable.run = weft__task_step;
    task->stack = NULL;
    task->last_receive_fd = -1;
    task->data_left = false;
    task->in_deque = false;
    task->born_cancelled = false;
    task->must_start = false;
    task->fn = fn;
    task->name = name;
    task->runtime = NULL;
    task->pinned = NULL;
    task->context = NULL;
    store_relaxed(&task->wait, 0);
}

void weft__task_fini(struct weft__task *task) {
    weft__debug_assert(load_relaxed(&task->wait) == 0 && !task->stack);
    if (task->context) weft__context_release(task->context);
    if (task->future.arg_kind == WEFT__ARG_OWNED) free(weft__task_arg(task));
    if (task->future.arg_kind == WEFT__ARG_HOLDS_FUTURE) weft_release(*(weft_future **)weft__task_arg(task));
}

const char *weft_task_name(const weft_task *task) {
    struct weft__task *self = weft__task_of((weft_future *)(uintptr_t)task);
    return self && self->name ? self->name : "task";
}

/* ---- scheduling ---- */

int weft__task_schedule(struct weft__task *task, struct weft__runtime *runtime, struct weft__worker *pinned) {
    if (!task || !weft_iscoroutine(&task->future)) return -EINVAL;
    task->runtime = runtime;
    task->pinned = pinned;
    task->born_cancelled = load_relaxed(&runtime->stopping); /* pairs with the handshake in shutdown.c */
    struct weft__context *context = *weft__context_current();
    if (context) task->context = weft__context_ref(context);
    uint64_t state = load_relaxed(&task->future.state);
    for (;;) {
        if (weft__phase(state) != WEFT__COROUTINE) return -EINVAL;
        uint64_t next = ((state & ~WEFT__PHASE) | WEFT__READY) + WEFT__REFERENCE;
        if (task->born_cancelled) next += WEFT__REQUEST + WEFT__COUNTED;
        if (state == (WEFT__COROUTINE | WEFT__REFERENCE)) { /* nobody else knows it: no RMW */
            store_release(&task->future.state, next);
            return 0;
        }
        if (cas_weak_acq_rel(&task->future.state, &state, next)) return 0; /* pairs with weft__task_claim */
    }
}

/* Queues a task that was just scheduled on the running loop. */
static void queue_new(struct weft__worker *worker, struct weft__task *task) {
    counter_add(&worker->counters.spawns, 1);
    if (task->pinned && task->pinned != worker) {
        weft__worker_post(task->pinned, &task->runnable);
    } else if (task->pinned || worker->strict) {
        weft__fifo_push(&worker->local, &task->runnable.link);
    } else {
        task->in_deque = true;
        if (weft__ready_push_item(worker, (uintptr_t)task) == 0) return;
        task->in_deque = false; /* no memory for a larger deque: the injector needs none */
        weft__ready_inject(worker->runtime, task);
    }
}

static unsigned stack_class(struct weft__runtime *runtime, size_t bytes) {
    unsigned class = 0;
    if (bytes == 0) return runtime->default_class;
    while (class < WEFT__STACK_CLASSES - 1 && (size_t)WEFT__STACK_LEAST_BYTES << class < bytes) class ++;
    return class;
}

/* The worker of a loop, if it is one of this runtime; a loop of an ended runtime is only a handle. */
static struct weft__worker *worker_of(struct weft__runtime *runtime, const weft_loop *loop) {
    bool ours = loop->index < runtime->worker_count && runtime->workers[loop->index].loop == loop;
    return ours ? &runtime->workers[loop->index] : NULL;
}

weft_task *weft_create_task_with(weft_task_options options, weft_future *coroutine) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__worker *pinned = options.pinned ? worker : NULL;
    int error = 0;
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine; /* a failed weft_coroutine */
    if (!weft_iscoroutine(coroutine)) return weft__future_failed(-EINVAL); /* not ours to consume */
    if (!worker) error = -EPERM;
    else if (options.loop && !(pinned = worker_of(worker->runtime, options.loop))) error = -EINVAL;
    else if (options.stack_bytes > (size_t)WEFT__STACK_LEAST_BYTES << (WEFT__STACK_CLASSES - 1)) error = -EINVAL;
    if (error) {
        weft_release(coroutine);
        return weft__future_failed(error);
    }
    struct weft__task *task = weft__task_of(coroutine);
    if (options.name) task->name = options.name;
    coroutine->stack_class = (uint8_t)stack_class(worker->runtime, options.stack_bytes);
    if (weft__task_schedule(task, worker->runtime, pinned)) return weft__future_failed(-EINVAL);
    queue_new(worker, task);
    return coroutine;
}

weft_task *weft_create_task(weft_future *coroutine) {
    return weft_create_task_with((weft_task_options){0}, coroutine);
}

weft_task *weft_spawn(weft_fn *fn, void *arg) { return weft_create_task(weft_coroutine(fn, arg)); }

int weft_go(weft_fn *fn, void *arg) {
    weft_task *task = weft_spawn(fn, arg);
    int error = task->kind == WEFT__KIND_IMMORTAL ? (int)task->result : 0;
    weft_release(task);
    return error;
}

weft_future *weft_ensure_future(weft_future *awaitable) {
    if (!awaitable) return weft__future_failed(-EINVAL);
    return weft_iscoroutine(awaitable) ? weft_create_task(awaitable) : awaitable;
}

weft_task *weft_current_task(void) {
    struct weft__task *task = weft__running_task();
    return task ? &task->future : NULL;
}

/* ---- running ---- */

bool weft__task_claim(struct weft__task *task, enum weft__phase from, unsigned references) {
    uint64_t state = load_relaxed(&task->future.state), next;
    do {
        if (weft__phase(state) != from) return false;
        next = ((state & ~WEFT__PHASE) | WEFT__STARTED) + references * WEFT__REFERENCE;
    } while (!cas_weak_acq_rel(&task->future.state, &state, next)); /* pairs with weft__task_schedule */
    return true;
}

/* For the report, should nobody look at the error. */
static void note_end(struct weft__worker *worker, struct weft__task *task, intptr_t result) {
    if (!weft_is_error(result)) return;
    task->ended.loop = worker->loop;
    task->ended.serial = load_relaxed(&worker->loop->serial);
}

void weft__task_run(struct weft__task *task) {
    bool unwanted = weft__cancel_pending(task) && !task->must_start;
    intptr_t result = unwanted ? -ECANCELED : task->fn(weft__task_arg(task));
    struct weft__worker *worker = weft__blocking_end(); /* perhaps another one than before fn */
    weft__debug_assert(worker->current == task);
    task->stack = NULL;
    note_end(worker, task, result);
    weft__future_complete(&task->future, result, result == -ECANCELED, 1);
    weft__runtime_task_finished(worker);
}

static struct weft__stack_pool *pool_of(struct weft__task *task) {
    return &task->runtime->pools[task->future.stack_class];
}

static struct weft__stack_cache *cache_of(struct weft__worker *worker, struct weft__stack_pool *pool) {
    return pool == &worker->runtime->pools[worker->runtime->default_class] ? &worker->stacks : NULL;
}

/* The commit of a task that has ended: its stack is free now. */
static bool commit_end(struct weft__task *none, void *arg) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__stack *stack = arg;
    (void)none;
    weft__stack_give(stack->pool, cache_of(worker, stack->pool), stack);
    return true;
}

/* The body of a task's stack. */
static void run_and_leave(struct weft__stack *stack) {
    weft__task_run(stack->task);
    struct weft__worker *worker = weft__world_worker();
    worker->current = NULL;
    worker->commit = commit_end;
    worker->commit_arg = stack;
    weft__fiber_switch(&stack->fiber, &worker->scheduler);
}

void weft__task_fiber(struct weft__fiber *fiber) {
    struct weft__stack *stack = weft__container_of(fiber, struct weft__stack, fiber);
    for (;;) stack->body(stack); /* which has switched away for good, and returns when it has a successor */
}

/* Gives an unstarted task its stack. Without memory the task ends with -ENOMEM; one that must start, because
 * somebody waits for more than its end, waits for memory instead. */
static bool start(struct weft__worker *worker, struct weft__task *task) {
    struct weft__stack_pool *pool = pool_of(task);
    struct weft__stack *stack = weft__stack_take(pool, cache_of(worker, pool));
    if (!stack && task->must_start) {
        weft__ready_inject(worker->runtime, task);
        return false;
    }
    if (!stack) {
        note_end(worker, task, -ENOMEM);
        weft__future_complete(&task->future, -ENOMEM, false, 1);
        weft__runtime_task_finished(worker);
        return false;
    }
    stack->pool = pool;
    stack->body = run_and_leave;
    stack->task = task;
    stack->hosts = NULL;
    task->stack = stack;
    return true;
}

void weft__task_step(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct weft__task *task = weft__container_of(runnable, struct weft__task, runnable);
    if (weft__phase(load_relaxed(&task->future.state)) == WEFT__READY)
        weft__assert(weft__task_claim(task, WEFT__READY, 0));
    if (!task->stack && !start(worker, task)) return;
    weft__budget_renew(worker);
    do {
        counter_add(&worker->counters.switches, 1);
        worker->current = task;
        weft__fiber_switch(&worker->scheduler, &task->stack->fiber);
        task = worker->current; /* another one, if one was run in place; on a generator's stack perhaps */
        worker->current = NULL;
    } while (!worker->commit(task, worker->commit_arg));
}

void weft__task_suspend(bool (*commit)(struct weft__task *task, void *arg), void *arg) {
    int saved_errno = *weft__world_errno();
    struct weft__worker *worker = weft__world_worker();
    worker->commit = commit;
    worker->commit_arg = arg;
    weft__fiber_switch(&worker->current->stack->fiber, &worker->scheduler);
    *weft__world_errno() = saved_errno;
}

/* ---- waking ---- */

/* On a worker of the task's runtime. */
static void wake_here(struct weft__worker *worker, struct weft__task *task) {
    struct weft__worker *home = worker->strict ? worker : task->pinned;
#ifdef WEFT_FORCE_MIGRATION /* a debug build: finds whoever caches a thread-local over an await */
    if (!home) home = &worker->runtime->workers[(worker->index + 1) % worker->runtime->worker_count];
#endif
    if (home == worker) weft__fifo_push(&worker->local, &task->runnable.link);
    else if (home) weft__worker_post(home, &task->runnable);
    else if (worker->current) weft__ready_push_woken(worker, task);
    else weft__ready_push_resumed(worker, task);
}

void weft__task_wake(struct weft__task *task) {
    struct weft__runtime *runtime = task->runtime;
    struct weft__worker *worker = weft__world_worker();
    if (worker && worker->runtime == runtime) {
        wake_here(worker, task);
        return;
    }
    /* A foreign thread: once the task is queued it may end, and its runtime with it. As a guest we are
     * waited for. pairs with the waits in run.c and event_loop.c */
    atomic_fetch_add_explicit(&runtime->guests, 1, memory_order_seq_cst);
    if (task->pinned || runtime->options.fifo)
        weft__worker_post(task->pinned ? task->pinned : &runtime->workers[0], &task->runnable);
    else
        weft__ready_inject(runtime, task);
    atomic_fetch_sub_explicit(&runtime->guests, 1, memory_order_release);
}
