#define _GNU_SOURCE
#include "stack.h"

#include <sys/mman.h>

#include "assert.h"
#include "sanitize.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define PAGE 4096
#define MAPPING_BYTES (64UL * 1024 * 1024)
#define COLOURS 16
#define COLOUR_BYTES 128     /* 16 x 128 = half a page: what a parked task needs still fits the first page */
#define CACHE_MOST 64
#define POOL_WARM_MOST 1024  /* stacks that the pool keeps with their memory; picked out of thin air */
#define TRIM_BATCH 64
#define CANARY UINT64_C(0x7765667463616e61)

#define SLOTS_MOST (MAPPING_BYTES / WEFT__STACK_LEAST_BYTES)

/* The record of a mapping lies in its own first slot. */
struct mapping {
    struct weft__list link;      /* in the pool's mappings */
    struct weft__list cold_link; /* in the pool's cold mappings, while cold_count > 0 */
    size_t bytes;
    unsigned cold_count;
    uint64_t cold[SLOTS_MOST / 64]; /* slots whose memory was given back to the kernel, record and all */
    uint8_t guards[SLOTS_MOST];  /* of each slot, 1 + enum weft__guard: outlives trimming; its user's alone */
};
_Static_assert(sizeof(struct mapping) <= PAGE, "the record costs a page");

static struct weft__stack *stack_of(struct weft__item *link) {
    return weft__container_of(link, struct weft__stack, link);
}

static size_t slot_of(const struct weft__stack_pool *pool, const struct mapping *mapping, const char *base) {
    return (size_t)(base - (const char *)mapping) / pool->slot_bytes;
}

static uint64_t *canary_of(const struct weft__stack *stack) { return (uint64_t *)(void *)stack->base; }

void weft__stack_pool_init(struct weft__stack_pool *pool, size_t slot_bytes,
                           void (*entry)(struct weft__fiber *fiber)) {
    *pool = (struct weft__stack_pool){.slot_bytes = slot_bytes, .entry = entry};
    pool->guard_bytes = slot_bytes / 4 / PAGE * PAGE;
    pool->promised_bytes = slot_bytes / 2;
    weft__list_init(&pool->mappings);
    weft__list_init(&pool->cold);
}

/* Called with the pool locked. */
static bool map_more(struct weft__stack_pool *pool) {
    size_t bytes = MAPPING_BYTES / pool->slot_bytes * pool->slot_bytes;
    if (bytes < 4 * pool->slot_bytes) bytes = 4 * pool->slot_bytes;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                      -1, 0);
    if (base == MAP_FAILED) return false;
    madvise(base, bytes, MADV_NOHUGEPAGE); /* a huge page per eight stacks is what we avoid; advice only */
    struct mapping *mapping = (struct mapping *)(void *)base;
    *mapping = (struct mapping){.bytes = bytes};
    weft__list_append(&pool->mappings, &mapping->link);
    weft__list_init(&mapping->cold_link);
    pool->newest = mapping;
    pool->next_slot = base + pool->slot_bytes;
    pool->end = base + bytes;
    return true;
}

/* Guards the slot as well as this kernel and its limits allow. */
static enum weft__guard guard(struct weft__stack_pool *pool, char *base) {
    if (load_relaxed(&pool->guard) == WEFT__GUARD_MARKER) {
        if (madvise(base, pool->guard_bytes, MADV_GUARD_INSTALL) == 0) return WEFT__GUARD_MARKER;
        store_relaxed(&pool->guard, WEFT__GUARD_MPROTECT);
    }
    if (load_relaxed(&pool->guard) == WEFT__GUARD_MPROTECT) {
        if (mprotect(base, pool->guard_bytes, PROT_NONE) == 0) return WEFT__GUARD_MPROTECT;
        store_relaxed(&pool->guard, WEFT__GUARD_CANARY);
    }
    return WEFT__GUARD_CANARY;
}

/* Takes a slot that was trimmed, or NULL. Called with the pool locked. */
static char *warm_up(struct weft__stack_pool *pool, struct mapping **in) {
    if (weft__list_empty(&pool->cold)) return NULL;
    struct mapping *mapping = weft__container_of(pool->cold.next, struct mapping, cold_link);
    unsigned word = 0;
    while (!mapping->cold[word]) word++;
    unsigned slot = word * 64 + (unsigned)__builtin_ctzll(mapping->cold[word]);
    mapping->cold[word] &= mapping->cold[word] - 1;
    if (--mapping->cold_count == 0) weft__list_remove(&mapping->cold_link);
    *in = mapping;
    return (char *)mapping + slot * pool->slot_bytes;
}

/* An unused slot, or NULL. Called with the pool locked. */
static char *reserve_slot(struct weft__stack_pool *pool, struct mapping **in) {
    char *base = warm_up(pool, in);
    if (base) return base;
    if (pool->next_slot == pool->end && !map_more(pool)) return NULL;
    *in = pool->newest;
    base = pool->next_slot;
    pool->next_slot += pool->slot_bytes;
    return base;
}

/* Makes a stack of a slot. Not under the lock: it takes a system call and a page fault. */
static struct weft__stack *make(struct weft__stack_pool *pool, struct mapping *mapping, char *base, unsigned colour) {
    char *high = base + pool->slot_bytes - colour % COLOURS * COLOUR_BYTES;
    struct weft__stack *stack = (struct weft__stack *)(((uintptr_t)high - sizeof *stack) & ~(uintptr_t)63);
    uint8_t *guarded = &mapping->guards[slot_of(pool, mapping, base)];
    if (!*guarded) *guarded = (uint8_t)(1 + guard(pool, base)); /* a trimmed slot has kept its guard */
    *stack = (struct weft__stack){.base = base, .mapping = mapping, .guard = (enum weft__guard)(*guarded - 1)};
    if (stack->guard == WEFT__GUARD_CANARY) *canary_of(stack) = CANARY;
    weft__fiber_init(&stack->fiber, base + pool->guard_bytes, (char *)stack, pool->entry);
    return stack;
}

struct weft__stack *weft__stack_take(struct weft__stack_pool *pool, struct weft__stack_cache *cache) {
    if (cache && cache->free) {
        struct weft__stack *stack = stack_of(cache->free);
        cache->free = cache->free->next;
        cache->count--;
        counter_add(&cache->hits, 1);
        return stack;
    }
    if (cache) counter_add(&cache->misses, 1);
    struct mapping *mapping = NULL;
    weft__lock_acquire(&pool->lock);
    struct weft__item *link = weft__fifo_pop(&pool->free);
    char *base = link ? NULL : reserve_slot(pool, &mapping);
    unsigned colour = pool->colour++;
    weft__lock_release(&pool->lock);
    if (link) return stack_of(link);
    return base ? make(pool, mapping, base, colour) : NULL;
}

static void give_shared(struct weft__stack_pool *pool, struct weft__stack *stack) {
    weft__lock_acquire(&pool->lock);
    weft__fifo_push(&pool->free, &stack->link);
    weft__lock_release(&pool->lock);
}

void weft__stack_give(struct weft__stack_pool *pool, struct weft__stack_cache *cache,
                      struct weft__stack *stack) {
    weft__assert(stack->guard != WEFT__GUARD_CANARY || *canary_of(stack) == CANARY); /* a stack overflow */
    WEFT__UNPOISON(stack->fiber.low, (size_t)(stack->fiber.high - stack->fiber.low));
    if (!cache || cache->count == CACHE_MOST) {
        give_shared(pool, stack);
        return;
    }
    stack->link.next = cache->free;
    cache->free = &stack->link;
    cache->count++;
}

void weft__stack_flush(struct weft__stack_pool *pool, struct weft__stack_cache *cache) {
    while (cache->free) {
        struct weft__stack *stack = stack_of(cache->free);
        cache->free = cache->free->next;
        give_shared(pool, stack);
    }
    cache->count = 0;
}

/* Unmakes a stack: only its slot, its guard and its place in the bitmap remain. */
static void chill(struct weft__stack_pool *pool, struct weft__stack *stack) {
    struct mapping *mapping = stack->mapping;
    char *base = stack->base, *low = base + pool->guard_bytes;
    weft__fiber_fini(&stack->fiber);
    madvise(low, (size_t)(base + pool->slot_bytes - low), MADV_DONTNEED); /* guards stay */
    size_t slot = slot_of(pool, mapping, base);
    mapping->cold[slot / 64] |= UINT64_C(1) << slot % 64;
    if (mapping->cold_count++ == 0) weft__list_append(&pool->cold, &mapping->cold_link);
}

bool weft__stack_trim(struct weft__stack_pool *pool) {
    bool more;
    weft__lock_acquire(&pool->lock);
    for (size_t i = 0; i < TRIM_BATCH && pool->free.count > POOL_WARM_MOST; i++)
        chill(pool, stack_of(weft__fifo_pop(&pool->free)));
    more = pool->free.count > POOL_WARM_MOST;
    weft__lock_release(&pool->lock);
    return more;
}

bool weft__stack_overflowed(const struct weft__stack_pool *pool, const struct weft__stack *stack,
                            const void *address) {
    const char *at = address;
    return at >= stack->base && at < stack->base + pool->guard_bytes;
}

void weft__stack_pool_fini(struct weft__stack_pool *pool) {
    for (struct weft__item *link; (link = weft__fifo_pop(&pool->free));)
        weft__fiber_fini(&stack_of(link)->fiber);
    for (struct weft__list *link; (link = weft__list_pop(&pool->mappings));) {
        struct mapping *mapping = weft__container_of(link, struct mapping, link);
        WEFT__UNPOISON(mapping, mapping->bytes);
        munmap(mapping, mapping->bytes);
    }
}
