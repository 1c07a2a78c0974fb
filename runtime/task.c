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
#include "mutex_watch.h"
#include "worker.h"

/* ---- the record ---- */

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
    if (!task || !weft__is_coroutine(&task->future)) return -EINVAL;
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

static inline weft_task *create(weft_task_options options, weft_future *coroutine) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__worker *pinned = options.pinned ? worker : NULL;
    int error = 0;
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine; /* a failed weft_coroutine */
    if (!weft__is_coroutine(coroutine)) return weft__future_failed(-EINVAL); /* not ours to consume */
    if (!worker) error = -EPERM;
    else if (options.loop && !(pinned = weft__worker_of(worker->runtime, options.loop))) error = -EINVAL;
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

weft_task *weft_create_task_with(weft_task_options options, weft_future *coroutine) {
    return create(options, coroutine);
}

/* The same, compiled for no options at all. */
weft_task *weft_create_task(weft_future *coroutine) { return create((weft_task_options){0}, coroutine); }

weft_task *weft_spawn(weft_fn *fn, void *arg) {
    return create((weft_task_options){0}, weft_coroutine(fn, arg));
}

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
    if (worker->debug && !task->stack->hosts) weft__mutex_watch_look(task, task->stack);
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

static void sit_down(struct weft__task *task, struct weft__stack *stack) {
    stack->task = task;
    stack->hosts = NULL;
    task->stack = stack;
}

/* The commit of a task that has ended: its stack is free now. */
static bool commit_end(struct weft__task *none, void *arg) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__stack *stack = arg;
    (void)none;
    weft__stack_give(stack->pool, cache_of(worker, stack->pool), stack);
    return true;
}

/* Where a worker goes when its task has left: to `next`, which has a stack, or to its loop. */
static struct weft__fiber *follow(struct weft__worker *worker, struct weft__task *next) {
    return next ? &next->stack->fiber : &worker->scheduler;
}

/* The body of a task's stack. Of the tasks that follow, those that have not begun begin on it, too. */
static void run_and_leave(struct weft__stack *stack) {
    struct weft__task *task = stack->task;
    struct weft__worker *worker;
    weft__task_arrive(task);
    for (;;) {
        weft__task_run(task);
        worker = weft__world_worker();
        worker->current = NULL;
        task = weft__worker_next(worker);
        if (!task || task->stack || pool_of(task) != stack->pool) break;
        counter_add(&worker->stacks.hits, 1);
        sit_down(task, stack);
        worker->current = task;
    }
    worker->left = NULL;
    worker->commit = commit_end;
    worker->commit_arg = stack;
    if (task && !weft__task_seat(worker, task)) task = NULL;
    weft__fiber_switch(&stack->fiber, follow(worker, task));
}

void weft__task_fiber(struct weft__fiber *fiber) {
    struct weft__stack *stack = weft__container_of(fiber, struct weft__stack, fiber);
    for (;;) stack->body(stack); /* which has switched away for good, and returns when it has a successor */
}

/* Without memory the task ends with -ENOMEM; one that must start, because somebody waits for more than its end,
 * waits for memory instead. */
bool weft__task_seat(struct weft__worker *worker, struct weft__task *task) {
    if (task->stack) return true;
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
    sit_down(task, stack);
    return true;
}

/* Calls the commit that is due, if any, for whoever has left for us; false if he is to continue. Nobody is
 * `current` meanwhile: what is woken now goes behind what is ready. */
static bool commit(struct weft__worker *worker) {
    bool (*due)(struct weft__task *task, void *arg) = worker->commit;
    worker->commit = NULL;
    return !due || due(worker->left, worker->commit_arg);
}

void weft__task_step(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct weft__task *task = weft__container_of(runnable, struct weft__task, runnable);
    if (weft__phase(load_relaxed(&task->future.state)) == WEFT__READY)
        weft__assert(weft__task_claim(task, WEFT__READY, 0));
    if (!weft__task_seat(worker, task)) return;
    weft__budget_renew(worker);
    do {
        counter_add(&worker->counters.switches, 1);
        worker->current = task;
        weft__fiber_switch(&worker->scheduler, &task->stack->fiber);
        worker->current = NULL;
        task = worker->left; /* perhaps another one: one that was run in place, or followed */
    } while (!commit(worker));
}

struct weft__fiber *weft__task_leave(bool (*commit)(struct weft__task *task, void *arg), void *arg,
                                     struct weft__task **self) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__task *task = worker->current;
    if (worker->debug) weft__mutex_watch_look(task, task->stack);
    task->stack->saved_errno = *worker->errno_location;
    *self = worker->left = task;
    worker->commit = commit;
    worker->commit_arg = arg;
    worker->current = NULL;
    struct weft__task *next = weft__worker_next(worker);
    if (next && !weft__task_seat(worker, next)) next = NULL;
    return follow(worker, next);
}

void weft__task_arrive(struct weft__task *self) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker) { /* a pool thread, in blocking.c: nobody has left for us */
        *weft__world_errno() = self->stack->saved_errno;
        return;
    }
    worker->current = NULL;
    if (!commit(worker)) weft__task_wake(worker->left);
    worker->current = self;
    *worker->errno_location = self->stack->saved_errno;
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
