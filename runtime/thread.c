/* What weft keeps for a thread that drives no worker: its context variables, and free records, so that a thread
 * which submits often does not take the depot's lock each time. Both are given back when the thread ends. */
#include "context.h"
#include "worker.h"

static void forget(void) {
    weft__context_release(*weft__world_context());
    *weft__world_context() = NULL;
    weft__slab_flush(weft__world_slab());
}

void weft__thread_remember(void) { weft__world_at_thread_exit(forget); }

struct weft__slab_cache *weft__thread_slab(void) {
    struct weft__slab_cache *cache = weft__world_slab();
    if (!cache->free) weft__thread_remember();
    return cache;
}
