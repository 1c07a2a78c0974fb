/* Stacks for tasks: address space is plentiful, memory is not.
 *
 *     low                                                            high
 *     | guard, a quarter, >= 64 KiB of 256 | stack, grows down  <- | struct weft__stack, colour |
 *
 * Each stack is a slot of a large NORESERVE mapping; a fresh one costs no page until it runs. Guards are
 * MADV_GUARD_INSTALL markers (Linux 6.13): no VMA each, so their number is not limited by
 * vm.max_map_count, and they survive MADV_DONTNEED. Where the kernel has none: mprotect, which splits the
 * mapping; where that fails too (the VMA limit): no guard but a canary word, checked whenever the stack is
 * given back. A small per-stack offset ("colour") keeps the hot ends of many stacks off the same cache
 * sets (8.2 ns against 12.8 a switch over 1000 stacks).
 *
 * A worker keeps a LIFO cache of warm stacks; the rest lie in the pool, under its lock. A pooled fiber is
 * parked inside its entry function, ready to run the next task without being made anew. */
#ifndef WEFT_RUNTIME_STACK_H
#define WEFT_RUNTIME_STACK_H

#include <stdint.h>

#include "fiber.h"
#include "list.h"
#include "world.h"

#define WEFT__STACK_DEFAULT_BYTES (256 * 1024)
#define WEFT__STACK_LEAST_BYTES (32 * 1024)

enum weft__guard { WEFT__GUARD_MARKER, WEFT__GUARD_MPROTECT, WEFT__GUARD_CANARY };

struct weft__stack_pool;

struct weft__stack {
    struct weft__fiber fiber;
    struct weft__item link;     /* in a cache or the pool */
    char *base;                 /* of the slot */
    void *mapping;              /* that the slot lies in */
    enum weft__guard guard;
    /* for the owner to use: */
    void (*body)(struct weft__stack *stack); /* what the fiber runs next, */
    void *task;                 /* for whom: a task, or a generator; and */
    struct weft__stack_pool *pool; /* where the stack goes back to; */
    int saved_errno;            /* of the task that has left it */
    struct weft__host *hosts;   /* tasks whose awaits run another one in place on it, innermost first */
};

struct weft__stack_pool {
    /* const after init */
    size_t slot_bytes, guard_bytes, promised_bytes;
    void (*entry)(struct weft__fiber *fiber);
    /* lock */
    weft__lock lock;
    struct weft__fifo free;        /* given back, oldest first */
    struct weft__list mappings, cold; /* all of them; those with slots that were trimmed */
    void *newest;                  /* mapping, and its slots that were never used */
    char *next_slot, *end;
    unsigned colour;
    /* any thread */
    _Atomic unsigned guard;        /* enum weft__guard: the best kind that has not failed yet */
};

/* A worker's cache. Zero-initialised. */
struct weft__stack_cache {
    struct weft__item *free;
    unsigned count;
    _Atomic uint64_t hits, misses;
};

/* slot_bytes: a multiple of the page size. */
void weft__stack_pool_init(struct weft__stack_pool *pool, size_t slot_bytes,
                           void (*entry)(struct weft__fiber *fiber));
void weft__stack_pool_fini(struct weft__stack_pool *pool); /* every stack has been given back */

/* Thread: the owner of `cache`, or any with NULL. take: NULL without memory. */
struct weft__stack *weft__stack_take(struct weft__stack_pool *pool, struct weft__stack_cache *cache);
void weft__stack_give(struct weft__stack_pool *pool, struct weft__stack_cache *cache,
                      struct weft__stack *stack);
void weft__stack_flush(struct weft__stack_pool *pool, struct weft__stack_cache *cache);

/* Gives the memory of some pooled stacks back to the kernel; returns whether there is more to do.
 * Thread: any. */
bool weft__stack_trim(struct weft__stack_pool *pool);

/* Whether `address` lies in the guard of the stack. Async-signal-safe. */
bool weft__stack_overflowed(const struct weft__stack_pool *pool, const struct weft__stack *stack,
                            const void *address);

#endif
