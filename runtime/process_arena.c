/* Regions of one file without a name, in sizes of powers of two. The program alone takes and gives them; a worker
 * knows of a region only what its slot tells: offset and size.
 *
 * A region of the cap's size costs address space in the file, and memory only where somebody has written. It keeps
 * its memory, and its mapping in the program, when it is given back, for faulting in 16 MiB takes longer than
 * copying them; but all free regions together keep no more than IDLE_MOST_BYTES. The one given back last is taken
 * first: its worker may still have it mapped. The file only grows. */
#include "process_arena.h"

#include <stdlib.h>

#include "world_process.h"

#define IDLE_MOST_BYTES ((size_t)64 << 20) /* picked out of thin air */

int weft__arena_init(struct weft__arena *arena, unsigned workers) {
    *arena = (struct weft__arena){.file = weft__world_file("weft"), .workers = workers};
    if (arena->file < 0) return arena->file;
    arena->file_bytes = (uint64_t)workers * WEFT__SLOT_BYTES;
    int error = weft__world_file_grow(arena->file, arena->file_bytes);
    if (!error) error = weft__world_file_reserve(arena->file, 0, arena->file_bytes);
    if (!error) {
        arena->slots = weft__world_map(arena->file, 0, arena->file_bytes, WEFT__MAP_WRITE, false);
        if (!arena->slots) error = -ENOMEM;
    }
    if (error) weft__arena_fini(arena);
    return error;
}

void weft__arena_fini(struct weft__arena *arena) {
    for (struct weft__region *region = arena->all, *next; region; region = next) {
        next = region->next_of_all;
        weft__world_unmap(region->memory, region->bytes, false);
        free(region);
    }
    weft__world_unmap(arena->slots, arena->workers * (size_t)WEFT__SLOT_BYTES, false);
    weft__world_close(arena->file);
    arena->all = NULL;
    arena->slots = NULL;
    arena->file = -1;
}

static unsigned class_of(size_t bytes) {
    unsigned class = 0;
    while (WEFT__REGION_LEAST_BYTES << class < bytes) class ++;
    return class;
}

/* Under the lock. */
static struct weft__region *region_new(struct weft__arena *arena, size_t bytes) {
    struct weft__region *region = malloc(sizeof *region);
    if (!region || weft__world_file_grow(arena->file, arena->file_bytes + bytes) != 0) {
        free(region);
        return NULL;
    }
    *region = (struct weft__region){.offset = arena->file_bytes, .bytes = bytes, .next_of_all = arena->all};
    arena->file_bytes += bytes;
    arena->all = region;
    return region;
}

struct weft__region *weft__arena_take(struct weft__arena *arena, size_t bytes) {
    unsigned class = class_of(bytes);
    weft__lock_acquire(&arena->lock);
    struct weft__region *region = arena->free[class];
    if (region) {
        arena->free[class] = region->next_free;
        arena->idle_bytes -= region->used_bytes;
    } else {
        region = region_new(arena, WEFT__REGION_LEAST_BYTES << class);
    }
    weft__lock_release(&arena->lock);
    return region;
}

void weft__arena_give(struct weft__arena *arena, struct weft__region *region) {
    if (!region) return;
    weft__lock_acquire(&arena->lock);
    bool keep = arena->idle_bytes + region->used_bytes <= IDLE_MOST_BYTES;
    weft__lock_release(&arena->lock);
    if (!keep) {
        weft__world_file_discard(arena->file, region->offset, region->bytes);
        region->used_bytes = 0;
    }
    unsigned class = class_of(region->bytes);
    weft__lock_acquire(&arena->lock);
    arena->idle_bytes += region->used_bytes;
    region->next_free = arena->free[class];
    arena->free[class] = region;
    weft__lock_release(&arena->lock);
}

static void *map(struct weft__arena *arena, struct weft__region *region) {
    if (!region->memory)
        region->memory = weft__world_map(arena->file, region->offset, region->bytes, WEFT__MAP_WRITE, false);
    return region->memory;
}

void *weft__arena_read(struct weft__arena *arena, struct weft__region *region, size_t bytes) {
    if (region->used_bytes < bytes) region->used_bytes = bytes;
    return map(arena, region);
}

void *weft__arena_write(struct weft__arena *arena, struct weft__region *region, size_t bytes) {
    if (region->used_bytes < bytes) {
        if (weft__world_file_reserve(arena->file, region->offset, bytes) != 0) return NULL;
        region->used_bytes = bytes;
    }
    return map(arena, region);
}
