/* The FIFO of resumed tasks: a fixed ring whose owner pushes and pops, and of which a thief takes half at
 * once. After Tokio's run queue (tokio/src/runtime/scheduler/multi_thread/queue.rs), itself after Go's.
 *
 * `head` packs two 32-bit indices. `taken` is where the owner and the next thief continue; `stolen` trails
 * behind it while a thief copies [stolen, taken) out, and tells the owner that these slots are in use.
 * stolen == taken: nobody steals. One thief at a time. */
#ifndef WEFT_RUNTIME_RING_QUEUE_H
#define WEFT_RUNTIME_RING_QUEUE_H

#include <stddef.h>

#include "atomics.h"

#ifndef WEFT__RING_QUEUE_CAPACITY
#define WEFT__RING_QUEUE_CAPACITY 256 /* a power of two; tests build with 4 */
#endif

struct weft__ring_queue {
    bool alone; /* const once shared: there are no thieves */
    /* any thread */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint64_t head; /* stolen << 32 | taken */
    /* written by the owner alone */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t tail;
    _Atomic(void *) items[WEFT__RING_QUEUE_CAPACITY];
};

void weft__ring_queue_init(struct weft__ring_queue *queue);

/* Thread: the owner. push returns false when there is no room; pop returns NULL when empty. */
bool weft__ring_queue_push(struct weft__ring_queue *queue, void *item);
void *weft__ring_queue_pop(struct weft__ring_queue *queue);

/* Thread: the owner, for its own queue; any thread for another's. Takes the older half (rounded up) into
 * `items`, which has room for half the capacity; returns how many, 0 if empty or another thief is at it. */
size_t weft__ring_queue_take_half(struct weft__ring_queue *queue, void **items);

/* Thread: any; exact only for the owner. */
size_t weft__ring_queue_count(struct weft__ring_queue *queue);

#endif
