/* Messages to one worker: any thread posts, the owner takes all at once, oldest first.
 *
 * A Treiber stack that is only ever emptied whole, so there is no ABA; the taker reverses it, which keeps
 * each poster's order. Posting is wait-free but for the CAS loop, taking is one exchange. Rejected: an
 * intrusive MPSC queue after Vyukov, whose taker can find a half-linked node and has to wait for a
 * preempted poster. */
#ifndef WEFT_RUNTIME_INBOX_H
#define WEFT_RUNTIME_INBOX_H

#include "atomics.h"
#include "list.h"

struct weft__inbox {
    _Atomic(struct weft__item *) newest;
};

static inline void weft__inbox_init(struct weft__inbox *inbox) { atomic_init(&inbox->newest, NULL); }

/* Thread: any. The message belongs to the inbox until it is taken. */
static inline void weft__inbox_post(struct weft__inbox *inbox, struct weft__item *message) {
    struct weft__item *newest = load_relaxed(&inbox->newest);
    do message->next = newest;
    while (!cas_weak_acq_rel(&inbox->newest, &newest, message)); /* pairs with take_all's exchange */
}

/* Thread: any. */
static inline bool weft__inbox_empty(struct weft__inbox *inbox) { return !load_relaxed(&inbox->newest); }

/* Thread: the owner. The messages as a list, oldest first; NULL if none. */
static inline struct weft__item *weft__inbox_take_all(struct weft__inbox *inbox) {
    struct weft__item *newest = exchange_acq_rel(&inbox->newest, NULL), *oldest = NULL;
    while (newest) {
        struct weft__item *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#endif
