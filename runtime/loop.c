/* Loops as other threads see them.
 *
 * The gate lets foreign threads touch a runtime without it vanishing under them: its lowest bit says
 * closed, the rest counts those inside, in steps of 2. Closing sets the bit and waits until nobody is
 * inside; a latecomer sees the bit, and has touched nothing but the handle, which is reference-counted. */
#include <weft/loop.h>

#include <stdlib.h>

#include "assert.h"
#include "worker.h"

#define CLOSED UINT32_C(1)
#define INSIDE UINT32_C(2)

int weft__gate_enter(weft_loop *loop) {
    if (loop->generation != weft__world_generation()) return -EPERM; /* the workers are the parent's */
    /* pairs with weft__gate_close */
    if (!(atomic_fetch_add_explicit(&loop->gate, INSIDE, memory_order_acquire) & CLOSED)) return 0;
    weft__gate_leave(loop);
    return -ESHUTDOWN;
}

void weft__gate_leave(weft_loop *loop) {
    atomic_fetch_sub_explicit(&loop->gate, INSIDE, memory_order_release); /* pairs with weft__gate_close */
}

void weft__gate_close(weft_loop *loop) {
    atomic_fetch_or_explicit(&loop->gate, CLOSED, memory_order_acq_rel);
    for (unsigned round = 0; load_acquire(&loop->gate) != CLOSED; round++) weft__world_relax(round);
}

weft_loop *weft_get_running_loop(void) {
    struct weft__worker *worker = weft__world_worker();
    return worker ? worker->loop : NULL;
}

weft_loop *weft_loop_ref(weft_loop *loop) {
    if (loop) fetch_add_relaxed(&loop->references, 1);
    return loop;
}

void weft_loop_release(weft_loop *loop) {
    if (loop && fetch_sub_acq_rel(&loop->references, 1) == 1) free(loop);
}

/* ---- callbacks ---- */

/* A record of the slab: its stable bytes stay as they are, for walkers take them for a state word. */
struct callback {
    char stable[WEFT__SLAB_STABLE_BYTES];
    struct weft__runnable runnable;
    void (*fn)(void *arg);
    void *arg;
};

void weft__callback_drop(struct weft__worker *worker, struct weft__runnable *runnable) {
    weft__slab_give(worker ? &worker->slab : NULL, weft__container_of(runnable, struct callback, runnable));
}

static void run_callback(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct callback *callback = weft__container_of(runnable, struct callback, runnable);
    void (*fn)(void *arg) = callback->fn;
    void *arg = callback->arg;
    weft__callback_drop(worker, runnable);
    if (worker) fn(arg);
}

int weft_loop_call_soon_threadsafe(weft_loop *loop, void (*fn)(void *arg), void *arg) {
    if (!loop || !fn) return -EINVAL;
    int error = weft__gate_enter(loop);
    if (error) return error;
    struct weft__worker *target = loop->worker, *self = weft__world_worker();
    struct callback *callback = weft__slab_take(weft__worker_slab());
    if (callback) {
        callback->runnable.run = run_callback;
        callback->fn = fn;
        callback->arg = arg;
        if (self == target) weft__fifo_push(&target->local, &callback->runnable.link);
        else weft__worker_post(target, &callback->runnable);
    }
    weft__gate_leave(loop);
    return callback ? 0 : -ENOMEM;
}

/* ---- coroutines from elsewhere ---- */

static int submit(struct weft__task *task, weft_loop *loop) {
    struct weft__runtime *runtime = loop->worker->runtime;
    int error = weft__task_schedule(task, runtime, NULL);
    if (error) return error;
    task->future.stack_class = (uint8_t)runtime->default_class;
    atomic_fetch_add_explicit(&runtime->foreign_spawns, 1, memory_order_seq_cst); /* read in run.c */
    if (runtime->options.fifo) weft__worker_post(loop->worker, &task->runnable);
    else weft__ready_inject(runtime, task);
    return 0;
}

weft_future *weft_run_coroutine_threadsafe(weft_future *coroutine, weft_loop *loop) {
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine;
    if (!weft_iscoroutine(coroutine)) return weft__future_failed(-EINVAL);
    int error = loop ? weft__gate_enter(loop) : -EINVAL;
    if (error == 0) {
        error = submit(weft__task_of(coroutine), loop);
        weft__gate_leave(loop);
    }
    if (error == 0) return coroutine;
    weft_coroutine_close(coroutine);
    return weft__future_failed(error);
}
