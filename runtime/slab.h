/* Records of one size, for tasks and futures: a few nanoseconds to take and to give back.
 *
 * Magazines after Bonwick and Adams, "Magazines and Vmem" (USENIX 2001): each worker has a private list of
 * free records; whole batches go to and come from a depot under a lock, so that records freed on another
 * worker than their maker's find their way back. Plain threads use the depot directly.
 *
 * Memory is type-stable: a record's first 16 bytes stay readable for ever, so that somebody who walks over
 * all records (weft__slab_each) may look at a state word there and try to take a reference. */
#ifndef WEFT_RUNTIME_SLAB_H
#define WEFT_RUNTIME_SLAB_H

#include <stddef.h>

#include "atomics.h"
#include "list.h"

#define WEFT__SLAB_RECORD_BYTES 192
#define WEFT__SLAB_STABLE_BYTES 16 /* kept readable, and never written by the slab after the first use */

#define WEFT__SLAB_BATCH 64 /* records that move between a cache and the depot at once */
#define WEFT__SLAB_CACHE_MOST (2 * WEFT__SLAB_BATCH)

/* A free record: its stable bytes are left alone, the links come behind them. */
struct weft__slab_record {
    char stable[WEFT__SLAB_STABLE_BYTES];
    struct weft__item link;                 /* in a cache, or within a batch */
    struct weft__slab_record *next_batch;   /* first record of a batch in the depot */
    unsigned count;                         /* of that batch */
};
_Static_assert(sizeof(struct weft__slab_record) <= WEFT__SLAB_RECORD_BYTES, "a free record must fit");

/* A worker's private list. Zero-initialised. */
struct weft__slab_cache {
    struct weft__item *free;
    unsigned count;
};

/* The depot's part: an empty cache, or none; and a cache that has become full. */
void *weft__slab_take_slow(struct weft__slab_cache *cache);
void weft__slab_give_slow(struct weft__slab_cache *cache, struct weft__slab_record *record);

/* Thread: the owner of `cache`, or any with NULL. NULL without memory. The stable bytes of a fresh record
 * are zero; of a used one, as its last user left them. The rest is garbage. */
static inline void *weft__slab_take(struct weft__slab_cache *cache) {
    if (!cache || !cache->free) return weft__slab_take_slow(cache);
    struct weft__slab_record *record = weft__container_of(cache->free, struct weft__slab_record, link);
    cache->free = record->link.next;
    cache->count--;
    WEFT__UNPOISON(record, WEFT__SLAB_RECORD_BYTES);
    return record;
}

static inline void weft__slab_give(struct weft__slab_cache *cache, void *pointer) {
    struct weft__slab_record *record = (struct weft__slab_record *)pointer;
    WEFT__POISON((char *)pointer + sizeof *record, WEFT__SLAB_RECORD_BYTES - sizeof *record);
    record->link.next = cache ? cache->free : NULL;
    if (!cache || cache->count + 1 == WEFT__SLAB_CACHE_MOST) {
        weft__slab_give_slow(cache, record);
        return;
    }
    cache->free = &record->link;
    cache->count++;
}

/* Returns everything in `cache` to the depot. Thread: its owner. */
void weft__slab_flush(struct weft__slab_cache *cache);

/* Around a fork: no other thread may hold the depot's lock in the child. */
void weft__slab_hold(void);
void weft__slab_let_go(void);

/* Calls `visit` for every record there is, free ones too. Thread: any. */
void weft__slab_each(void (*visit)(void *record, void *arg), void *arg);

#endif
