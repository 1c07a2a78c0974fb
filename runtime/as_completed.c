/* as_completed: a queue of what has completed, filled by listeners, emptied by next.
 *
 * The block is counted like that of wait.c. Its lock guards the queue and whom to tell; `told` is completed under
 * the lock, so that next, which takes it before it goes on, knows that nobody is at it any more. */
#include <weft/combine.h>

#include <stdlib.h>

#include "awaitables.h"
#include "turn.h"
#include "worker.h"

struct each {
    struct weft__listener listener;
    struct iteration *iteration;   /* const after init */
    weft_future *future;           /* const after init; referenced */
    struct weft__item link;        /* lock: in `done` */
};

struct iteration {
    _Atomic size_t references;     /* the iteration's own, and one per listener that may still hear */
    weft__lock lock;
    struct weft__fifo done;        /* lock */
    bool waiting;                  /* lock: next waits for `told` */
    weft_future told;              /* completed under the lock, or by a cancel request or the clock */
    /* whoever calls next */
    size_t left;                   /* not handed out */
    /* const after init */
    int64_t deadline_ns;
    size_t count;
    struct each all[];
};

struct handle {
    struct iteration *iteration;
};
_Static_assert(sizeof(struct handle) <= sizeof(weft_as_completed), "the public record is large enough");

static void release(struct iteration *self) {
    if (fetch_sub_acq_rel(&self->references, 1) > 1) return; /* pairs with itself */
    for (size_t i = 0; i < self->count; i++) weft_release(self->all[i].future);
    free(self);
}

static void hear(struct weft__listener *listener) {
    struct each *each = weft__container_of(listener, struct each, listener);
    struct iteration *self = each->iteration;
    weft__lock_acquire(&self->lock);
    weft__fifo_push(&self->done, &each->link);
    if (self->waiting) weft__future_complete(&self->told, 0, false, 0);
    self->waiting = false;
    weft__lock_release(&self->lock);
    release(self);
}

/* ---- begin, end ---- */

static struct iteration *iteration_new(size_t count, int64_t timeout_ns) {
    struct iteration *self = NULL;
    if (count < SIZE_MAX / 2 / sizeof *self->all) self = malloc(sizeof *self + count * sizeof *self->all);
    if (!self) return NULL;
    self->lock = (weft__lock){0};
    self->done = (struct weft__fifo){0};
    self->waiting = false;
    self->deadline_ns = weft__deadline(timeout_ns);
    return self;
}

/* As in gather.c, all are taken before the first one may be heard. */
static void take_all(struct iteration *self, weft_future *const *awaitables, size_t count) {
    atomic_init(&self->references, 1 + count);
    self->left = self->count = count;
    for (size_t i = 0; i < count; i++) {
        weft__listener_init(&self->all[i].listener, hear);
        self->all[i].iteration = self;
        self->all[i].future = weft__awaitables_take(awaitables, i);
    }
    for (size_t i = 0; i < count; i++) {
        struct weft__listener *listener = &self->all[i].listener;
        if (!weft__future_add_waiter(self->all[i].future, &listener->waiter)) weft__listener_serve(listener);
    }
}

static int begin(struct iteration **iteration, weft_future *const *awaitables, size_t count, int64_t timeout_ns) {
    int error = weft__awaitables_check(awaitables, count);
    if (error) return error;
    weft_future **distinct = malloc((count + 1) * sizeof(weft_future *));
    ptrdiff_t found = distinct ? weft__awaitables_distinct(awaitables, count, distinct) : -ENOMEM;
    *iteration = found < 0 ? NULL : iteration_new((size_t)found, timeout_ns);
    if (*iteration) take_all(*iteration, distinct, (size_t)found);
    free(distinct);
    return *iteration ? 0 : -ENOMEM;
}

int weft_as_completed_init(weft_as_completed *each, weft_future *const *awaitables, size_t count,
                           int64_t timeout_ns) {
    struct handle *handle = (struct handle *)(void *)each;
    if (handle) handle->iteration = NULL;
    int error = handle ? begin(&handle->iteration, awaitables, count, timeout_ns) : -EINVAL;
    if (error) weft__awaitables_discard(awaitables, count);
    return error;
}

void weft_as_completed_fini(weft_as_completed *each) {
    struct handle *handle = (struct handle *)(void *)each;
    struct iteration *self = handle ? handle->iteration : NULL;
    if (!self) return;
    handle->iteration = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (weft__future_remove_waiter(self->all[i].future, &self->all[i].listener.waiter)) release(self);
    release(self);
}

/* ---- next ---- */

/* The oldest that is done; NULL: `told` will tell. */
static weft_future *pop(struct iteration *self, bool wait) {
    weft__lock_acquire(&self->lock);
    struct weft__item *link = weft__fifo_pop(&self->done);
    if (!link && wait) weft__future_embed(&self->told);
    self->waiting = !link && wait;
    weft__lock_release(&self->lock);
    if (!link) return NULL;
    self->left--;
    return weft__container_of(link, struct each, link)->future;
}

int weft_as_completed_next(weft_as_completed *each, weft_future **next) {
    struct iteration *self = each && next ? ((struct handle *)(void *)each)->iteration : NULL;
    struct weft__worker *worker = weft__world_worker();
    if (!self) return -EINVAL;
    if (worker && !worker->current) return -EDEADLK;
    if (self->left == 0) return 0;
    if ((*next = pop(self, true))) {
        if (worker) weft__budget_charge();
        return 1;
    }
    intptr_t result = worker ? weft__await_until(worker->current, &self->told, self->deadline_ns)
                             : weft__await_on_thread(&self->told, self->deadline_ns);
    if (result == -ECANCELED || result == -EPERM) { /* the latter: inside a blocking region */
        weft__lock_acquire(&self->lock);
        self->waiting = false;
        weft__lock_release(&self->lock);
        return (int)result;
    }
    *next = pop(self, false);
    return *next ? 1 : -ETIMEDOUT;
}
