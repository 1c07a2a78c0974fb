#include "deque.h"

#include <errno.h>
#include <stdlib.h>

#include "assert.h"

#define NEAR 4 /* the children of one task, in a tree of tasks with the usual two or three each */

struct weft__deque_array {
    size_t mask;
    struct weft__deque_array *outgrown; /* the smaller array that this one replaced */
    _Atomic uintptr_t items[];
};

static struct weft__deque_array *array_new(size_t capacity) {
    struct weft__deque_array *array = malloc(sizeof *array + capacity * sizeof array->items[0]);
    if (!array) return NULL;
    array->mask = capacity - 1;
    array->outgrown = NULL;
    return array;
}

int weft__deque_init(struct weft__deque *deque, size_t capacity) {
    weft__assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
    struct weft__deque_array *array = array_new(capacity);
    if (!array) return -ENOMEM;
    deque->alone = false;
    atomic_init(&deque->top, 0);
    atomic_init(&deque->bottom, 0);
    atomic_init(&deque->array, array);
    return 0;
}

void weft__deque_fini(struct weft__deque *deque) {
    struct weft__deque_array *array = load_relaxed(&deque->array);
    while (array) {
        struct weft__deque_array *outgrown = array->outgrown;
        free(array);
        array = outgrown;
    }
    store_relaxed(&deque->array, NULL);
}

static struct weft__deque_array *grow(struct weft__deque *deque, struct weft__deque_array *array, int64_t top,
                                      int64_t bottom) {
    struct weft__deque_array *larger = array_new((array->mask + 1) * 2);
    if (!larger) return NULL;
    for (int64_t i = top; i < bottom; i++)
        store_relaxed(&larger->items[(size_t)i & larger->mask],
                      load_relaxed(&array->items[(size_t)i & array->mask]));
    larger->outgrown = array;
    store_release(&deque->array, larger); /* pairs with the acquire in steal */
    return larger;
}

int weft__deque_push(struct weft__deque *deque, uintptr_t item) {
    weft__debug_assert(item > WEFT__DEQUE_RETRY);
    int64_t bottom = load_relaxed(&deque->bottom);
    int64_t top = load_acquire(&deque->top); /* pairs with the CAS in steal */
    struct weft__deque_array *array = load_relaxed(&deque->array);
    if (bottom - top > (int64_t)array->mask) {
        array = grow(deque, array, top, bottom);
        if (!array) return -ENOMEM;
    }
    store_relaxed(&array->items[(size_t)bottom & array->mask], item);
    store_release(&deque->bottom, bottom + 1); /* pairs with the acquire of bottom in steal */
    return 0;
}

uintptr_t weft__deque_pop(struct weft__deque *deque) {
    int64_t bottom = load_relaxed(&deque->bottom) - 1;
    struct weft__deque_array *array = load_relaxed(&deque->array);
    /* Only thieves advance top, so an old value that says "empty" is right: no fence for an empty deque. */
    if (bottom < load_relaxed(&deque->top)) return 0;
    store_relaxed(&deque->bottom, bottom);
    if (!deque->alone) fence_seq_cst(); /* pairs with the fence in steal: one of the two sees the other's index */
    int64_t top = load_relaxed(&deque->top);
    uintptr_t item = 0;
    if (top <= bottom) {
        item = load_relaxed(&array->items[(size_t)bottom & array->mask]);
        if (top < bottom) return item;
        if (deque->alone) store_relaxed(&deque->top, top + 1);
        else if (!cas_seq_cst(&deque->top, &top, top + 1)) item = 0; /* the last one: race the thieves for it */
    }
    store_relaxed(&deque->bottom, bottom + 1);
    return item;
}

bool weft__deque_pop_if(struct weft__deque *deque, uintptr_t item) {
    int64_t newest = load_relaxed(&deque->bottom) - 1;
    struct weft__deque_array *array = load_relaxed(&deque->array);
    if (newest < load_relaxed(&deque->top)) return false;
    if (load_relaxed(&array->items[(size_t)newest & array->mask]) != item) return false;
    return weft__deque_pop(deque) == item;
}

bool weft__deque_near_bottom(struct weft__deque *deque, uintptr_t item) {
    int64_t bottom = load_relaxed(&deque->bottom), top = load_relaxed(&deque->top);
    struct weft__deque_array *array = load_relaxed(&deque->array);
    for (int64_t i = bottom - 1; i >= top && i >= bottom - NEAR; i--)
        if (load_relaxed(&array->items[(size_t)i & array->mask]) == item) return true;
    return false;
}

uintptr_t weft__deque_steal(struct weft__deque *deque) {
    int64_t top = load_acquire(&deque->top); /* pairs with the CASes in pop and steal */
    fence_seq_cst();                         /* pairs with the fence in pop */
    int64_t bottom = load_acquire(&deque->bottom); /* pairs with the release in push */
    if (top >= bottom) return 0;
    struct weft__deque_array *array = load_acquire(&deque->array); /* pairs with grow */
    uintptr_t item = load_relaxed(&array->items[(size_t)top & array->mask]);
    return cas_seq_cst(&deque->top, &top, top + 1) ? item : WEFT__DEQUE_RETRY;
}

size_t weft__deque_count(struct weft__deque *deque) {
    int64_t count = load_relaxed(&deque->bottom) - load_relaxed(&deque->top);
    return count > 0 ? (size_t)count : 0;
}
