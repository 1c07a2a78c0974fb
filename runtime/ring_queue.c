#include "ring_queue.h"

#include "assert.h"

#define MASK (WEFT__RING_QUEUE_CAPACITY - 1)

static uint64_t pack(uint32_t stolen, uint32_t taken) { return (uint64_t)stolen << 32 | taken; }
static uint32_t stolen_of(uint64_t head) { return (uint32_t)(head >> 32); }
static uint32_t taken_of(uint64_t head) { return (uint32_t)head; }

void weft__ring_queue_init(struct weft__ring_queue *queue) {
    queue->alone = false;
    atomic_init(&queue->head, 0);
    atomic_init(&queue->tail, 0);
}

bool weft__ring_queue_push(struct weft__ring_queue *queue, void *item) {
    uint32_t tail = load_relaxed(&queue->tail);
    /* pairs with the CAS that ends take_half: slots below `stolen` have been copied out */
    uint32_t stolen = stolen_of(load_acquire(&queue->head));
    if (tail - stolen >= WEFT__RING_QUEUE_CAPACITY) return false;
    store_relaxed(&queue->items[tail & MASK], item);
    store_release(&queue->tail, tail + 1); /* pairs with the acquire of tail in take_half */
    return true;
}

void *weft__ring_queue_pop(struct weft__ring_queue *queue) {
    uint64_t head = load_acquire(&queue->head);
    uint32_t tail = load_relaxed(&queue->tail);
    for (;;) {
        uint32_t stolen = stolen_of(head), taken = taken_of(head);
        if (taken == tail) return NULL;
        void *item = load_relaxed(&queue->items[taken & MASK]);
        uint64_t next = pack(stolen == taken ? taken + 1 : stolen, taken + 1);
        if (queue->alone) store_relaxed(&queue->head, next);
        else if (!cas_weak_acq_rel(&queue->head, &head, next)) continue; /* pairs with take_half's claim */
        return item;
    }
}

size_t weft__ring_queue_take_half(struct weft__ring_queue *queue, void **items) {
    uint64_t head = load_acquire(&queue->head);
    uint32_t stolen, taken, count;
    do {
        stolen = stolen_of(head);
        taken = taken_of(head);
        if (stolen != taken) return 0;                            /* another thief is at it */
        uint32_t tail = load_acquire(&queue->tail);               /* pairs with push */
        if (tail - taken > WEFT__RING_QUEUE_CAPACITY) tail = taken; /* a stale head: nothing certain */
        count = (tail - taken + 1) / 2;
        if (count == 0) return 0;
        /* the claim; pairs with pop and with other claims */
    } while (!cas_weak_acq_rel(&queue->head, &head, pack(stolen, taken + count)));

    for (uint32_t i = 0; i < count; i++) items[i] = load_relaxed(&queue->items[(taken + i) & MASK]);

    head = pack(stolen, taken + count);
    /* give the slots back; pairs with the acquire in push */
    while (!cas_weak_acq_rel(&queue->head, &head, pack(taken_of(head), taken_of(head))))
        weft__debug_assert(stolen_of(head) == stolen);
    return count;
}

size_t weft__ring_queue_count(struct weft__ring_queue *queue) {
    uint32_t taken = taken_of(load_relaxed(&queue->head));
    uint32_t count = load_relaxed(&queue->tail) - taken;
    return count <= WEFT__RING_QUEUE_CAPACITY ? count : 0;
}
