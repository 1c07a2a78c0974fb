/* Taking work from another worker: half of its ring, else the oldest of its deque, else its LIFO slot, but
 * that only from a worker that has not moved on for a while (stealing it eagerly costs 30 %: Tokio). */
#include "worker.h"

#define LIFO_STALE_NS 50000

static struct weft__task *steal_ring(struct weft__worker *worker, struct weft__worker *victim) {
    void *items[WEFT__RING_QUEUE_CAPACITY / 2 + 1];
    if (weft__ring_queue_count(&victim->ring) == 0) return NULL;
    size_t count = weft__ring_queue_take_half(&victim->ring, items);
    if (count == 0) return NULL;
    for (size_t i = 1; i < count; i++) weft__ready_push_resumed(worker, items[i]);
    counter_add(&worker->counters.steals, count);
    return items[0];
}

static struct weft__task *steal_deque(struct weft__worker *worker, struct weft__worker *victim) {
    struct weft__task *task = weft__ready_claim(worker, &victim->deque, weft__deque_steal);
    if (task) counter_add(&worker->counters.steals, 1);
    return task;
}

/* The slot is stale if the victim has taken no step since we saw it before. */
static struct weft__task *steal_lifo(struct weft__worker *worker, struct weft__worker *victim) {
    if (!load_relaxed(&victim->lifo)) return NULL;
    uint32_t tick = load_relaxed(&victim->visible_tick);
    int64_t now = weft__world_now();
    if (worker->lifo_victim != victim || worker->lifo_tick != tick) {
        worker->lifo_victim = victim;
        worker->lifo_tick = tick;
        worker->lifo_seen_ns = now;
        return NULL;
    }
    if (now - worker->lifo_seen_ns < LIFO_STALE_NS) return NULL;
    struct weft__task *task = exchange_acq_rel(&victim->lifo, NULL); /* pairs with weft__ready_push_woken */
    if (task) counter_add(&worker->counters.steals, 1);
    return task;
}

struct weft__task *weft__steal(struct weft__worker *worker) {
    struct weft__runtime *runtime = worker->runtime;
    unsigned count = runtime->worker_count, first = weft__world_random() % count;
    for (unsigned i = 0; i < count; i++) {
        struct weft__worker *victim = &runtime->workers[(first + i) % count];
        struct weft__task *task;
        if (victim == worker) continue;
        counter_add(&worker->counters.steal_attempts, 1);
        if ((task = steal_ring(worker, victim))) return task;
        if ((task = steal_deque(worker, victim))) return task;
        if ((task = steal_lifo(worker, victim))) return task;
    }
    return NULL;
}

bool weft__steal_worthwhile(struct weft__worker *worker) {
    struct weft__runtime *runtime = worker->runtime;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *victim = &runtime->workers[i];
        if (victim == worker) continue;
        if (weft__ring_queue_count(&victim->ring) > 0 || weft__deque_count(&victim->deque) > 0) return true;
    }
    return false;
}
