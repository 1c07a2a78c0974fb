#include "ring_buffer.h"

#include <stdlib.h>

#define LEAST 16

bool weft__ring_buffer_grow(struct weft__ring_buffer *ring) {
    size_t capacity = ring->capacity ? ring->capacity * 2 : LEAST, count = ring->count;
    intptr_t *items = malloc(capacity * sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < count; i++) items[i] = ring->items[(ring->first + i) & (ring->capacity - 1)];
    free(ring->items);
    *ring = (struct weft__ring_buffer){.items = items, .capacity = capacity, .count = count};
    return true;
}

void weft__ring_buffer_fini(struct weft__ring_buffer *ring) {
    free(ring->items);
    *ring = (struct weft__ring_buffer){0};
}
