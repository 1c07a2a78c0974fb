/* A lock: one word, and a line behind it.
 *
 *     0                 unlocked
 *     LOCKED            held, nobody waits
 *     LOCKED | WAITED   held, the line is not empty (some in it may have been cancelled)
 *
 * Without waiters acquire and release are one CAS each. Once WAITED is set only the guard's holder changes the
 * word. A release with waiters leaves LOCKED set: the lock is the next one's from that moment, and a newcomer's
 * CAS fails. */
#include "lock.h"

#include "parker.h"

#define LOCKED UINT32_C(1)
#define WAITED UINT32_C(2)

struct lock {
    _Atomic uint32_t word;
    weft__lock guard;
    struct weft__line line; /* guard */
    _Atomic(struct weft__task *) holder; /* in debug mode: who took it last; perhaps gone */
};
_Static_assert(sizeof(struct lock) <= sizeof(weft_lock), "the public record is large enough");

static struct lock *lock_of(const weft_lock *lock) { return (struct lock *)(uintptr_t)lock; }

int weft_lock_init(weft_lock *lock) {
    if (!lock) return -EINVAL;
    *lock_of(lock) = (struct lock){0};
    return 0;
}

bool weft_lock_locked(const weft_lock *lock) { return lock && load_relaxed(&lock_of(lock)->word) != 0; }

/* It is ours now. */
static bool hold(struct lock *self) {
    if (load_relaxed(&weft__debug_sites)) store_relaxed(&self->holder, weft__running_task());
    return true;
}

/* Takes an unlocked lock. */
static bool take(struct lock *self) {
    uint32_t free = 0;
    return cas_acq_rel(&self->word, &free, LOCKED) && hold(self); /* pairs with the CAS in weft_lock_release */
}

int weft_lock_try_acquire(weft_lock *lock) {
    if (!lock) return -EINVAL;
    return take(lock_of(lock)) ? 0 : -EAGAIN;
}

/* Takes the lock, or says WAITED: under the guard then nobody can unlock it past us. */
static bool take_or_announce(struct lock *self) {
    uint32_t word = load_relaxed(&self->word);
    for (;;) {
        uint32_t next = word == 0 ? LOCKED : LOCKED | WAITED;
        /* pairs with the CAS in weft_lock_release */
        if (cas_weak_acq_rel(&self->word, &word, next)) return word == 0 && hold(self);
    }
}

static struct weft__task *holder_of(const void *lock) { return load_relaxed(&lock_of(lock)->holder); }

/* The lock is ours if the parker was granted; else leaves the line. */
static int wait_in_line(struct lock *self, struct weft__parker *parker) {
    struct weft__place place;
    parker->wait.holder = holder_of;
    weft__place_init(&place, parker, WEFT__GRANTED);
    weft__lock_acquire(&self->guard);
    bool taken = take_or_announce(self);
    if (!taken) weft__line_append(&self->line, &place);
    weft__lock_release(&self->guard);
    if (taken || weft__parker_wait(parker, &self->guard) == WEFT__GRANTED) return 0;
    weft__lock_acquire(&self->guard);
    weft__line_remove(&self->line, &place);
    if (!self->line.first && load_relaxed(&self->word) & WAITED)
        store_release(&self->word, LOCKED); /* pairs with take */
    weft__lock_release(&self->guard);
    return -ECANCELED;
}

int weft_lock_acquire(weft_lock *lock) {
    if (!lock) return -EINVAL;
    weft__charge();
    if (take(lock_of(lock))) return 0;
    struct weft__parker parker;
    int error = weft__parker_init(&parker, "a lock", lock);
    return error ? error : wait_in_line(lock_of(lock), &parker);
}

void weft__lock_take_back(weft_lock *lock) {
    if (take(lock_of(lock))) return;
    struct weft__parker parker;
    weft__parker_init(&parker, "a lock", lock);
    parker.wait.cancel = NULL;
    wait_in_line(lock_of(lock), &parker);
}

/* Hands the lock over, or unlocks it if everybody in the line was cancelled. False if the line is empty. */
static bool hand_over(struct lock *self) {
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    bool waited = load_relaxed(&self->word) & WAITED;
    if (waited) {
        struct weft__place *granted = weft__line_grant(&self->line, &woken);
        if (granted) store_relaxed(&self->holder, granted->parker->task);
        uint32_t word = !granted ? 0 : self->line.first ? LOCKED | WAITED : LOCKED;
        store_release(&self->word, word); /* pairs with take */
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return waited;
}

int weft_lock_release(weft_lock *lock) {
    if (!lock) return -EINVAL;
    struct lock *self = lock_of(lock);
    for (;;) {
        uint32_t word = LOCKED;
        if (cas_acq_rel(&self->word, &word, 0)) return 0; /* pairs with take */
        if (word == 0) return -EPERM;
        if (hand_over(self)) return 0;
    }
}
