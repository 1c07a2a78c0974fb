/* An event: one word, and a line behind it.
 *
 *     0        not set, nobody waits
 *     WAITED   not set, the line is not empty (some in it may have been cancelled)
 *     SET      set, nobody waits
 *
 * Without waiters set and clear are one RMW each, set also if the event is set already: so whoever finds it
 * set sees what any of the setters wrote before. Once WAITED is set only the guard's holder changes the word. */
#include <weft/sync.h>

#include "parker.h"

#define SET UINT32_C(1)
#define WAITED UINT32_C(2)

struct event {
    _Atomic uint32_t word;
    weft__lock guard;
    struct weft__line line; /* guard */
};
_Static_assert(sizeof(struct event) <= sizeof(weft_event), "the public record is large enough");

static struct event *event_of(const weft_event *event) { return (struct event *)(uintptr_t)event; }

int weft_event_init(weft_event *event) {
    if (!event) return -EINVAL;
    *event_of(event) = (struct event){0};
    return 0;
}

bool weft_event_is_set(const weft_event *event) {
    return event && load_acquire(&event_of(event)->word) == SET; /* pairs with set_quickly */
}

static bool set_quickly(struct event *self) {
    uint32_t word = load_relaxed(&self->word);
    while (!(word & WAITED))
        if (cas_weak_acq_rel(&self->word, &word, SET)) return true; /* pairs with weft_event_is_set */
    return false;
}

/* False if nobody waits any more. Then the quick way is to be taken: whoever finds the event set may free it, and
 * we are not to be at its guard. */
static bool set_and_wake(struct event *self) {
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    bool waited = load_relaxed(&self->word) & WAITED;
    if (waited) {
        store_release(&self->word, SET); /* pairs with weft_event_is_set */
        weft__line_grant_all(&self->line, &woken);
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return waited;
}

int weft_event_set(weft_event *event) {
    if (!event) return -EINVAL;
    while (!set_quickly(event_of(event)) && !set_and_wake(event_of(event))) {}
    return 0;
}

int weft_event_clear(weft_event *event) {
    if (!event) return -EINVAL;
    uint32_t set = SET;
    cas_acq_rel(&event_of(event)->word, &set, 0); /* pairs with set_quickly */
    return 0;
}

/* Says WAITED unless the event is set. Under the guard. */
static bool is_set_or_announce(void *arg) {
    struct event *self = arg;
    uint32_t word = load_acquire(&self->word); /* pairs with set_quickly */
    while (word != SET)
        if (cas_weak_acq_rel(&self->word, &word, WAITED)) return false; /* pairs with set_quickly */
    return true;
}

static void deserted(void *arg) {
    struct event *self = arg;
    if (load_relaxed(&self->word) == WAITED) store_release(&self->word, 0); /* pairs with set_quickly */
}

int weft_event_wait(weft_event *event) {
    if (!event) return -EINVAL;
    weft__charge();
    if (weft_event_is_set(event)) return 0;
    struct event *self = event_of(event);
    return weft__line_wait(&self->line, &self->guard, is_set_or_announce, deserted, self, "an event");
}
