/* The deque of unstarted work: its owner pushes and pops at the bottom, thieves take the oldest from the
 * top. Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), with the orderings of Lê, Pop,
 * Cohen and Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (PPoPP 2013).
 *
 * Items are non-zero words. Arrays that were outgrown stay readable until fini: a thief may hold one. */
#ifndef WEFT_RUNTIME_DEQUE_H
#define WEFT_RUNTIME_DEQUE_H

#include <stddef.h>

#include "atomics.h"

#define WEFT__DEQUE_RETRY ((uintptr_t)1) /* steal lost a race: look again */

struct weft__deque_array;

struct weft__deque {
    /* const once shared */
    bool alone;                   /* there are no thieves: the owner need not race with any */
    /* any thread */
    _Atomic int64_t top;
    _Atomic(struct weft__deque_array *) array;
    /* written by the owner alone */
    _Alignas(WEFT__CACHE_LINE) _Atomic int64_t bottom;
};

/* Thread: the owner. 0 or -ENOMEM. */
int weft__deque_init(struct weft__deque *deque, size_t capacity);
void weft__deque_fini(struct weft__deque *deque);

/* Thread: the owner. push returns 0 or -ENOMEM (nothing changes); pop returns 0 when empty; pop_if takes
 * the newest item only if it is `item`. */
int weft__deque_push(struct weft__deque *deque, uintptr_t item);
uintptr_t weft__deque_pop(struct weft__deque *deque);
bool weft__deque_pop_if(struct weft__deque *deque, uintptr_t item);
/* Whether `item` is one of the newest few. */
bool weft__deque_near_bottom(struct weft__deque *deque, uintptr_t item);

/* Thread: any. The oldest item, 0 when empty, WEFT__DEQUE_RETRY when another taker was faster. */
uintptr_t weft__deque_steal(struct weft__deque *deque);

/* Thread: any; exact only for the owner. */
size_t weft__deque_count(struct weft__deque *deque);

#endif
