/* A ring of items that grows: the store of a queue that is first in first out, or last in first out. Not
 * thread-safe: the queue's guard protects it. Zero is an empty ring. */
#ifndef WEFT_RUNTIME_RING_BUFFER_H
#define WEFT_RUNTIME_RING_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__ring_buffer {
    intptr_t *items;
    size_t capacity; /* a power of two, or 0 */
    size_t first, count;
};

bool weft__ring_buffer_grow(struct weft__ring_buffer *ring);
void weft__ring_buffer_fini(struct weft__ring_buffer *ring);

/* False: no memory. */
static inline bool weft__ring_buffer_push(struct weft__ring_buffer *ring, intptr_t item) {
    if (ring->count == ring->capacity && !weft__ring_buffer_grow(ring)) return false;
    ring->items[(ring->first + ring->count++) & (ring->capacity - 1)] = item;
    return true;
}

/* Not of an empty one. */
static inline intptr_t weft__ring_buffer_pop_first(struct weft__ring_buffer *ring) {
    intptr_t item = ring->items[ring->first];
    ring->first = (ring->first + 1) & (ring->capacity - 1);
    ring->count--;
    return item;
}

static inline intptr_t weft__ring_buffer_pop_last(struct weft__ring_buffer *ring) {
    return ring->items[(ring->first + --ring->count) & (ring->capacity - 1)];
}

#endif
