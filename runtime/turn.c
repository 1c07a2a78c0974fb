#include "turn.h"

#include "worker.h"

/* ---- listeners ---- */

static void run_listener(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct weft__listener *self = weft__container_of(runnable, struct weft__listener, runnable);
    (void)worker; /* or none: its loop has ended, and somebody else may still wait for what we complete */
    self->hear(self);
}

void weft__listener_serve(struct weft__listener *listener) {
    struct weft__worker *worker = weft__world_worker();
    if (worker && worker->strict) weft__fifo_push(&worker->local, &listener->runnable.link);
    else listener->hear(listener);
}

static void serve(struct weft__waiter *waiter) {
    weft__listener_serve(weft__container_of(waiter, struct weft__listener, waiter));
}

void weft__listener_init(struct weft__listener *listener, void (*hear)(struct weft__listener *listener)) {
    listener->waiter.serve = serve;
    atomic_init(&listener->waiter.unwanted, false);
    listener->runnable.run = run_listener;
    listener->hear = hear;
}

/* ---- calls ---- */

/* A record of the slab: its stable bytes stay as they are, for walkers take them for a state word. */
struct weft__call {
    char stable[WEFT__SLAB_STABLE_BYTES];
    struct weft__runnable runnable;
    void (*fn)(void *arg); /* NULL: called off */
    void *arg;
};

static void run_call(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct weft__call *self = weft__container_of(runnable, struct weft__call, runnable);
    void (*fn)(void *arg) = self->fn;
    void *arg = self->arg;
    weft__slab_give(worker ? &worker->slab : NULL, self);
    if (fn && worker) fn(arg);
}

struct weft__call *weft__call_queue(struct weft__worker *worker, void (*fn)(void *arg), void *arg) {
    struct weft__call *self = weft__slab_take(&worker->slab);
    if (!self) {
        fn(arg);
        return NULL;
    }
    self->runnable.run = run_call;
    self->fn = fn;
    self->arg = arg;
    weft__fifo_push(&worker->local, &self->runnable.link);
    return self;
}

void weft__call_off(struct weft__call *call) { call->fn = NULL; }
