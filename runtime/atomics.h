/* C11 atomics under short names. Every use names its partner in a comment where it stands. */
#ifndef WEFT_RUNTIME_ATOMICS_H
#define WEFT_RUNTIME_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sanitize.h"

#define load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit(p, memory_order_acquire)
#define load_seq_cst(p) atomic_load_explicit(p, memory_order_seq_cst)
#define store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit(p, v, memory_order_release)
#define exchange_seq_cst(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define exchange_acq_rel(p, v) atomic_exchange_explicit(p, v, memory_order_acq_rel)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define fetch_sub_acq_rel(p, v) atomic_fetch_sub_explicit(p, v, memory_order_acq_rel)
#define cas_acq_rel(p, expected, v)                                                                          \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_acq_rel, memory_order_acquire)
#define cas_weak_acq_rel(p, expected, v)                                                                     \
    atomic_compare_exchange_weak_explicit(p, expected, v, memory_order_acq_rel, memory_order_acquire)
#define cas_seq_cst(p, expected, v)                                                                          \
    atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst, memory_order_seq_cst)

/* A counter that one thread writes and every thread may read. */
#define counter_add(p, n) store_relaxed(p, load_relaxed(p) + (n))

/* A sequentially consistent fence. TSan does not model fences: there it is an RMW on a word of its own. */
static inline void fence_seq_cst(void) {
#ifdef WEFT__TSAN
    static _Atomic uint32_t word;
    atomic_fetch_add_explicit(&word, 1, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#define WEFT__CACHE_LINE 64
#define weft__container_of(pointer, type, member)                                                            \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
