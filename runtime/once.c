/* Once: NEW --claim, by one CAS under the guard--> RUNNING --its fn has returned--> DONE. The result is written
 * before DONE (release); whoever sees DONE (acquire) may read it. */
#include <weft/sync.h>

#include "parker.h"

enum { NEW, RUNNING, DONE };

struct once {
    _Atomic uint32_t state; /* written under the guard */
    weft__lock guard;
    const void *runner;     /* guard: who runs fn */
    intptr_t result;        /* the runner, before DONE */
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct once) <= sizeof(weft_once_flag), "the public record is large enough");

/* The running task, else the thread, as an address that nobody else has. */
static const void *caller(void) {
    struct weft__task *task = weft__running_task();
    return task ? (const void *)task : weft__world_errno();
}

/* Under the guard: becomes the runner, enters the line, or neither (done, or an error). */
static int enter(struct once *self, struct weft__place *place, int may_wait) {
    switch (load_relaxed(&self->state)) {
    case NEW:
        self->runner = caller();
        store_relaxed(&self->state, RUNNING); /* others read it under the guard */
        break;
    case RUNNING:
        if (self->runner == caller()) return -EDEADLK;
        if (may_wait) return may_wait;
        weft__line_append(&self->line, place);
        break;
    }
    return 0;
}

static void run(struct once *self, weft_fn *fn, void *arg) {
    struct weft__line woken = {0};
    self->result = fn(arg);
    weft__lock_acquire(&self->guard);
    store_release(&self->state, DONE); /* pairs with weft_once */
    weft__line_grant_all(&self->line, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
}

intptr_t weft_once(weft_once_flag *once, weft_fn *fn, void *arg) {
    if (!once || !fn) return -EINVAL;
    struct once *self = (struct once *)(void *)once;
    weft__charge();
    if (load_acquire(&self->state) == DONE) return self->result; /* pairs with run */
    struct weft__parker parker;
    struct weft__place place;
    int may_wait = weft__parker_init(&parker, "somebody's call of a once", self);
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__lock_acquire(&self->guard);
    uint32_t former = load_relaxed(&self->state);
    int error = enter(self, &place, may_wait);
    weft__lock_release(&self->guard);
    if (error) return error;
    if (former == NEW) run(self, fn, arg);
    if (former != RUNNING || weft__parker_wait(&parker, &self->guard) == WEFT__GRANTED) return self->result;
    weft__lock_acquire(&self->guard);
    weft__line_remove(&self->line, &place);
    weft__lock_release(&self->guard);
    return -ECANCELED;
}
