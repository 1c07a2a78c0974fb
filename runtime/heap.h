/* A binary heap that keeps equal items in the order in which they came: the store of a priority queue. Not
 * thread-safe: the queue's guard protects it. Zero, with a comparison, is an empty heap. */
#ifndef WEFT_RUNTIME_HEAP_H
#define WEFT_RUNTIME_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__heap_entry {
    intptr_t item;
    uint64_t sequence;
};

struct weft__heap {
    struct weft__heap_entry *entries;
    size_t capacity, count;
    uint64_t sequence; /* of the next item */
    int (*compare)(intptr_t a, intptr_t b); /* const after init */
};

bool weft__heap_push(struct weft__heap *heap, intptr_t item); /* false: no memory */
intptr_t weft__heap_pop(struct weft__heap *heap);             /* not of an empty one */
void weft__heap_fini(struct weft__heap *heap);

#endif
