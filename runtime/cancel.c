/* Cancellation: asyncio's edge-triggered requests, from any thread.
 *
 * A request is counted in the task's state word (future.h). It is delivered where the task waits:
 *  - at a future or task: the request moves on to that one, and the task waits on until it has ended;
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
 * several BUSY bits at once was rejected too: two cancellers on a cycle of awaits would wait for each other. */
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

/* C1. False if the task is done, or no task yet. */
static bool request(struct weft__task *task, uint16_t *epoch) {
    uint64_t state = load_relaxed(&task->future.state), next;
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

/* Passes a request of `task` on to what it awaits, under BUSY. Returns that if it is a task, with a
 * reference. If it is done by now, the request stays. */
static struct weft__task *pass_on(struct weft__task *task, weft_future *awaited) {
    struct weft__task *child = weft__task_of(awaited);
    if (!child) {
        if (weft__future_complete(awaited, -ECANCELED, true, 0)) weft__cancel_consume(task);
        return NULL;
    }
    if (!request(child, NULL)) return NULL;
    weft__cancel_consume(task);
    weft_ref(awaited);
    return child;
}

/* Delivers a request of `task`, if it has one and waits. Returns the task that it was passed on to, with a
 * reference; NULL if the journey ends here. `in_circle`: it shall end where a wait can be given up. The caller
 * holds a reference on the task, or is its worker. */
static struct weft__task *deliver(struct weft__task *task, bool in_circle) {
    uintptr_t word = load_seq_cst(&task->wait); /* C2 */
    for (unsigned round = 0;; round++) {
        if (!word) return NULL;
        if (word & BUSY) {
            weft__world_relax(round);
            word = load_seq_cst(&task->wait);
        } else if (cas_seq_cst(&task->wait, &word, word | BUSY)) { /* pairs with weft__wait_retract */
            break;
        }
    }
    struct weft__wait *wait = (struct weft__wait *)word;
    struct weft__task *next = NULL;
    if (weft__cancel_pending(task)) {
        if (wait->future && !(in_circle && wait->cancel)) next = pass_on(task, wait->future);
        else if (wait->cancel) wait->cancel(wait);
    }
    store_release(&task->wait, word); /* pairs with weft__wait_retract */
    return next;
}

/* Delivers, and goes on along the chain of awaits until the request has arrived. If it comes back to a task
 * that it met (Brent's cycle detection), these tasks wait for each other: then the next one that waits, and does
 * not run another one in place, gives up its wait. */
static void walk(struct weft__task *task) {
    struct weft__task *met = task;
    weft_ref(&task->future);
    weft_ref(&met->future); /* or its record might be used again, and be taken for it */
    bool in_circle = false;
    for (unsigned steps = 0, limit = 2;; steps++) {
        struct weft__task *next = deliver(task, in_circle);
        if (steps == limit) {
            weft_release(&met->future);
            weft_ref(&task->future);
            met = task;
            limit *= 2;
        }
        weft_release(&task->future);
        task = next;
        if (!task) break;
        in_circle |= task == met;
    }
    weft_release(&met->future);
}

bool weft__cancel_request(struct weft__task *task, uint16_t *epoch) {
    if (!request(task, epoch)) return false;
    walk(task);
    return true;
}

bool weft_cancel(weft_future *future) {
    if (!future || future->kind == WEFT__KIND_IMMORTAL) return false;
    struct weft__task *task = weft__task_of(future);
    return task ? weft__cancel_request(task, NULL) : weft__future_complete(future, -ECANCELED, true, 0);
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

void weft__wait_publish(struct weft__task *task, struct weft__wait *wait) {
    weft__debug_assert(((uintptr_t)wait & BUSY) == 0);
    exchange_seq_cst(&task->wait, (uintptr_t)wait);                /* T1 */
    if (weft__cancel_pending(task)) walk(task); /* T2 */
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
