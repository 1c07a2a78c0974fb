/* The coop budget: a task whose operations never suspend (a peer that is always faster) yields anyway after
 * 128 of them or about 100 us, so that it starves nobody. A forced yield is no cancellation point. After
 * Tokio's coop. A strict-order loop yields only where CPython does, but for I/O calls. */
#include "worker.h"

void weft__budget_renew(struct weft__worker *worker) {
    worker->budget = WEFT__BUDGET;
    worker->budget_ends_ns = 0;
}

static bool used_up(struct weft__worker *worker) {
    if (worker->budget <= 0) return true;
    int64_t now = weft__world_now();
    if (worker->budget_ends_ns == 0) worker->budget_ends_ns = now + WEFT__BUDGET_NS;
    return now >= worker->budget_ends_ns;
}

/* Behind what is ready, but unlike weft_yield not behind what has not started: in a tree of tasks that are awaited
 * in place those are the largest subtrees, and would each need a stack. */
static bool commit_pause(struct weft__task *task, void *none) {
    struct weft__worker *worker = weft__world_worker();
    (void)none;
    if (task->pinned) weft__fifo_push(&worker->local, &task->runnable.link);
    else weft__ready_push_resumed(worker, task);
    return true;
}

void weft__budget_look(struct weft__worker *worker) {
    if (used_up(worker)) weft__task_suspend(commit_pause, NULL);
}
