#include "slab.h"

#include <sys/mman.h>

#include "sanitize.h"
#include "world.h"

#define CHUNK_BYTES (256 * 1024)

struct chunk {
    struct chunk *next;
    _Alignas(WEFT__CACHE_LINE) char records[];
};
#define RECORDS_PER_CHUNK ((CHUNK_BYTES - sizeof(struct chunk)) / WEFT__SLAB_RECORD_BYTES)

static struct {
    weft__lock lock;
    struct weft__slab_record *batches;     /* lock */
    size_t fresh;                    /* lock: records of the newest chunk never handed out */
    _Atomic(struct chunk *) chunks;  /* written under lock, read by any thread */
} depot;

#define RECORD(item) weft__container_of(item, struct weft__slab_record, link)

static struct chunk *chunk_new(void) {
    void *memory = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* A batch of free records as a list; at most BATCH. Called with the depot locked. */
static struct weft__item *depot_take(unsigned *count) {
    struct weft__slab_record *batch = depot.batches;
    if (batch) {
        depot.batches = batch->next_batch;
        *count = batch->count;
        return &batch->link;
    }
    if (depot.fresh == 0) {
        struct chunk *chunk = chunk_new();
        if (!chunk) return NULL;
        chunk->next = load_relaxed(&depot.chunks);
        store_release(&depot.chunks, chunk); /* pairs with the acquire in weft__slab_each */
        depot.fresh = RECORDS_PER_CHUNK;
    }
    struct weft__item *list = NULL;
    for (*count = 0; *count < WEFT__SLAB_BATCH && depot.fresh > 0; ++*count) {
        char *records = load_relaxed(&depot.chunks)->records;
        struct weft__slab_record *record =
            (struct weft__slab_record *)(void *)(records + --depot.fresh * WEFT__SLAB_RECORD_BYTES);
        record->link.next = list;
        list = &record->link;
    }
    return list;
}

static void depot_give(struct weft__item *list, unsigned count) {
    struct weft__slab_record *batch = RECORD(list);
    batch->count = count;
    weft__lock_acquire(&depot.lock);
    batch->next_batch = depot.batches;
    depot.batches = batch;
    weft__lock_release(&depot.lock);
}

static void *unpoisoned(struct weft__item *item) {
    struct weft__slab_record *record = RECORD(item);
    WEFT__UNPOISON(record, WEFT__SLAB_RECORD_BYTES);
    return record;
}

static void *take_shared(void) {
    weft__lock_acquire(&depot.lock);
    unsigned count = 0;
    struct weft__item *list = depot_take(&count);
    struct weft__item *rest = list ? list->next : NULL;
    if (rest) {
        RECORD(rest)->count = count - 1;
        RECORD(rest)->next_batch = depot.batches;
        depot.batches = RECORD(rest);
    }
    weft__lock_release(&depot.lock);
    return list ? unpoisoned(list) : NULL;
}

void *weft__slab_take_slow(struct weft__slab_cache *cache) {
    if (!cache) return take_shared();
    weft__lock_acquire(&depot.lock);
    cache->free = depot_take(&cache->count);
    weft__lock_release(&depot.lock);
    return cache->free ? weft__slab_take(cache) : NULL;
}

void weft__slab_give_slow(struct weft__slab_cache *cache, struct weft__slab_record *record) {
    if (!cache) {
        depot_give(&record->link, 1);
        return;
    }
    struct weft__item *last = &record->link; /* the newest half stays: it is warm */
    for (unsigned i = 1; i < WEFT__SLAB_BATCH; i++) last = last->next;
    struct weft__item *older = last->next;
    last->next = NULL;
    depot_give(older, cache->count + 1 - WEFT__SLAB_BATCH);
    cache->free = &record->link;
    cache->count = WEFT__SLAB_BATCH;
}

void weft__slab_flush(struct weft__slab_cache *cache) {
    if (cache->free) depot_give(cache->free, cache->count);
    *cache = (struct weft__slab_cache){0};
}

void weft__slab_hold(void) { weft__lock_acquire(&depot.lock); }
void weft__slab_let_go(void) { weft__lock_release(&depot.lock); }

void weft__slab_each(void (*visit)(void *record, void *arg), void *arg) {
    /* pairs with the release in depot_take; records that were never handed out read as zero */
    for (struct chunk *chunk = load_acquire(&depot.chunks); chunk; chunk = chunk->next)
        for (size_t i = 0; i < RECORDS_PER_CHUNK; i++)
            visit(chunk->records + i * WEFT__SLAB_RECORD_BYTES, arg);
}
