/* Blocking regions: the running task moves, with its stack, to a thread of a pool and back.
 *
 * enter suspends the task like an await, with an item for the pool as what it waits for; a thread that takes the
 * item switches to the task's stack, as a worker would. leave switches back to the thread's own context, which
 * then wakes the task: so a pinned one returns to its worker, and others to any. In between the thread has no
 * worker, and `task` in its record says who runs there; whoever asks for the current task or for its context
 * variables looks there second.
 *
 *     state: NEW --admit, under the pool's lock--> QUEUED --claim, under it--> TAKEN    a thread runs the task
 *             |                                     |  +----claim, then drop--> TAKEN   woken, with an error
 *             +------------------cancel-------------+--cancel--> CANCELLED              woken, if it was QUEUED
 *
 * The item lives on the task's stack. Who makes it CANCELLED may wake the task before the item is out of the
 * queue; so the task withdraws it before it goes on, which takes the lock and thereby waits for whoever is at it.
 *
 * Unjoined parallel calls are no obstacle: a call that nobody took stays in the worker's deque for whoever looks
 * next, as over any other await. To count them would cost weft_parallel_start as much as it costs now. */
#include <weft/executor.h>

#include "assert.h"
#include "mutex_watch.h"
#include "thread_pool.h"
#include "worker.h"

enum { NEW, QUEUED, TAKEN, CANCELLED };

struct region {
    struct weft__wait wait;
    struct weft__pool_item item;
    struct weft__task *task;
    weft_thread_pool *pool;  /* with a reference of the runtime's */
    _Atomic uint32_t state;
    int error;               /* why no thread comes */
};

struct weft__task *weft__blocked_task(void) {
    struct weft__pool_thread *thread = weft__world_pool_thread();
    return thread ? thread->task : NULL;
}

/* ---- the item ---- */

static struct region *region_of(struct weft__pool_item *item) {
    return weft__container_of(item, struct region, item);
}

static bool move(struct region *self, uint32_t from, uint32_t to) {
    return cas_acq_rel(&self->state, &from, to); /* pairs with itself, and cancel */
}

static bool admit(struct weft__pool_item *item) { return move(region_of(item), NEW, QUEUED); }
static bool claim(struct weft__pool_item *item) { return move(region_of(item), QUEUED, TAKEN); }

static void run_region(struct weft__pool_thread *thread, struct weft__pool_item *item) {
    struct weft__task *task = region_of(item)->task;
    thread->task = task;
    thread->depth = 1;
    weft__fiber_switch(&thread->scheduler, &task->stack->fiber);
    thread->task = NULL;
    weft__task_wake(task);
}

static void drop_region(struct weft__pool_item *item, int error) {
    struct region *self = region_of(item);
    self->error = error;
    weft__task_wake(self->task);
}

static void cancel(struct weft__wait *wait) {
    struct region *self = weft__container_of(wait, struct region, wait);
    uint32_t seen = load_relaxed(&self->state);
    do {
        if (seen != NEW && seen != QUEUED) return;
    } while (!cas_weak_acq_rel(&self->state, &seen, CANCELLED)); /* pairs with move */
    if (seen == QUEUED) weft__task_wake(self->task);
}

/* ---- enter and leave ---- */

static bool commit_enter(struct weft__task *task, void *arg) {
    struct region *self = arg;
    weft__wait_publish(task, &self->wait);
    int error = weft__pool_push(self->pool, &self->item);
    if (!error) return true; /* from here the task may be anywhere */
    self->error = error;
    return false;
}

static int move_to_thread(struct weft__task *task, weft_thread_pool *pool) {
    static const struct weft__pool_ops ops = {.admit = admit, .claim = claim, .run = run_region, .drop = drop_region};
    struct region self = {.wait.cancel = cancel, .item.ops = &ops, .task = task, .pool = pool};
    weft__list_init(&self.item.link);
    weft__task_suspend(commit_enter, &self);
    weft__wait_retract(task);
    if (load_acquire(&self.state) != CANCELLED) return self.error; /* pairs with cancel */
    weft__pool_withdraw(pool, &self.item);
    weft__cancel_consume(task); /* unless it was taken back meanwhile */
    return -ECANCELED;
}

int weft_enter_blocking(void) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__task *task = worker ? worker->current : NULL;
    if (!worker && weft__blocked_task()) {
        weft__world_pool_thread()->depth++;
        return 0;
    }
    int error = task ? 0 : -EPERM;
    weft_thread_pool *pool = task ? weft__blocking_pool(worker->runtime, &error) : NULL;
    if (!pool) return error;
    weft__pool_unref(pool); /* the runtime's reference outlives the task */
    return move_to_thread(task, pool);
}

static void move_back(struct weft__pool_thread *thread) {
    struct weft__task *task = thread->task;
    if (load_relaxed(&task->runtime->workers[0].loop->debug)) weft__mutex_watch_look(task, task->stack);
    task->stack->saved_errno = *weft__world_errno();
    weft__fiber_switch(&task->stack->fiber, &thread->scheduler);
    weft__task_arrive(task);
}

int weft_leave_blocking(void) {
    if (weft__world_worker() || !weft__blocked_task()) return -EPERM;
    struct weft__pool_thread *thread = weft__world_pool_thread();
    if (--thread->depth == 0) move_back(thread);
    return 0;
}

struct weft__worker *weft__blocking_forgotten(void) {
    move_back(weft__world_pool_thread());
    return weft__world_worker();
}
