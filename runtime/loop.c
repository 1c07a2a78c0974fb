/* Loops as handles, and the gate into their runtimes.
 *
 * The gate lets foreign threads touch a runtime without it vanishing under them: its lowest bit says
 * closed, the rest counts those inside, in steps of 2. Closing sets the bit and waits until nobody is
 * inside; a latecomer sees the bit, and has touched nothing but the handle, which is reference-counted.
 *
 * Handles are never unmapped, and get a new serial with each use. So a future need not hold a reference on its
 * loop, which would cost two atomic operations per future: it remembers handle and serial, and finds out inside
 * the gate whether that is still the same loop. */
#include <weft/loop.h>

#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "worker.h"
#include "world_mutexes.h"

#define CLOSED UINT32_C(1)
#define INSIDE UINT32_C(2)
#define SLOW_NS INT64_C(100000000)

/* ---- handles ---- */

static struct {
    weft__lock lock;
    weft_loop *free; /* lock */
} handles;

weft_loop *weft__loop_new(struct weft__worker *worker) {
    weft__lock_acquire(&handles.lock);
    weft_loop *loop = handles.free;
    if (loop) handles.free = loop->next_free;
    weft__lock_release(&handles.lock);
    if (!loop && !(loop = calloc(1, sizeof *loop))) return NULL;
    loop->worker = worker;
    store_relaxed(&loop->index, worker->index);
    store_relaxed(&loop->generation, weft__world_generation());
    loop->own = false;
    store_relaxed(&loop->references, 1);
    weft_loop_set_debug(loop, worker->runtime->options.debug > 0);
    store_relaxed(&loop->slow_ns, SLOW_NS);
    weft_loop_set_exception_handler(loop, NULL, NULL);
    store_release(&loop->serial, weft__world_serial()); /* pairs with weft__gate_try_enter */
    store_release(&loop->gate, 0);                      /* pairs with the RMW in weft__gate_enter */
    return loop;
}

weft_loop *weft_loop_ref(weft_loop *loop) {
    if (loop) fetch_add_relaxed(&loop->references, 1); /* the caller's own reference keeps it alive */
    return loop;
}

void weft_loop_release(weft_loop *loop) {
    if (!loop) return;
    bool abandoned = loop->own && load_acquire(&loop->references) == 2 && !weft_loop_is_closed(loop);
    if (abandoned) { /* the other reference is the runtime's */
        fprintf(stderr, "weft: a loop was given up without being closed\n");
        weft_loop_close(loop);
    }
    if (fetch_sub_acq_rel(&loop->references, 1) > 1) return; /* pairs with itself */
    weft__lock_acquire(&handles.lock);
    loop->next_free = handles.free;
    handles.free = loop;
    weft__lock_release(&handles.lock);
}

/* ---- the gate ---- */

int weft__gate_enter(weft_loop *loop) {
    if (load_relaxed(&loop->generation) != weft__world_generation()) return -EPERM; /* the workers are the parent's */
    /* pairs with weft__gate_close */
    if (!(atomic_fetch_add_explicit(&loop->gate, INSIDE, memory_order_acquire) & CLOSED)) return 0;
    weft__gate_leave(loop);
    return -ESHUTDOWN;
}

bool weft__gate_try_enter(weft_loop *loop, uint64_t serial) {
    if (!loop || weft__gate_enter(loop) != 0) return false;
    if (load_acquire(&loop->serial) == serial) return true; /* pairs with weft__loop_new */
    weft__gate_leave(loop);
    return false;
}

void weft__gate_leave(weft_loop *loop) {
    atomic_fetch_sub_explicit(&loop->gate, INSIDE, memory_order_release); /* pairs with weft__gate_close */
}

/* Again is fine: a loop that is closed while it runs closes its gate in both. */
void weft__gate_close(weft_loop *loop) {
    atomic_fetch_or_explicit(&loop->gate, CLOSED, memory_order_acq_rel);
    for (unsigned round = 0; load_acquire(&loop->gate) != CLOSED; round++) weft__world_relax(round);
}

bool weft__gate_any_inside(weft_loop *loop) { return load_acquire(&loop->gate) >= INSIDE; } /* pairs with leave */

/* ---- which loop ---- */

weft_loop *weft_get_running_loop(void) {
    struct weft__worker *worker = weft__world_worker();
    return worker ? worker->loop : NULL;
}

weft_loop *weft_get_event_loop(void) {
    weft_loop *running = weft_get_running_loop();
    return running ? running : *weft__world_event_loop();
}

void weft_set_event_loop(weft_loop *loop) { *weft__world_event_loop() = loop; }

/* The public queries take a const handle, atomics do not. */
static weft_loop *mutable(const weft_loop *loop) { return (weft_loop *)(uintptr_t)loop; }

bool weft_loop_is_running(const weft_loop *loop) { return loop && load_acquire(&mutable(loop)->running); }

bool weft_loop_is_closed(const weft_loop *loop) { return !loop || load_acquire(&mutable(loop)->gate) & CLOSED; }

int64_t weft_loop_time(const weft_loop *loop) {
    (void)loop;
    return weft__world_now();
}

weft_loop *weft_future_get_loop(const weft_future *future) {
    if (!future) return NULL;
    struct weft__task *task = weft__task_of((weft_future *)(uintptr_t)future);
    if (!task) return weft__future_loop(future);
    if (!task->runtime || weft_done(future)) return NULL;
    return task->pinned ? task->pinned->loop : task->runtime->workers[0].loop;
}

/* ---- coroutines from elsewhere ---- */

int weft__loop_submit(weft_loop *loop, struct weft__task *task) {
    struct weft__runtime *runtime = loop->worker->runtime;
    int error = weft__task_schedule(task, runtime, NULL);
    if (error) return error;
    task->future.stack_class = (uint8_t)runtime->default_class;
    atomic_fetch_add_explicit(&runtime->foreign_spawns, 1, memory_order_seq_cst); /* read in shutdown.c */
    if (runtime->options.fifo) weft__worker_post(loop->worker, &task->runnable);
    else weft__ready_inject(runtime, task);
    return 0;
}

weft_future *weft_run_coroutine_threadsafe(weft_future *coroutine, weft_loop *loop) {
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine;
    if (!weft_iscoroutine(coroutine)) return weft__future_failed(-EINVAL);
    int error = loop ? weft__gate_enter(loop) : -EINVAL;
    if (error == 0) {
        error = weft__loop_submit(loop, weft__task_of(coroutine));
        weft__gate_leave(loop);
    }
    if (error == 0) return coroutine;
    weft_coroutine_close(coroutine);
    return weft__future_failed(error);
}

weft_task *weft_loop_create_task(weft_loop *loop, weft_future *coroutine) {
    struct weft__worker *worker = weft__world_worker();
    if (loop && worker && worker->loop == loop) return weft_create_task(coroutine);
    return weft_run_coroutine_threadsafe(coroutine, loop);
}

/* ---- debug mode ---- */

void weft_loop_set_debug(weft_loop *loop, bool on) {
    if (on) store_relaxed(&weft__debug_sites, true);
    if (on) weft__world_watch_mutexes();
    if (loop) store_relaxed(&loop->debug, on);
}

bool weft_loop_get_debug(const weft_loop *loop) { return loop && load_relaxed(&mutable(loop)->debug); }

void weft_loop_set_slow_callback_duration(weft_loop *loop, int64_t duration_ns) {
    if (loop) store_relaxed(&loop->slow_ns, duration_ns);
}

int64_t weft_loop_get_slow_callback_duration(const weft_loop *loop) {
    return loop ? load_relaxed(&mutable(loop)->slow_ns) : 0;
}
