/* One suspended party, a task or a plain thread, and the race for who ends its wait; and the lines in which
 * such parties stand. What the primitives of weft/sync.h and the queues are made of.
 *
 *     EMPTY --park--> PARKED --claim--> a token        (the winner also wakes)
 *     EMPTY --claim--> a token                          (the party has not parked yet, and will not)
 *
 * A claim is one CAS on the parker's word; whoever makes it alone decides how the wait ends: a granter (the
 * token says which of the party's places it granted), the canceller of the task (CANCELLED), or the deadline
 * (TIMED_OUT). All others find a token there, and leave.
 *
 * A primitive has a guard (a small lock) over its state and its line. The record of a place in the line lives
 * on the waiter's stack. Two rules keep it in place as long as somebody may touch it:
 *
 *  - a granter claims under the guard, may touch the record until it gives the guard up, and wakes the party
 *    after that: so who has been woken may take the primitive's memory away at once;
 *  - a party that was not woken by a granter (it was granted before it had parked, it was cancelled, its time
 *    was over) takes the guard before it leaves, and its record out of the line if it still stands there.
 *
 * A primitive whose word says that somebody waits (WAITED) says so only as long as somebody does: with WAITED
 * clear nobody takes the guard, so who gets through without waiting may free the primitive, too.
 *
 * A canceller touches the parker under the BUSY bit of the task's wait (cancel.c), a timer while it is FIRING
 * (timer.h); the party waits for both to be over. Lock order: BUSY bit, guard. A guard's holder never takes a
 * BUSY bit, and wakes nobody.
 *
 * Letting the canceller itself take the record out of the line was rejected: it would have to take a guard,
 * in the general case (weft_select) that of each of several primitives. */
#ifndef WEFT_RUNTIME_PARKER_H
#define WEFT_RUNTIME_PARKER_H

#include "task.h"
#include "timer.h"
#include "worker.h"
#include "world.h"

enum {
    WEFT__EMPTY,
    WEFT__PARKED,
    WEFT__CANCELLED_TOKEN,
    WEFT__TIMED_OUT,
    WEFT__GRANTED, /* this and all above: a granter's */
};

struct weft__parker {
    /* const after init */
    struct weft__task *task;  /* NULL: a plain thread */
    int64_t deadline_ns;      /* INT64_MAX: none */
    /* any thread */
    _Atomic uint32_t word;
    _Atomic uint32_t woken;   /* plain threads: a winner has let us go */
    /* the waiter, and who it lets in: see above */
    bool early;               /* a token was there before we parked */
    struct weft__wait wait;   /* its `cancel` may be replaced; NULL: this wait cannot be cancelled */
    struct weft__timer timer; /* only with a deadline */
};

/* A parker of the calling task or thread; `what` and `object` say for whom it waits, as in struct weft__wait. 0, or
 * -EDEADLK in a loop's callback, which cannot wait, or -EPERM inside a blocking region, which must not. */
int weft__parker_init(struct weft__parker *parker, const char *what, const void *object);

/* Waits until somebody has claimed the parker; returns the token. `guard` is that of the granters, or NULL if
 * the caller takes their guards by itself; not held. A cancel request that won is consumed.
 * Thread: the waiter's. Suspends: yes. */
uint32_t weft__parker_wait(struct weft__parker *parker, weft__lock *guard);

/* The race. After WON_PARKED the winner calls weft__parker_wake, exactly once. Thread: any. */
enum weft__claim { WEFT__LOST, WEFT__WON_EARLY, WEFT__WON_PARKED };
enum weft__claim weft__parker_claim(struct weft__parker *parker, uint32_t token);
void weft__parker_wake(struct weft__parker *parker);

/* A place in a line. */
struct weft__place {
    struct weft__place *next, *previous; /* guard */
    struct weft__parker *parker;         /* const after init */
    uint32_t token;                      /* const after init: what the parker is told if this place is granted */
    bool in_line;                        /* guard */
};

/* First come, first served. Zero is an empty line. */
struct weft__line {
    struct weft__place *first, *last;
};

static inline void weft__place_init(struct weft__place *place, struct weft__parker *parker, uint32_t token) {
    place->parker = parker;
    place->token = token;
    place->in_line = false;
}

static inline void weft__line_append(struct weft__line *line, struct weft__place *place) {
    place->next = NULL;
    place->previous = line->last;
    if (line->last) line->last->next = place;
    else line->first = place;
    line->last = place;
    place->in_line = true;
}

/* Does nothing if a granter has already taken it out. */
static inline void weft__line_remove(struct weft__line *line, struct weft__place *place) {
    if (!place->in_line) return;
    if (place->previous) place->previous->next = place->next;
    else line->first = place->next;
    if (place->next) place->next->previous = place->previous;
    else line->last = place->previous;
    place->in_line = false;
}

/* Takes the first place out and claims its party. True if that won; then the place stands in `woken` if its
 * party is to be woken. Thread: the guard's holder. */
bool weft__line_grant_first(struct weft__line *line, struct weft__line *woken);

/* Grants the first place whose party can still be claimed, and returns it; NULL: there is none. */
struct weft__place *weft__line_grant(struct weft__line *line, struct weft__line *woken);

/* Grants all. */
void weft__line_grant_all(struct weft__line *line, struct weft__line *woken);

/* Wakes everybody in `woken`, in order. Thread: any, without the guard. */
void weft__line_wake(struct weft__line *woken);

/* Charges the running task, if there is one, for an operation that may go through without suspending. Before
 * the operation and not after it: a forced yield shall not happen with a lock just acquired. Suspends: yes. */
static inline void weft__charge(void) {
    struct weft__worker *worker = weft__world_worker();
    if (worker && worker->current && !worker->strict) weft__budget_charge();
}

/* The wait of an event, a semaphore, a wait group: in the line of `guard`, unless ready(self), which is asked under the
 * guard and otherwise announces a waiter; the grant is all there is to know. If the wait is cancelled and nobody is left
 * in the line, deserted(self) is told, under the guard. `what` says what self is.
 * Thread: the waiter's. Suspends: yes. 0, -ECANCELED, and those of weft__parker_init. */
int weft__line_wait(struct weft__line *line, weft__lock *guard, bool (*ready)(void *self), void (*deserted)(void *self),
                    void *self, const char *what);

#endif
