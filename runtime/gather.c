/* gather: a future that is done when its children are.
 *
 *     state:  | SETTLED  CANCELLED | children that have not reported |
 *
 * Each child reports once, on the thread that completes it (on a strict-order loop, in its turn of the queue).
 * Exactly one report completes the gather:
 *  - without return_exceptions, the first error, if it can set SETTLED, which excludes CANCELLED;
 *  - else the one that takes the count to zero. It sees in the same RMW whether CANCELLED was set before. Only
 *    this one writes the results: after SETTLED the caller's array may be gone.
 * A cancel request sets CANCELLED unless SETTLED is set or the count is zero: so one that is accepted is always
 * reported. The children have one reference on the gather together, which the last report gives up; the gather
 * has one on each child until it is freed, for a canceller may be passing through them.
 *
 * One allocation beside the record: 64 bytes a child, the listeners. */
#include <weft/combine.h>

#include <stdarg.h>
#include <stdlib.h>

#include "assert.h"
#include "awaitables.h"
#include "turn.h"
#include "worker.h"

#define SETTLED (UINT64_C(1) << 63)
#define CANCELLED (UINT64_C(1) << 62)
#define REMAINING (CANCELLED - 1)

struct child {
    struct weft__listener listener;
    struct gather *gather;         /* const after init */
    weft_future *future;           /* const after init */
};

struct gather {
    struct weft__custom custom;
    _Atomic uint64_t state;        /* any thread */
    /* const after init */
    bool return_exceptions;
    intptr_t *results;
    size_t count;
    struct child *children;
};
_Static_assert(sizeof(struct gather) <= WEFT__SLAB_RECORD_BYTES, "a gather is one slab record");

/* ---- cancelling ---- */

static bool accept_cancel(weft_future *future) {
    struct gather *self = (struct gather *)future;
    uint64_t state = load_relaxed(&self->state);
    do
        if (state & SETTLED || (state & REMAINING) == 0) return false;
    while (!cas_weak_acq_rel(&self->state, &state, state | CANCELLED)); /* pairs with settle and report */
    return true;
}

static void pass_cancel(weft_future *future, const struct weft__passage *passage) {
    struct gather *self = (struct gather *)future;
    const char *message = load_relaxed(&future->message);
    for (size_t i = 0; i < self->count; i++) weft__cancel_along(self->children[i].future, message, passage);
}

/* ---- reports ---- */

static bool settle(struct gather *self) {
    uint64_t state = load_relaxed(&self->state);
    do
        if (state & (SETTLED | CANCELLED)) return false;
    while (!cas_weak_acq_rel(&self->state, &state, state | SETTLED)); /* pairs with accept_cancel */
    return true;
}

static void finish(struct gather *self, bool cancelled) {
    for (size_t i = 0; self->results && i < self->count; i++)
        self->results[i] = weft__future_retrieve(self->children[i].future);
    weft__future_complete(&self->custom.future, cancelled ? -ECANCELED : 0, false, 1);
}

static void report(struct gather *self, weft_future *child) {
    weft_future *future = &self->custom.future;
    if (!self->return_exceptions && weft_is_error(weft__future_retrieve(child)) && settle(self)) {
        store_relaxed(&future->message, load_relaxed(&child->message));
        weft__future_complete(future, child->result, false, 0);
    }
    /* pairs with itself: the last report sees all results; and with accept_cancel */
    uint64_t state = fetch_sub_acq_rel(&self->state, 1);
    weft__debug_assert((state & REMAINING) > 0);
    if ((state & REMAINING) > 1) return;
    if (state & SETTLED) weft_release(future);
    else finish(self, state & CANCELLED);
}

static void hear(struct weft__listener *listener) {
    struct child *child = weft__container_of(listener, struct child, listener);
    report(child->gather, child->future);
}

/* ---- making ---- */

static void fini(weft_future *future) {
    struct gather *self = (struct gather *)future;
    for (size_t i = 0; i < self->count; i++) weft_release(self->children[i].future);
    free(self->children);
}

static const struct weft__future_ops gather_ops = {true, accept_cancel, pass_cancel, fini};

static struct gather *gather_new(size_t count) {
    struct child *children = count <= SIZE_MAX / sizeof *children ? malloc(count * sizeof *children) : NULL;
    struct gather *self = children ? weft__custom_new(&gather_ops) : NULL;
    if (!self) {
        free(children);
        return NULL;
    }
    self->children = children;
    self->count = count;
    atomic_init(&self->state, count);
    return self;
}

/* All are taken before the first one may report: a report may free what is not taken yet. */
static void take_children(struct gather *self, weft_future *const *awaitables) {
    for (size_t i = 0; i < self->count; i++) {
        weft__listener_init(&self->children[i].listener, hear);
        self->children[i].gather = self;
        self->children[i].future = weft__awaitables_take(awaitables, i);
    }
    for (size_t i = 0; i < self->count; i++) {
        struct child *child = &self->children[i];
        if (!weft__future_add_waiter(child->future, &child->listener.waiter)) report(self, child->future);
    }
}

weft_future *weft_gather(weft_future *const *awaitables, size_t count, weft_gather_options options) {
    int error = weft__awaitables_check(awaitables, count);
    if (!error && count == 0) return weft__future_failed(0);
    struct gather *self = error ? NULL : gather_new(count);
    if (!self) {
        weft__awaitables_discard(awaitables, count);
        return weft__future_failed(error ? error : -ENOMEM);
    }
    self->return_exceptions = options.return_exceptions;
    self->results = options.results;
    weft_ref(&self->custom.future); /* the children's */
    take_children(self, awaitables);
    return &self->custom.future;
}

weft_future *weft_gather_list(intptr_t *results, size_t count, ...) {
    weft_future *awaitables[count + 1]; /* as many as stand in the source */
    va_list arguments;
    va_start(arguments, count);
    for (size_t i = 0; i < count; i++) awaitables[i] = va_arg(arguments, weft_future *);
    va_end(arguments);
    return weft_gather(awaitables, count, (weft_gather_options){.results = results});
}
