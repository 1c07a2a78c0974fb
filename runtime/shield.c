/* shield: a future that completes as another one does, and ends alone when it is cancelled.
 *
 *     OPEN --the inner one is done--> SETTLED      the shield gets its outcome
 *     OPEN --accept_cancel--> CANCELLED            pass_cancel completes the shield, and stops listening
 *
 * Whoever leaves OPEN completes the shield. The listener has a reference on the shield, the shield has one on the
 * inner future. Taking the listener back when cancelled keeps a program from piling up shields on a long task
 * that it polls with wait_for(shield(task)). */
#include <weft/combine.h>

#include "awaitables.h"
#include "turn.h"
#include "worker.h"

enum { OPEN, SETTLED, CANCELLED };

struct shield {
    struct weft__custom custom;
    weft_future *inner;            /* const after init */
    _Atomic uint32_t state;        /* any thread */
    struct weft__listener listener;
};
_Static_assert(sizeof(struct shield) <= WEFT__SLAB_RECORD_BYTES, "a shield is one slab record");

static bool leave_open(struct shield *self, uint32_t to) {
    uint32_t open = OPEN;
    return cas_acq_rel(&self->state, &open, to); /* pairs with itself: one succeeds */
}

/* The inner one is done. Gives up the reference of the listener. */
static void settle(struct shield *self) {
    weft_future *inner = self->inner, *future = &self->custom.future;
    if (!leave_open(self, SETTLED)) {
        weft_release(future);
        return;
    }
    store_relaxed(&future->message, load_relaxed(&inner->message));
    weft__future_complete(future, weft__future_retrieve(inner), weft_cancelled(inner), 1);
}

static void hear(struct weft__listener *listener) {
    settle(weft__container_of(listener, struct shield, listener));
}

static bool accept_cancel(weft_future *future) { return leave_open((struct shield *)future, CANCELLED); }

static void pass_cancel(weft_future *future, const struct weft__passage *passage) {
    struct shield *self = (struct shield *)future;
    (void)passage;
    weft__future_complete(future, -ECANCELED, true, 0);
    if (weft__future_remove_waiter(self->inner, &self->listener.waiter)) weft_release(future);
}

static void fini(weft_future *future) { weft_release(((struct shield *)future)->inner); }

static const struct weft__future_ops shield_ops = {true, accept_cancel, pass_cancel, fini};

weft_future *weft_shield(weft_future *awaitable) {
    int error = weft__awaitables_check(&awaitable, 1);
    struct shield *self = error ? NULL : weft__custom_new(&shield_ops);
    if (!self) {
        weft__awaitables_discard(&awaitable, 1);
        return weft__future_failed(error ? error : -ENOMEM);
    }
    self->inner = weft__awaitables_take(&awaitable, 0);
    atomic_init(&self->state, OPEN);
    weft__listener_init(&self->listener, hear);
    weft_ref(&self->custom.future); /* the listener's */
    if (!weft__future_add_waiter(self->inner, &self->listener.waiter)) settle(self);
    return &self->custom.future;
}
