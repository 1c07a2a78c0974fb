#include "heap.h"

#include <stdlib.h>

#include "assert.h"

#define LEAST 16

static bool before(const struct weft__heap *heap, const struct weft__heap_entry *a, const struct weft__heap_entry *b) {
    int order = heap->compare(a->item, b->item);
    return order < 0 || (order == 0 && a->sequence < b->sequence);
}

static bool grow(struct weft__heap *heap) {
    size_t capacity = heap->capacity ? heap->capacity * 2 : LEAST;
    struct weft__heap_entry *entries = malloc(capacity * sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < heap->count; i++) entries[i] = heap->entries[i];
    free(heap->entries);
    heap->entries = entries;
    heap->capacity = capacity;
    return true;
}

bool weft__heap_push(struct weft__heap *heap, intptr_t item) {
    if (heap->count == heap->capacity && !grow(heap)) return false;
    struct weft__heap_entry entry = {item, heap->sequence++};
    size_t at = heap->count++;
    for (; at > 0 && before(heap, &entry, &heap->entries[(at - 1) / 2]); at = (at - 1) / 2)
        heap->entries[at] = heap->entries[(at - 1) / 2];
    heap->entries[at] = entry;
    return true;
}

intptr_t weft__heap_pop(struct weft__heap *heap) {
    weft__assert(heap->count > 0);
    intptr_t first = heap->entries[0].item;
    struct weft__heap_entry entry = heap->entries[--heap->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < heap->count) {
        if (child + 1 < heap->count && before(heap, &heap->entries[child + 1], &heap->entries[child])) child++;
        if (!before(heap, &heap->entries[child], &entry)) break;
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = entry;
    return first;
}

void weft__heap_fini(struct weft__heap *heap) {
    free(heap->entries);
    heap->entries = NULL;
    heap->capacity = heap->count = 0;
}
