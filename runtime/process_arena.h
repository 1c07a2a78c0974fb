/* The memory of a process pool: slots, and regions for payloads that are larger. */
#ifndef WEFT_RUNTIME_PROCESS_ARENA_H
#define WEFT_RUNTIME_PROCESS_ARENA_H

#include "process_slot.h"
#include "world.h"

#define WEFT__REGION_LEAST_BYTES ((size_t)1 << 16)
#define WEFT__REGION_CLASSES 19 /* 64 KiB << class, up to 16 GiB */

struct weft__region {
    /* const after init */
    uint64_t offset;           /* in the file */
    size_t bytes;
    struct weft__region *next_of_all;
    /* whoever has taken it */
    void *memory;              /* in this process; NULL: not mapped yet */
    size_t used_bytes;         /* of these there may be memory */
    struct weft__region *next_free; /* lock */
};

struct weft__arena {
    /* const after init */
    int file;
    unsigned workers;
    struct weft__slot *slots;
    /* lock */
    weft__lock lock;
    uint64_t file_bytes;
    size_t idle_bytes;         /* used bytes of free regions */
    struct weft__region *all, *free[WEFT__REGION_CLASSES];
};

/* 0, -ENOMEM, -EMFILE, ... */
int weft__arena_init(struct weft__arena *arena, unsigned workers);
void weft__arena_fini(struct weft__arena *arena);

/* A region of at least `bytes`; NULL without memory. Thread: any, as all that follow. */
struct weft__region *weft__arena_take(struct weft__arena *arena, size_t bytes);
void weft__arena_give(struct weft__arena *arena, struct weft__region *region);

/* The first `bytes` of a region in this process: what a worker has written there; or room to write, that is there:
 * no access will fail. NULL without memory. */
void *weft__arena_read(struct weft__arena *arena, struct weft__region *region, size_t bytes);
void *weft__arena_write(struct weft__arena *arena, struct weft__region *region, size_t bytes);

#endif
