/* A wait group: one word, and a line behind it.
 *
 *     the low half   what is under way
 *     WAITED         the line is not empty (some in it may have been cancelled); then something is under way
 *
 * Without waiters add and done are one CAS each. Whoever takes a number with WAITED to zero does so under the
 * guard, in one step with clearing WAITED. */
#include <weft/sync.h>

#include "parker.h"

#define WAITED (UINT64_C(1) << 32)

struct wait_group {
    _Atomic uint64_t word;
    weft__lock guard;
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct wait_group) <= sizeof(weft_wait_group), "the public record is large enough");

static struct wait_group *group_of(weft_wait_group *group) { return (struct wait_group *)(void *)group; }

int weft_wait_group_init(weft_wait_group *group) {
    if (!group) return -EINVAL;
    *group_of(group) = (struct wait_group){0};
    return 0;
}

/* Under the guard. True: somebody has added or left the line meanwhile, once more. */
static bool release_all(struct wait_group *self, uint64_t word, struct weft__line *woken) {
    if (!cas_acq_rel(&self->word, &word, 0)) return true; /* pairs with weft_wait_group_wait */
    weft__line_grant_all(&self->line, woken);
    return false;
}

int weft_wait_group_add(weft_wait_group *group, int32_t count) {
    if (!group) return -EINVAL;
    struct wait_group *self = group_of(group);
    uint64_t word = load_relaxed(&self->word);
    for (;;) {
        int64_t next = (int64_t)(word & ~WAITED) + count;
        if (next < 0) return -EINVAL;
        if (next > INT32_MAX) return -EOVERFLOW;
        if (next > 0 || !(word & WAITED)) {
            /* pairs with weft_wait_group_wait */
            if (cas_weak_acq_rel(&self->word, &word, (word & WAITED) | (uint64_t)next)) return 0;
            continue;
        }
        struct weft__line woken = {0};
        weft__lock_acquire(&self->guard);
        bool changed = release_all(self, word, &woken);
        weft__lock_release(&self->guard);
        weft__line_wake(&woken);
        if (!changed) return 0;
        word = load_relaxed(&self->word);
    }
}

int weft_wait_group_done(weft_wait_group *group) { return weft_wait_group_add(group, -1); }

/* Says WAITED unless nothing is under way. Under the guard. */
static bool is_empty_or_announce(void *arg) {
    struct wait_group *self = arg;
    uint64_t word = load_acquire(&self->word); /* pairs with weft_wait_group_add */
    while (word != 0)
        if (cas_weak_acq_rel(&self->word, &word, word | WAITED)) return false; /* and this one */
    return true;
}

static void deserted(void *arg) {
    struct wait_group *self = arg;
    /* pairs with every CAS on the word: others may add meanwhile */
    atomic_fetch_and_explicit(&self->word, ~WAITED, memory_order_acq_rel);
}

int weft_wait_group_wait(weft_wait_group *group) {
    if (!group) return -EINVAL;
    struct wait_group *self = group_of(group);
    weft__charge();
    if (load_acquire(&self->word) == 0) return 0; /* pairs with weft_wait_group_add */
    return weft__line_wait(&self->line, &self->guard, is_empty_or_announce, deserted, self, "a wait group");
}
