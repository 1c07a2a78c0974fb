/* Fork-join with the record on the caller's stack.
 *
 * A call leaves a deque only by being popped or stolen, never by a claim on its record: its frame may be
 * gone. Join runs it in place if it is the newest of the current worker's deque; else somebody has it, or
 * will, and join waits. Whoever pops or steals it adopts it: a task of its own, on a fiber of its own, made
 * of a record that was set aside beforehand, so that taking it cannot fail.
 *
 *     state: RUNNING --(joiner, in commit)--> joiner's task | --(runner)--> FINISHED */
#include <weft/parallel.h>

#include "assert.h"
#include "worker.h"

struct call {
    weft_fn *fn;
    void *arg;
    intptr_t result;              /* written before FINISHED */
    _Atomic uintptr_t state;      /* RUNNING, FINISHED, or the task that waits in join */
    bool offered;                 /* in a deque; false: has run already */
};
_Static_assert(sizeof(struct call) <= sizeof(weft_parallel), "the public record is large enough");

#define RUNNING ((uintptr_t)0)
#define FINISHED ((uintptr_t)1)

static uintptr_t item_of(struct call *call) { return (uintptr_t)call | 1; }

/* The body of the task that adopted the call. */
static intptr_t run_adopted(void *arg) {
    struct call *call = arg;
    call->result = call->fn(call->arg);
    /* pairs with the CAS in commit_join and the load in join; without a joiner the record may be gone now */
    uintptr_t joiner = exchange_acq_rel(&call->state, FINISHED);
    if (joiner != RUNNING) weft__task_wake((struct weft__task *)joiner);
    return 0;
}

struct weft__task *weft__parallel_adopt(struct weft__runtime *runtime, struct weft__task *task, uintptr_t item) {
    weft__task_init(task, "parallel", run_adopted);
    weft__task_set_arg(task, (void *)(item & ~(uintptr_t)1));
    task->must_start = true; /* its joiner waits for the call, not for the task */
    task->runtime = runtime;
    task->future.stack_class = (uint8_t)runtime->default_class;
    store_release(&task->future.state, WEFT__STARTED | WEFT__REFERENCE); /* pairs with try_ref */
    return task;
}

int weft_parallel_start(weft_parallel *record, weft_fn *fn, void *arg) {
    if (!record || !fn) return -EINVAL;
    struct call *call = (struct call *)(void *)record;
    struct weft__worker *worker = weft__world_worker();
    call->fn = fn;
    call->arg = arg;
    atomic_init(&call->state, RUNNING);
    call->offered = worker && worker->current && !worker->strict &&
                    weft__ready_push_item(worker, item_of(call)) == 0;
    if (!call->offered) call->result = fn(arg);
    return 0;
}

static bool commit_join(struct weft__task *task, void *arg) {
    struct call *call = arg;
    uintptr_t running = RUNNING; /* pairs with run_adopted */
    return cas_acq_rel(&call->state, &running, (uintptr_t)task);
}

intptr_t weft_parallel_join(weft_parallel *record) {
    if (!record) return -EINVAL;
    struct call *call = (struct call *)(void *)record;
    if (!call->offered) return call->result;
    struct weft__worker *worker = weft__world_worker();
    if (worker && weft__deque_pop_if(&worker->deque, item_of(call))) return call->fn(call->arg);
    if (!worker && load_acquire(&call->state) != FINISHED) return -EPERM; /* pairs with run_adopted */
    if (load_acquire(&call->state) != FINISHED) weft__task_suspend(commit_join, call); /* pairs with run_adopted */
    return call->result;
}
