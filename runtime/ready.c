/* The queues of a worker, and the order in which they are served.
 *
 *     lifo slot   the task woken last: its data is in the cache. At most 3 in a row.
 *     ring        resumed tasks, FIFO, stolen by halves; overflows into the injector
 *     deque       unstarted tasks and parallel calls, newest first; thieves take the oldest
 *     injector    tasks from foreign threads, for every worker
 *     local       pinned tasks, callbacks and messages, FIFO, never stolen (served by worker.c)
 *
 * Every 61st tick the order is turned round, injector and oldest of the deque first, so that no queue is
 * passed over for longer. After a yield what the deque held then comes first, oldest first, so that a task
 * which yields until another one has started does not wait for that tick. */
#include "assert.h"
#include "worker.h"

#define LIFO_MOST 3

/* Others may help, once there are two items: waking a worker costs us more than running one. Only a hint:
 * if a worker falls asleep this moment, the items are still ours to run. */
static void call_for_help(struct weft__worker *worker) {
    if (load_relaxed(&worker->runtime->idle.sleeping) == 0) return;
    if (weft__ring_queue_count(&worker->ring) + weft__deque_count(&worker->deque) >= 2)
        weft__idle_notify(worker->runtime);
}

void weft__ready_push_resumed(struct weft__worker *worker, struct weft__task *task) {
    __builtin_prefetch(task->stack); /* where the switch to it begins */
    while (!weft__ring_queue_push(&worker->ring, task)) {
        void *half[WEFT__RING_QUEUE_CAPACITY / 2 + 1];
        size_t count = weft__ring_queue_take_half(&worker->ring, half);
        for (size_t i = 0; i < count; i++) weft__ready_inject(worker->runtime, half[i]);
        if (count > 0) continue;
        weft__ready_inject(worker->runtime, task); /* a thief is at it: there will be room, but not yet */
        return;
    }
    call_for_help(worker);
}

void weft__ready_push_yielded(struct weft__worker *worker, struct weft__task *task) {
    worker->deque_first = weft__deque_count(&worker->deque);
    weft__ready_push_resumed(worker, task);
}

void weft__ready_push_woken(struct weft__worker *worker, struct weft__task *task) {
    if (!load_relaxed(&worker->lifo)) { /* only we fill it */
        store_release(&worker->lifo, task); /* pairs with the exchanges in pop_lifo and in steal.c */
        return;
    }
    struct weft__task *former = exchange_acq_rel(&worker->lifo, task);
    if (former) weft__ready_push_resumed(worker, former);
}

int weft__ready_push_item(struct weft__worker *worker, uintptr_t item) {
    int error = weft__deque_push(&worker->deque, item);
    if (!error) call_for_help(worker);
    return error;
}

void weft__ready_inject(struct weft__runtime *runtime, struct weft__task *task) {
    weft__lock_acquire(&runtime->injector.lock);
    weft__fifo_push(&runtime->injector.queue, &task->runnable.link);
    store_relaxed(&runtime->injector.count, runtime->injector.queue.count);
    weft__lock_release(&runtime->injector.lock);
    weft__idle_notify(runtime);
}

static struct weft__task *pop_injector(struct weft__runtime *runtime) {
    if (load_relaxed(&runtime->injector.count) == 0) return NULL;
    weft__lock_acquire(&runtime->injector.lock);
    struct weft__item *link = weft__fifo_pop(&runtime->injector.queue);
    store_relaxed(&runtime->injector.count, runtime->injector.queue.count);
    weft__lock_release(&runtime->injector.lock);
    return link ? weft__container_of(link, struct weft__task, runnable.link) : NULL;
}

static bool is_call(uintptr_t item) { return item & 1; }

/* Makes a task of what came out of a deque, of a parallel call by means of `*spare`; NULL for a stale entry. */
static struct weft__task *claim_item(struct weft__runtime *runtime, struct weft__task **spare, uintptr_t item) {
    if (is_call(item)) {
        struct weft__task *record = *spare;
        *spare = NULL;
        return weft__parallel_adopt(runtime, record, item);
    }
    struct weft__task *task = (struct weft__task *)item;
    if (weft__task_claim(task, WEFT__READY, 0)) return task;
    weft_release(&task->future); /* run in place meanwhile */
    return NULL;
}

struct weft__task *weft__ready_claim(struct weft__worker *worker, struct weft__deque *deque,
                                     uintptr_t (*take)(struct weft__deque *deque)) {
    while (weft__deque_count(deque) > 0 && weft__worker_spare_ready(worker)) {
        uintptr_t item = take(deque);
        if (item == 0) return NULL;
        if (item == WEFT__DEQUE_RETRY) continue;
        struct weft__task *task = claim_item(worker->runtime, &worker->spare, item);
        if (is_call(item)) counter_add(&worker->counters.spawns, 1);
        if (task) return task;
    }
    return NULL;
}

static struct weft__task *take_lifo(struct weft__worker *worker) {
    struct weft__task *task = load_relaxed(&worker->lifo);
    if (!task) return NULL;
    if (!worker->alone) return exchange_acq_rel(&worker->lifo, NULL); /* pairs with weft__ready_push_woken */
    store_relaxed(&worker->lifo, NULL);
    return task;
}

static struct weft__task *pop_lifo(struct weft__worker *worker) {
    if (worker->lifo_streak >= LIFO_MOST) {
        worker->lifo_streak = 0;
        if (weft__ring_queue_count(&worker->ring) + weft__deque_count(&worker->deque) > 0) return NULL;
    }
    struct weft__task *task = take_lifo(worker);
    worker->lifo_streak += task != NULL;
    return task;
}

struct weft__task *weft__ready_next(struct weft__worker *worker) {
    struct weft__task *task;
    if (worker->tick % WEFT__TICKS == 0) {
        if ((task = pop_injector(worker->runtime))) return task;
        if ((task = weft__ready_claim(worker, &worker->deque, weft__deque_steal))) return task;
    }
    if ((task = pop_lifo(worker))) return task;
    worker->lifo_streak = 0;
    if (worker->deque_first > 0) {
        worker->deque_first--;
        if ((task = weft__ready_claim(worker, &worker->deque, weft__deque_steal))) return task;
    }
    if ((task = weft__ring_queue_pop(&worker->ring))) return task;
    if ((task = weft__ready_claim(worker, &worker->deque, weft__deque_pop))) return task;
    if ((task = pop_injector(worker->runtime))) return task;
    return take_lifo(worker);
}

bool weft__ready_any(struct weft__worker *worker) {
    return worker->local.count > 0 || load_relaxed(&worker->lifo) || weft__ring_queue_count(&worker->ring) > 0 ||
           weft__deque_count(&worker->deque) > 0 || !weft__inbox_empty(&worker->inbox) ||
           load_relaxed(&worker->posted) || load_relaxed(&worker->runtime->injector.count) > 0;
}

/* ---- a stuck worker's ---- */

/* Of the deque only the oldest: it may hold a million tasks that the worker is just making. */
static void evacuate_deque(struct weft__worker *victim, struct weft__task **spare) {
    struct weft__runtime *runtime = victim->runtime;
    if (weft__deque_count(&victim->deque) == 0) return;
    if (!*spare && !(*spare = weft__slab_take(NULL))) return;
    uintptr_t item = weft__deque_steal(&victim->deque);
    if (item == 0 || item == WEFT__DEQUE_RETRY) return;
    struct weft__task *task = claim_item(runtime, spare, item);
    if (is_call(item)) atomic_fetch_add_explicit(&runtime->foreign_spawns, 1, memory_order_seq_cst); /* shutdown.c */
    if (task) weft__ready_inject(runtime, task);
}

void weft__ready_evacuate(struct weft__worker *victim, struct weft__task **spare) {
    void *items[WEFT__RING_QUEUE_CAPACITY / 2 + 1];
    size_t count = weft__ring_queue_count(&victim->ring) > 0 ? weft__ring_queue_take_half(&victim->ring, items) : 0;
    for (size_t i = 0; i < count; i++) weft__ready_inject(victim->runtime, items[i]);
    struct weft__task *woken = load_relaxed(&victim->lifo) ? exchange_acq_rel(&victim->lifo, NULL) : NULL;
    if (woken) weft__ready_inject(victim->runtime, woken); /* the exchange pairs with weft__ready_push_woken */
    evacuate_deque(victim, spare);
}
