/* Readers and writers: counts and a line, under a guard.
 *
 * Who asks while somebody stands in the line stands behind him, whatever he wants. At each release, and whenever
 * a cancelled waiter leaves the line (a writer may have kept readers waiting), the front is let in: one writer,
 * or all readers up to the next writer. */
#include <weft/sync.h>

#include "parker.h"

enum { WRITE = WEFT__GRANTED, READ }; /* also the tokens */

struct rwlock {
    weft__lock guard;
    bool writing;           /* guard */
    uint32_t readers;       /* guard */
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct rwlock) <= sizeof(weft_rwlock), "the public record is large enough");

static struct rwlock *rwlock_of(weft_rwlock *rwlock) { return (struct rwlock *)(void *)rwlock; }

int weft_rwlock_init(weft_rwlock *rwlock) {
    if (!rwlock) return -EINVAL;
    *rwlock_of(rwlock) = (struct rwlock){0};
    return 0;
}

static bool is_open(const struct rwlock *self, uint32_t kind) {
    return !self->writing && (kind == READ || self->readers == 0);
}

static void enter(struct rwlock *self, uint32_t kind) {
    if (kind == READ) self->readers++;
    else self->writing = true;
}

/* Lets in whoever may come in now. Under the guard. */
static void admit(struct rwlock *self, struct weft__line *woken) {
    for (struct weft__place *first; (first = self->line.first) && is_open(self, first->token);)
        if (weft__line_grant_first(&self->line, woken)) enter(self, first->token);
}

static int try_acquire(weft_rwlock *rwlock, uint32_t kind) {
    if (!rwlock) return -EINVAL;
    struct rwlock *self = rwlock_of(rwlock);
    weft__lock_acquire(&self->guard);
    bool open = !self->line.first && is_open(self, kind);
    if (open) enter(self, kind);
    weft__lock_release(&self->guard);
    return open ? 0 : -EAGAIN;
}

static void leave_line(struct rwlock *self, struct weft__place *place) {
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    weft__line_remove(&self->line, place);
    admit(self, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
}

static int acquire(weft_rwlock *rwlock, uint32_t kind) {
    if (!rwlock) return -EINVAL;
    weft__charge();
    if (try_acquire(rwlock, kind) == 0) return 0;
    struct rwlock *self = rwlock_of(rwlock);
    struct weft__parker parker;
    struct weft__place place;
    int error = weft__parker_init(&parker, "a read-write lock", self);
    if (error) return error;
    weft__place_init(&place, &parker, kind);
    weft__lock_acquire(&self->guard);
    bool open = !self->line.first && is_open(self, kind);
    if (open) enter(self, kind);
    else weft__line_append(&self->line, &place);
    weft__lock_release(&self->guard);
    if (open || weft__parker_wait(&parker, &self->guard) == kind) return 0;
    leave_line(self, &place);
    return -ECANCELED;
}

int weft_rwlock_read_acquire(weft_rwlock *rwlock) { return acquire(rwlock, READ); }
int weft_rwlock_write_acquire(weft_rwlock *rwlock) { return acquire(rwlock, WRITE); }
int weft_rwlock_try_read_acquire(weft_rwlock *rwlock) { return try_acquire(rwlock, READ); }
int weft_rwlock_try_write_acquire(weft_rwlock *rwlock) { return try_acquire(rwlock, WRITE); }

static int release(weft_rwlock *rwlock, uint32_t kind) {
    if (!rwlock) return -EINVAL;
    struct rwlock *self = rwlock_of(rwlock);
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    bool held = kind == READ ? self->readers > 0 : self->writing;
    if (held && kind == READ) self->readers--;
    if (held && kind == WRITE) self->writing = false;
    admit(self, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return held ? 0 : -EPERM;
}

int weft_rwlock_read_release(weft_rwlock *rwlock) { return release(rwlock, READ); }
int weft_rwlock_write_release(weft_rwlock *rwlock) { return release(rwlock, WRITE); }
