#include "future.h"

#include <weft/loop.h>

#include "assert.h"
#include "slab.h"
#include "task.h"
#include "worker.h"

void weft__future_init(weft_future *future, enum weft__kind kind) {
    future->result = 0;
    future->waiters = NULL;
    future->site = NULL;
    future->kind = (uint8_t)kind;
    future->temporary = false;
    atomic_init(&future->message, NULL);
}

/* ---- references ---- */

weft_future *weft_ref(weft_future *future) {
    if (future && future->kind != WEFT__KIND_IMMORTAL)
        fetch_add_relaxed(&future->state, WEFT__REFERENCE); /* the caller's own reference keeps it alive */
    return future;
}

bool weft__future_try_ref(weft_future *future) {
    uint64_t state = load_acquire(&future->state);
    do
        /* The owner of a coroutine, and the last one of a done record, may write the word without an RMW
         * (weft__task_schedule, weft_release): hands off. */
        if (state < WEFT__REFERENCE || weft__phase(state) == WEFT__DONE || weft__phase(state) == WEFT__COROUTINE)
            return false;
    while (!cas_weak_acq_rel(&future->state, &state, state + WEFT__REFERENCE)); /* pairs with drop */
    return true;
}

static void report_unretrieved(weft_future *future) {
    struct weft__task *task = weft__task_of(future);
    struct weft__plain_future *plain = (void *)future;
    if (task) weft__debug_unretrieved(future, task->ended.loop, task->ended.serial);
    else if (future->kind == WEFT__KIND_FUTURE) weft__debug_unretrieved(future, plain->loop, plain->loop_serial);
    else weft__debug_unretrieved(future, NULL, 0);
}

static bool is_unretrieved(const weft_future *future, uint64_t state) {
    return weft__phase(state) == WEFT__DONE && !(state & (WEFT__RETRIEVED | WEFT__CANCELLED)) &&
           weft_is_error(future->result) && future->result != -ECANCELED;
}

/* `state`: as it was when the last reference went. */
static void free_record(weft_future *future, uint64_t state) {
    if (is_unretrieved(future, state)) report_unretrieved(future);
    if (future->kind == WEFT__KIND_TASK) weft__task_fini((struct weft__task *)future);
    else if (future->kind == WEFT__KIND_CUSTOM) weft__custom_of(future)->ops->fini(future);
    store_release(&future->state, WEFT__FREE); /* pairs with the acquire in weft__future_try_ref */
    weft__slab_give(weft__worker_slab(), future);
}

void weft_release(weft_future *future) {
    if (!future || future->kind == WEFT__KIND_IMMORTAL) return;
    /* A sole owner needs no RMW: nobody else has a reference to make another one from. The acquire pairs
     * with the release of whoever dropped the second last. */
    uint64_t state = load_acquire(&future->state);
    if (weft__phase(state) != WEFT__DONE || state >= 2 * WEFT__REFERENCE)
        state = fetch_sub_acq_rel(&future->state, WEFT__REFERENCE);
    weft__assert(state >= WEFT__REFERENCE);
    if (state >= 2 * WEFT__REFERENCE) return;
    if (weft__phase(state) == WEFT__COROUTINE) weft__debug_never_awaited(future);
    free_record(future, state);
}

/* ---- the lock over the waiters ---- */

/* Sets LOCKED and returns the state without it; or, if the future is done, returns without the lock. */
static uint64_t lock_unless_done(weft_future *future) {
    uint64_t state = load_acquire(&future->state);
    for (unsigned round = 0;; round++) {
        if (weft__phase(state) == WEFT__DONE) return state;
        if (state & WEFT__LOCKED) {
            weft__world_relax(round);
            state = load_acquire(&future->state);
            /* pairs with unlock */
        } else if (cas_weak_acq_rel(&future->state, &state, state | WEFT__LOCKED)) {
            return state;
        }
    }
}

/* Clears LOCKED, and sets WAITED to whether there are waiters. */
static void unlock(weft_future *future) {
    uint64_t state = load_relaxed(&future->state), next;
    do {
        next = state & ~(WEFT__LOCKED | WEFT__WAITED);
        if (future->waiters) next |= WEFT__WAITED;
    } while (!cas_weak_acq_rel(&future->state, &state, next)); /* pairs with lock_unless_done, complete */
}

bool weft__future_add_waiter(weft_future *future, struct weft__waiter *waiter) {
    if (weft__phase(lock_unless_done(future)) == WEFT__DONE) return false;
    bool wanted = !load_relaxed(&waiter->unwanted);
    if (wanted) {
        waiter->next = future->waiters;
        future->waiters = waiter;
    }
    unlock(future);
    return wanted;
}

bool weft__future_remove_waiter(weft_future *future, struct weft__waiter *waiter) {
    if (weft__phase(lock_unless_done(future)) == WEFT__DONE) return false;
    struct weft__waiter **link = &future->waiters;
    while (*link && *link != waiter) link = &(*link)->next;
    bool found = *link;
    if (found) *link = waiter->next;
    unlock(future);
    return found;
}

struct weft__waiter *weft__future_take_waiter(weft_future *future,
                                              bool (*is_wanted)(const struct weft__waiter *waiter, const void *arg),
                                              const void *arg) {
    if (weft__phase(lock_unless_done(future)) == WEFT__DONE) return NULL;
    struct weft__waiter **link = &future->waiters;
    while (*link && !is_wanted(*link, arg)) link = &(*link)->next;
    struct weft__waiter *found = *link;
    if (found) *link = found->next;
    unlock(future);
    return found;
}

/* Serves a detached list in the order in which its members began to wait. */
static void serve(struct weft__waiter *newest) {
    struct weft__waiter *oldest = NULL;
    while (newest) {
        struct weft__waiter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct weft__waiter *next = oldest->next;
        oldest->serve(oldest); /* may free the waiter */
        oldest = next;
    }
}

/* ---- completion ---- */

static bool complete(weft_future *future, intptr_t result, bool cancelled, unsigned gone, const char *message) {
    weft__debug_assert(future->kind != WEFT__KIND_IMMORTAL);
    uint64_t state = load_acquire(&future->state), next;
    struct weft__waiter *waiters = NULL;
    bool locked = false;
    /* Everybody else's changes meanwhile (references, requests, waiters) show in the CAS. Two completers of
     * a plain future race for LOCKED before they write the result. */
    for (unsigned round = 0;; round++) {
        if (!locked && weft__phase(state) == WEFT__DONE) return false;
        if (!locked && (state & WEFT__LOCKED)) {
            weft__world_relax(round);
            state = load_acquire(&future->state);
            continue;
        }
        if (!locked && (state & WEFT__WAITED || future->kind == WEFT__KIND_FUTURE)) {
            if (!cas_weak_acq_rel(&future->state, &state, state | WEFT__LOCKED)) continue;
            locked = true;
            state |= WEFT__LOCKED;
            waiters = future->waiters;
            future->waiters = NULL;
        }
        bool requested = state & WEFT__REQUESTS;
        future->result = requested ? -ECANCELED : result;
        if (message) store_relaxed(&future->message, message); /* published with the result */
        next = (state & ~(WEFT__PHASE | WEFT__LOCKED | WEFT__WAITED | WEFT__REQUESTS)) | WEFT__DONE;
        if (cancelled || requested) next |= WEFT__CANCELLED;
        if (!waiters) next -= gone * WEFT__REFERENCE;
        /* pairs with weft__is_done, lock_unless_done and every other CAS on the word */
        if (cas_weak_acq_rel(&future->state, &state, next)) break;
    }
    if (waiters) {
        serve(waiters);
        for (; gone > 0; gone--) weft_release(future);
    } else if (next < WEFT__REFERENCE) {
        free_record(future, next);
    }
    return true;
}

bool weft__future_complete(weft_future *future, intptr_t result, bool cancelled, unsigned gone) {
    return complete(future, result, cancelled, gone, NULL);
}

bool weft__future_cancel(weft_future *future, const char *message) {
    weft__debug_assert(future->kind == WEFT__KIND_FUTURE);
    return complete(future, -ECANCELED, true, 0, message);
}

/* ---- other makers ---- */

void *weft__custom_new(const struct weft__future_ops *ops) {
    struct weft__custom *custom = weft__slab_take(weft__worker_slab());
    if (!custom) return NULL;
    weft__future_init(&custom->future, WEFT__KIND_CUSTOM);
    custom->ops = ops;
    store_release(&custom->future.state, WEFT__PENDING | WEFT__REFERENCE); /* pairs with weft__future_try_ref */
    return custom;
}

void weft__future_embed(weft_future *future) {
    weft__future_init(future, WEFT__KIND_FUTURE);
    atomic_init(&future->state, WEFT__PENDING | WEFT__REFERENCE); /* the reference is never given up */
}

/* ---- the public face ---- */

static weft_future *future_new(weft_loop *loop, const void *site) {
    struct weft__plain_future *self = weft__slab_take(weft__worker_slab());
    if (!self) return weft__future_failed(-ENOMEM);
    weft__future_init(&self->future, WEFT__KIND_FUTURE);
    self->future.site = site;
    self->loop = loop;
    self->loop_serial = loop ? load_relaxed(&loop->serial) : 0; /* the caller's loop cannot end meanwhile */
    store_release(&self->future.state, WEFT__PENDING | WEFT__REFERENCE); /* pairs with weft__future_try_ref */
    return &self->future;
}

weft_future *weft_future_new(void) { return future_new(weft_get_running_loop(), WEFT__SITE()); }

weft_future *weft_loop_create_future(weft_loop *loop) {
    return loop ? future_new(loop, WEFT__SITE()) : weft__future_failed(-EINVAL);
}

weft_loop *weft__future_loop(const weft_future *future) {
    const struct weft__plain_future *self = (const void *)future;
    if (future->kind != WEFT__KIND_FUTURE || !self->loop) return NULL;
    bool same = load_acquire(&self->loop->serial) == self->loop_serial; /* pairs with weft__loop_new */
    return same && !weft_loop_is_closed(self->loop) ? self->loop : NULL;
}

weft_future *weft__future_failed(int error) {
#define FAILED(code) \
    { .state = WEFT__DONE | WEFT__REFERENCE, .result = -(code), .kind = WEFT__KIND_IMMORTAL }
    static weft_future failures[] = {FAILED(EINVAL),    FAILED(ENOMEM),    FAILED(EPERM), FAILED(ESHUTDOWN),
                                     FAILED(EAGAIN), FAILED(ECANCELED), FAILED(0)};
#undef FAILED
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].result == error) return &failures[i];
    weft__assert(!"an error that weft__future_failed knows");
    return NULL;
}

/* Completed by weft alone. */
static bool is_anothers(const weft_future *future) {
    return future->kind == WEFT__KIND_TASK || future->kind == WEFT__KIND_CUSTOM;
}

int weft_future_set_result(weft_future *future, intptr_t value) {
    if (!future || is_anothers(future) || weft_is_error(value)) return -EINVAL;
    if (future->kind == WEFT__KIND_IMMORTAL) return -EALREADY;
    return weft__future_complete(future, value, false, 0) ? 0 : -EALREADY;
}

int weft_future_set_exception(weft_future *future, int error) {
    if (!future || is_anothers(future) || !weft_is_error(error)) return -EINVAL;
    if (future->kind == WEFT__KIND_IMMORTAL) return -EALREADY;
    return weft__future_complete(future, error, false, 0) ? 0 : -EALREADY;
}

bool weft_done(const weft_future *future) { return future && weft__is_done(future); }

bool weft_cancelled(const weft_future *future) {
    return weft_done(future) && load_relaxed(&((weft_future *)(uintptr_t)future)->state) & WEFT__CANCELLED;
}

intptr_t weft_result(const weft_future *future) {
    if (!future) return -EINVAL;
    return weft__is_done(future) ? weft__future_retrieve((weft_future *)(uintptr_t)future) : -EINPROGRESS;
}

intptr_t weft_exception(const weft_future *future) {
    intptr_t result = weft_result(future);
    return weft_is_error(result) ? result : 0;
}
