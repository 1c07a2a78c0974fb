/* A condition: a line over somebody else's lock.
 *
 * Who waits enters the line before it gives the lock up, so that no notification can fall in between; who is
 * notified then asks for the lock like everybody else, at the end of the lock's line. The line has a guard of
 * its own, for a waiter that is cancelled leaves it without holding the lock. A notification that has won is not
 * undone by a cancel request: so it is never lost, and never has to be passed on to another waiter. */
#include "lock.h"

#include "parker.h"

struct condition {
    weft_lock *lock;        /* const after init */
    weft__lock guard;
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct condition) <= sizeof(weft_condition), "the public record is large enough");
_Static_assert(offsetof(struct condition, lock) == offsetof(weft_condition, lock), "WEFT_CONDITION_INIT fits");

static struct condition *condition_of(weft_condition *condition) { return (struct condition *)(void *)condition; }

int weft_condition_init(weft_condition *condition, weft_lock *lock) {
    if (!condition || !lock) return -EINVAL;
    *condition_of(condition) = (struct condition){.lock = lock};
    return 0;
}

static int check(const weft_condition *condition) {
    if (!condition || !condition->lock) return -EINVAL;
    return weft_lock_locked(condition->lock) ? 0 : -EPERM;
}

int weft_condition_wait(weft_condition *condition) {
    struct condition *self = condition_of(condition);
    struct weft__parker parker;
    struct weft__place place;
    int error = check(condition);
    if (!error) error = weft__parker_init(&parker, "a condition", self);
    if (error) return error;
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__lock_acquire(&self->guard);
    weft__line_append(&self->line, &place);
    weft__lock_release(&self->guard);
    weft_lock_release(self->lock);
    bool notified = weft__parker_wait(&parker, &self->guard) == WEFT__GRANTED;
    if (!notified) {
        weft__lock_acquire(&self->guard);
        weft__line_remove(&self->line, &place);
        weft__lock_release(&self->guard);
    }
    weft__lock_take_back(self->lock);
    return notified ? 0 : -ECANCELED;
}

int weft_condition_wait_for(weft_condition *condition, bool (*predicate)(void *arg), void *arg) {
    int error = predicate ? check(condition) : -EINVAL;
    while (!error && !predicate(arg)) error = weft_condition_wait(condition);
    return error;
}

int weft_condition_notify(weft_condition *condition, size_t count) {
    struct condition *self = condition_of(condition);
    struct weft__line woken = {0};
    int error = check(condition);
    if (error) return error;
    weft__lock_acquire(&self->guard);
    while (count > 0 && weft__line_grant(&self->line, &woken)) count--;
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return 0;
}

int weft_condition_notify_all(weft_condition *condition) { return weft_condition_notify(condition, SIZE_MAX); }
