/* wait: the caller listens to all futures, and awaits a plain future of its own, which the listener that meets
 * the condition completes, or the clock, or a cancel request: exactly one of them, as with every future.
 *
 * Everything that a listener touches is one block, counted: the waiting side and each listener that may still
 * hear have a reference. So a listener that stands in a queue when the wait ends early hears into the void. */
#include <weft/combine.h>

#include <stdlib.h>

#include "awaitables.h"
#include "turn.h"
#include "worker.h"

struct member {
    struct weft__listener listener;
    struct wait *wait;             /* const after init */
    weft_future *future;           /* const after init; referenced */
};

struct wait {
    /* any thread */
    _Atomic size_t references;
    _Atomic size_t remaining;      /* futures that are not done */
    weft_future reached;           /* done: the wait is over */
    /* const after init */
    enum weft_return_when when;
    size_t count;
    struct member members[];
};

static void release(struct wait *self) {
    if (fetch_sub_acq_rel(&self->references, 1) > 1) return; /* pairs with itself */
    for (size_t i = 0; i < self->count; i++) weft_release(self->members[i].future);
    free(self);
}

static bool failed(weft_future *future) { return weft_is_error(future->result) && !weft_cancelled(future); }

static void hear(struct weft__listener *listener) {
    struct member *member = weft__container_of(listener, struct member, listener);
    struct wait *self = member->wait;
    bool last = fetch_sub_acq_rel(&self->remaining, 1) == 1; /* pairs with itself: the last one sees the others */
    if (last || self->when == WEFT_FIRST_COMPLETED || (self->when == WEFT_FIRST_EXCEPTION && failed(member->future)))
        weft__future_complete(&self->reached, 0, false, 0);
    release(self);
}

/* ---- the waiting side ---- */

static struct wait *wait_new(weft_future **futures, size_t count, enum weft_return_when when) {
    struct wait *self = malloc(sizeof *self + count * sizeof *self->members);
    if (!self) return NULL;
    atomic_init(&self->references, 1 + count);
    atomic_init(&self->remaining, count);
    weft__future_embed(&self->reached);
    self->when = when;
    self->count = count;
    for (size_t i = 0; i < count; i++) {
        weft__listener_init(&self->members[i].listener, hear);
        self->members[i].wait = self;
        self->members[i].future = weft_ref(futures[i]);
    }
    return self;
}

static void listen(struct wait *self) {
    for (size_t i = 0; i < self->count; i++) {
        struct weft__listener *listener = &self->members[i].listener;
        if (!weft__future_add_waiter(self->members[i].future, &listener->waiter)) weft__listener_serve(listener);
    }
}

static void stop_listening(struct wait *self) {
    for (size_t i = 0; i < self->count; i++) {
        struct member *member = &self->members[i];
        if (weft__future_remove_waiter(member->future, &member->listener.waiter)) release(self);
    }
}

static intptr_t wait_until(weft_future **futures, size_t count, enum weft_return_when when, int64_t deadline_ns) {
    struct weft__worker *worker = weft__world_worker();
    struct wait *self = wait_new(futures, count, when);
    if (!self) return -ENOMEM;
    listen(self);
    intptr_t result = worker ? weft__await_until(worker->current, &self->reached, deadline_ns)
                             : weft__await_on_thread(&self->reached, deadline_ns);
    stop_listening(self);
    release(self);
    return result == -ETIMEDOUT ? 0 : result;
}

/* ---- without waiting ---- */

static bool reached(weft_future **futures, size_t count, enum weft_return_when when) {
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        if (!weft__is_done(futures[i])) continue;
        if (when == WEFT_FIRST_COMPLETED || (when == WEFT_FIRST_EXCEPTION && failed(futures[i]))) return true;
        done++;
    }
    return done == count;
}

/* Each future is looked at once: it may complete meanwhile. Uses up `distinct`. */
static size_t sort_out(weft_future **futures, size_t given, weft_future **distinct, size_t count) {
    size_t done = 0, pending = 0;
    for (size_t i = 0; i < count; i++)
        if (weft__is_done(distinct[i])) futures[done++] = distinct[i];
        else distinct[pending++] = distinct[i];
    for (size_t i = 0; i < pending; i++) futures[done + i] = distinct[i];
    for (size_t i = count; i < given; i++) futures[i] = NULL;
    return done;
}

static int check(weft_future **futures, size_t count, enum weft_return_when when) {
    struct weft__worker *worker = weft__world_worker();
    if (!futures || count == 0 || count > INT32_MAX) return -EINVAL;
    if (when != WEFT_ALL_COMPLETED && when != WEFT_FIRST_COMPLETED && when != WEFT_FIRST_EXCEPTION) return -EINVAL;
    if (worker && !worker->current) return -EDEADLK;
    for (size_t i = 0; i < count; i++)
        if (!futures[i] || (weft__task_of(futures[i]) && weft__is_temporary(futures[i]))) return -EINVAL;
    return 0;
}

/* On a strict-order loop it gives up its turn, as in CPython, even if there is nothing to wait for. */
static int wait_distinct(weft_future **futures, size_t given, weft_future **distinct, size_t count,
                         enum weft_return_when when, int64_t timeout_ns) {
    struct weft__worker *worker = weft__world_worker();
    bool at_once = !(worker && worker->strict) && (timeout_ns <= 0 || reached(distinct, count, when));
    intptr_t result = at_once ? 0 : wait_until(distinct, count, when, weft__deadline(timeout_ns));
    if (result < 0) return (int)result;
    if (at_once && worker) weft__budget_charge();
    return (int)sort_out(futures, given, distinct, count);
}

int weft_wait(weft_future **futures, size_t count, enum weft_return_when when, int64_t timeout_ns) {
    weft_future *few[WEFT__FEW], **distinct = few;
    int result = check(futures, count, when);
    if (result) return result;
    if (count > WEFT__FEW) distinct = malloc(count * sizeof *distinct);
    ptrdiff_t found = distinct ? weft__awaitables_distinct(futures, count, distinct) : -ENOMEM;
    result = found < 0 ? (int)found : wait_distinct(futures, count, distinct, (size_t)found, when, timeout_ns);
    if (distinct != few) free(distinct);
    return result;
}
