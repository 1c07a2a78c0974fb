/* Cancellation: asyncio's edge-triggered requests, from any thread.
 *
 * A request is counted in the task's state word (future.h). It is delivered where the task waits:
 *  - at a future or task: the request moves on to that one, and the task waits on until it has ended; a gather
 *    or shield (WEFT__KIND_CUSTOM) is asked to accept it, and passes it on to its own after the task was let go;
 *  - at anything else (timer, operation): that wait is asked to end; it comes out as -ECANCELED, which
 *    consumes the request, or as a result that came first, and then the request stays for the next wait;
 *  - nowhere, because the task runs: it finds the request when it next publishes a wait.
 *
 *     canceller                                    task, going to wait (in commit)
 *     C1 state += REQUEST (RMW)                    T1 wait := w (RMW)
 *     C2 read wait                                 T2 read state
 *
 * Both first steps are seq_cst RMWs, so at least one side sees the other. Both then run deliver(), which
 * takes the BUSY bit of `wait`: it keeps the task inside its wait, and so the wait's memory in place, while
 * a canceller looks at it. The chain of awaits is walked hand over hand: under BUSY the canceller makes its
 * request to what is awaited, takes a reference on it, lets the task go, and continues there. If the awaited
 * one has just finished, the request has never left the awaiter: taking it first and giving it back was
 * rejected, for a timeout scope that ends in between could no longer tell it from others (`epoch`). Holding
 * several BUSY bits at once was rejected too: two cancellers on a cycle of awaits would wait for each other.
 *
 * A request's message is stored before the request is made: whoever sees the one sees the other. Of two
 * cancellers at the same time either's message may be the one that is kept. */
#include "assert.h"
#include "task.h"
#include "worker.h"

#define BUSY ((uintptr_t)1)

bool weft__cancel_pending(struct weft__task *task) {
    return load_seq_cst(&task->future.state) & WEFT__REQUESTS; /* T2 */
}

bool weft__cancel_consume(struct weft__task *task) {
    uint64_t state = load_relaxed(&task->future.state), next;
    do {
        if (!(state & WEFT__REQUESTS)) return false;
        next = (state & ~(WEFT__REQUESTS | WEFT__EPOCHS)) | ((state + WEFT__EPOCH) & WEFT__EPOCHS);
    } while (!cas_weak_acq_rel(&task->future.state, &state, next)); /* pairs with request */
    return true;
}

/* The message goes before the request; most have none. */
static void leave_message(weft_future *future, const char *message) {
    if (load_relaxed(&future->message) != message) store_relaxed(&future->message, message);
}

/* C1. False if the task is done, or no task yet. */
static bool request(struct weft__task *task, uint16_t *epoch, const char *message) {
    uint64_t state = load_relaxed(&task->future.state), next;
    if (weft__phase(state) != WEFT__DONE) leave_message(&task->future, message);
    do {
        enum weft__phase phase = weft__phase(state);
        if (phase == WEFT__DONE || phase == WEFT__COROUTINE) return false;
        next = state;
        if ((state & WEFT__REQUESTS) != WEFT__REQUESTS) next += WEFT__REQUEST;
        if ((state & WEFT__COUNT) != WEFT__COUNT) next += WEFT__COUNTED;
    } while (!cas_seq_cst(&task->future.state, &state, next));
    if (epoch) *epoch = weft__epoch(state);
    return true;
}

static bool accept(struct weft__custom *custom, const char *message) {
    if (weft__is_done(&custom->future)) return false;
    leave_message(&custom->future, message);
    return custom->ops->accept_cancel(&custom->future);
}

/* Passes a request of `task` on to what it awaits, under BUSY. Returns that, with a reference, if there the
 * journey goes on. If it is done by now, the request stays. */
static weft_future *pass_on(struct weft__task *task, weft_future *awaited) {
    const char *message = load_relaxed(&task->future.message);
    struct weft__task *child = weft__task_of(awaited);
    struct weft__custom *custom = weft__custom_of(awaited);
    bool accepted = child    ? request(child, NULL, message)
                    : custom ? accept(custom, message)
                             : weft__future_cancel(awaited, message);
    if (!accepted) return NULL;
    weft__cancel_consume(task);
    return child || custom ? weft_ref(awaited) : NULL;
}

/* Whether the request came to where it is through `future`. */
static bool came_through(const struct weft__passage *passage, const weft_future *future) {
    while (passage && passage->through != future) passage = passage->outer;
    return passage;
}

/* Takes the BUSY bit of what the task waits for; NULL: it does not. */
static struct weft__wait *hold(struct weft__task *task) {
    uintptr_t word = load_seq_cst(&task->wait); /* C2 */
    for (unsigned round = 0;; round++) {
        if (!word) return NULL;
        if (word & BUSY) {
            weft__world_relax(round);
            word = load_seq_cst(&task->wait);
        } else if (cas_seq_cst(&task->wait, &word, word | BUSY)) { /* pairs with weft__wait_retract */
            return (struct weft__wait *)word;
        }
    }
}

static void let_go(struct weft__task *task, struct weft__wait *wait) {
    store_release(&task->wait, (uintptr_t)wait); /* pairs with weft__wait_retract */
}

/* Delivers a request of `task`, if it has one and waits. Returns what it was passed on to, with a reference;
 * NULL if the journey ends here. `in_circle`: it shall end where a wait can be given up. The caller holds a
 * reference on the task, or is its worker. */
static weft_future *deliver(struct weft__task *task, bool in_circle, const struct weft__passage *passage) {
    struct weft__wait *wait = hold(task);
    weft_future *next = NULL;
    if (!wait) return NULL;
    if (weft__cancel_pending(task)) {
        in_circle |= came_through(passage, wait->future);
        if (wait->future && !(in_circle && wait->cancel)) next = pass_on(task, wait->future);
        else if (wait->cancel) wait->cancel(wait);
    }
    let_go(task, wait);
    return next;
}

bool weft__wait_look(struct weft__task *task, struct weft__awaited *awaited) {
    struct weft__wait *wait = hold(task);
    if (!wait) return false;
    weft_future *future = wait->future;
    bool counted = weft__task_of(future) || weft__custom_of(future); /* others may lie on the task's stack */
    *awaited = (struct weft__awaited){counted ? weft_ref(future) : NULL, wait->what, wait->object,
                                      wait->holder ? wait->holder(wait->object) : NULL};
    let_go(task, wait);
    return true;
}

/* Where the chain of awaits branches, or ends at a future that knows better. Consumes the reference. The
 * canceller's stack grows with each gather that is nested in another one, by some 300 bytes. */
static void pass_through(weft_future *future, const struct weft__passage *passage) {
    struct weft__passage longer = {passage, future};
    weft__custom_of(future)->ops->pass_cancel(future, &longer);
    weft_release(future);
}

/* Delivers, and goes on along the chain of awaits until the request has arrived. If it comes back to a task
 * that it met (Brent's cycle detection), these tasks wait for each other: then the next one that waits, and does
 * not run another one in place, gives up its wait. So does a task that awaits what the request came through. */
static void walk(struct weft__task *task, const struct weft__passage *passage) {
    struct weft__task *met = task;
    weft_ref(&task->future);
    weft_ref(&met->future); /* or its record might be used again, and be taken for it */
    bool in_circle = false;
    for (unsigned steps = 0, limit = 2;; steps++) {
        weft_future *next = deliver(task, in_circle, passage);
        if (steps == limit) {
            weft_release(&met->future);
            weft_ref(&task->future);
            met = task;
            limit *= 2;
        }
        weft_release(&task->future);
        task = weft__task_of(next);
        if (!task && next) pass_through(next, passage);
        if (!task) break;
        in_circle |= task == met;
    }
    weft_release(&met->future);
}

static bool cancel_task(struct weft__task *task, uint16_t *epoch, const char *message,
                        const struct weft__passage *passage) {
    if (!request(task, epoch, message)) return false;
    walk(task, passage);
    return true;
}

static bool cancel_custom(struct weft__custom *custom, const char *message, const struct weft__passage *passage) {
    if (!accept(custom, message)) return false;
    pass_through(weft_ref(&custom->future), passage);
    return true;
}

bool weft__cancel_request(struct weft__task *task, uint16_t *epoch) {
    return cancel_task(task, epoch, NULL, NULL);
}

bool weft__cancel_along(weft_future *future, const char *message, const struct weft__passage *passage) {
    switch ((enum weft__kind)future->kind) {
    case WEFT__KIND_TASK: return cancel_task((struct weft__task *)future, NULL, message, passage);
    case WEFT__KIND_CUSTOM: return cancel_custom((struct weft__custom *)future, message, passage);
    case WEFT__KIND_FUTURE: return weft__future_cancel(future, message);
    case WEFT__KIND_IMMORTAL: break;
    }
    return false;
}

bool weft_cancel_with(weft_future *future, const char *message) {
    return future && weft__cancel_along(future, message, NULL);
}

bool weft_cancel(weft_future *future) { return weft_cancel_with(future, NULL); }

const char *weft_cancel_message(const weft_future *future) {
    weft_future *self = (weft_future *)(uintptr_t)future;
    if (!self || (weft__is_done(self) && self->result != -ECANCELED)) return NULL;
    return load_relaxed(&self->message);
}

void weft__cancel_inherit_message(struct weft__task *task, weft_future *future) {
    leave_message(&task->future, load_relaxed(&future->message));
}

int weft_cancelling(const weft_task *task) {
    struct weft__task *self = weft__task_of((weft_future *)(uintptr_t)task);
    return self ? (int)weft__requests(load_relaxed(&self->future.state)) : -EINVAL;
}

int weft_uncancel(weft_task *task) {
    struct weft__task *self = weft__task_of(task);
    if (!self) return -EINVAL;
    uint64_t state = load_relaxed(&task->state), next;
    do {
        if (weft__requests(state) == 0) return 0;
        next = state - WEFT__COUNTED;
        if (weft__requests(next) == 0) next &= ~WEFT__REQUESTS;
    } while (!cas_weak_acq_rel(&task->state, &state, next)); /* pairs with request */
    return (int)weft__requests(next);
}

uint32_t weft__cancel_delivered(struct weft__task *task) {
    uint64_t state = load_relaxed(&task->future.state);
    uint32_t requests = weft__requests(state), undelivered = weft__undelivered(state);
    return requests > undelivered ? requests - undelivered : 0;
}

uint32_t weft__cancel_withdraw(struct weft__task *task, uint16_t epoch) {
    uint64_t state = load_relaxed(&task->future.state), next;
    do {
        next = state;
        if (weft__requests(state) > 0) next -= WEFT__COUNTED;
        if (weft__undelivered(state) > 0 && weft__epoch(state) == epoch) next -= WEFT__REQUEST;
    } while (!cas_weak_acq_rel(&task->future.state, &state, next)); /* pairs with request */
    uint32_t requests = weft__requests(next), undelivered = weft__undelivered(next);
    return requests > undelivered ? requests - undelivered : 0;
}

static void publish(struct weft__task *task, struct weft__wait *wait) {
    weft__debug_assert(((uintptr_t)wait & BUSY) == 0);
    exchange_seq_cst(&task->wait, (uintptr_t)wait);                /* T1 */
    if (weft__cancel_pending(task)) walk(task, NULL); /* T2 */
}

/* Innermost first: so a request that an outer one passes on finds its way. */
void weft__hosts_publish(struct weft__stack *stack) {
    for (struct weft__host *host = stack->hosts; host && !host->published; host = host->outer) {
        host->published = true;
        publish(host->task, &host->wait);
    }
}

void weft__wait_publish(struct weft__task *task, struct weft__wait *wait) {
    weft__hosts_publish(task->stack); /* before the task can be woken: then it may run elsewhere */
    publish(task, wait);
}

void weft__wait_retract(struct weft__task *task) {
    uintptr_t word = load_relaxed(&task->wait);
    for (unsigned round = 0;; round++) {
        if (word & BUSY) {
            weft__world_relax(round);
            word = load_relaxed(&task->wait);
        } else if (cas_weak_acq_rel(&task->wait, &word, 0)) { /* pairs with deliver */
            return;
        }
    }
}
