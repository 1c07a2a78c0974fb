/* A semaphore: one word, and a line behind it.
 *
 *     the low half   permits that are there
 *     WAITED         the line is not empty (some in it may have been cancelled); then no permit is there
 *
 * Without waiters acquire and release are one CAS each. Once WAITED is set only the guard's holder changes the
 * word: a release gives its permit to the first in the line, and no newcomer sees it. */
#include <weft/sync.h>

#include "parker.h"

#define WAITED (UINT64_C(1) << 32)

struct semaphore {
    _Atomic uint64_t word;
    uint64_t bound_plus_1;  /* const after init; 0: unbounded */
    weft__lock guard;
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct semaphore) <= sizeof(weft_semaphore), "the public record is large enough");
_Static_assert(offsetof(struct semaphore, bound_plus_1) == 8, "WEFT_BOUNDED_SEMAPHORE_INIT fits");

static struct semaphore *semaphore_of(const weft_semaphore *semaphore) {
    return (struct semaphore *)(uintptr_t)semaphore;
}

int weft_semaphore_init(weft_semaphore *semaphore, int32_t value) {
    if (!semaphore || value < 0) return -EINVAL;
    *semaphore_of(semaphore) = (struct semaphore){.word = (uint64_t)value};
    return 0;
}

int weft_bounded_semaphore_init(weft_semaphore *semaphore, int32_t value) {
    int error = weft_semaphore_init(semaphore, value);
    if (!error) semaphore_of(semaphore)->bound_plus_1 = (uint64_t)value + 1;
    return error;
}

static bool none_left(uint64_t word) { return (word & ~WAITED) == 0; }

bool weft_semaphore_locked(const weft_semaphore *semaphore) {
    return semaphore && none_left(load_relaxed(&semaphore_of(semaphore)->word));
}

static bool take(struct semaphore *self) {
    uint64_t word = load_relaxed(&self->word);
    while (!none_left(word))
        if (cas_weak_acq_rel(&self->word, &word, word - 1)) return true; /* pairs with give */
    return false;
}

int weft_semaphore_try_acquire(weft_semaphore *semaphore) {
    if (!semaphore) return -EINVAL;
    return take(semaphore_of(semaphore)) ? 0 : -EAGAIN;
}

/* Takes a permit, or says WAITED. Under the guard. */
static bool take_or_announce(void *arg) {
    struct semaphore *self = arg;
    uint64_t none = 0;
    for (;;) {
        if (take(self)) return true;
        none = 0;
        if (cas_acq_rel(&self->word, &none, WAITED) || none == WAITED) return false; /* pairs with give */
    }
}

static void deserted(void *arg) {
    struct semaphore *self = arg;
    if (load_relaxed(&self->word) == WAITED) store_release(&self->word, 0); /* pairs with take, give */
}

int weft_semaphore_acquire(weft_semaphore *semaphore) {
    if (!semaphore) return -EINVAL;
    struct semaphore *self = semaphore_of(semaphore);
    weft__charge();
    if (take(self)) return 0;
    return weft__line_wait(&self->line, &self->guard, take_or_announce, deserted, self, "a semaphore");
}

/* Gives a permit to the first in the line, or keeps it if everybody there was cancelled. False if the line is
 * empty. */
static bool hand_over(struct semaphore *self) {
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    bool waited = load_relaxed(&self->word) & WAITED;
    if (waited) {
        bool granted = weft__line_grant(&self->line, &woken);
        uint64_t word = !granted ? 1 : self->line.first ? WAITED : 0;
        store_release(&self->word, word); /* pairs with take */
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return waited;
}

int weft_semaphore_release(weft_semaphore *semaphore) {
    if (!semaphore) return -EINVAL;
    struct semaphore *self = semaphore_of(semaphore);
    uint64_t most = self->bound_plus_1 ? self->bound_plus_1 - 1 : INT32_MAX;
    uint64_t word = load_relaxed(&self->word);
    for (;;) {
        if ((word & ~WAITED) >= most) return -EOVERFLOW;
        if (!(word & WAITED)) {
            if (cas_weak_acq_rel(&self->word, &word, word + 1)) return 0; /* give: pairs with take */
        } else {
            if (hand_over(self)) return 0;
            word = load_relaxed(&self->word);
        }
    }
}
