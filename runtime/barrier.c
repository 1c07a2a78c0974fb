/* A barrier: a count of arrivals, and their line, under a guard.
 *
 * Whether all parties are there must be decided at once for all of them, so a waiter may not be lost to a cancel
 * request after it was counted: here, unlike elsewhere, the canceller itself takes the guard and the place out
 * of the line. So a place in the line can always be claimed. */
#include <weft/sync.h>

#include "assert.h"
#include "parker.h"

struct barrier {
    int64_t parties;        /* const after init */
    int32_t arrived;        /* guard: places in the line */
    weft__lock guard;
    bool broken;            /* guard */
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct barrier) <= sizeof(weft_barrier), "the public record is large enough");

struct arrival {
    struct weft__place place;
    struct weft__parker parker;
    struct barrier *barrier;
    int outcome; /* guard, then the waiter's: its index, or an error */
};

static struct barrier *barrier_of(weft_barrier *barrier) { return (struct barrier *)(void *)barrier; }

int weft_barrier_init(weft_barrier *barrier, int32_t parties) {
    if (!barrier || parties < 1) return -EINVAL;
    *barrier_of(barrier) = (struct barrier){.parties = parties};
    return 0;
}

/* Lets everybody in the line go: with its index, or with `error` if that is not 0. Under the guard. */
static void let_go(struct barrier *self, int error, struct weft__line *woken) {
    for (int index = 0; self->line.first; index++) {
        struct arrival *first = weft__container_of(self->line.first, struct arrival, place);
        first->outcome = error ? error : index;
        weft__assert(weft__line_grant_first(&self->line, woken));
    }
    self->arrived = 0;
}

static void abandon(struct weft__wait *wait) {
    struct arrival *arrival = weft__container_of(wait, struct arrival, parker.wait);
    struct barrier *self = arrival->barrier;
    enum weft__claim claim = WEFT__LOST;
    weft__lock_acquire(&self->guard);
    if (arrival->place.in_line) {
        weft__line_remove(&self->line, &arrival->place);
        self->arrived--;
        claim = weft__parker_claim(&arrival->parker, WEFT__CANCELLED_TOKEN);
    }
    weft__lock_release(&self->guard);
    if (claim == WEFT__WON_PARKED) weft__parker_wake(&arrival->parker);
}

/* Arrives. True: the arrival has to wait, else it has an outcome. */
static bool arrive(struct barrier *self, struct arrival *arrival, bool may_wait) {
    struct weft__line woken = {0};
    bool waits = false;
    weft__lock_acquire(&self->guard);
    if (self->broken || self->parties < 1) {
        arrival->outcome = self->broken ? -ENOTRECOVERABLE : -EINVAL;
    } else if (self->arrived + 1 == self->parties) {
        arrival->outcome = self->arrived;
        let_go(self, 0, &woken);
    } else if (!may_wait) {
        arrival->outcome = -EDEADLK;
    } else {
        waits = true;
        self->arrived++;
        weft__line_append(&self->line, &arrival->place);
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return waits;
}

int weft_barrier_wait(weft_barrier *barrier) {
    if (!barrier) return -EINVAL;
    struct barrier *self = barrier_of(barrier);
    struct arrival arrival = {.barrier = self};
    weft__charge();
    bool may_wait = weft__parker_init(&arrival.parker, "a barrier", self) == 0;
    arrival.parker.wait.cancel = abandon;
    weft__place_init(&arrival.place, &arrival.parker, WEFT__GRANTED);
    if (!arrive(self, &arrival, may_wait)) return arrival.outcome;
    return weft__parker_wait(&arrival.parker, &self->guard) == WEFT__GRANTED ? arrival.outcome : -ECANCELED;
}

static int set_broken(weft_barrier *barrier, bool broken) {
    if (!barrier) return -EINVAL;
    struct barrier *self = barrier_of(barrier);
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    self->broken = broken;
    let_go(self, -ENOTRECOVERABLE, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return 0;
}

int weft_barrier_reset(weft_barrier *barrier) { return set_broken(barrier, false); }
int weft_barrier_abort(weft_barrier *barrier) { return set_broken(barrier, true); }

int weft_barrier_waiting(weft_barrier *barrier) {
    if (!barrier) return -EINVAL;
    struct barrier *self = barrier_of(barrier);
    weft__lock_acquire(&self->guard);
    int waiting = self->arrived;
    weft__lock_release(&self->guard);
    return waiting;
}

bool weft_barrier_broken(weft_barrier *barrier) {
    if (!barrier) return false;
    struct barrier *self = barrier_of(barrier);
    weft__lock_acquire(&self->guard);
    bool broken = self->broken;
    weft__lock_release(&self->guard);
    return broken;
}
