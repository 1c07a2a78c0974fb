#include "moderation.h"

#include "worker.h"

/* Completions per worker and millisecond: from here on, and down to there. A worker can do 150 to 200. */
#define ON_FROM 20
#define OFF_BELOW 10

static uint64_t count_completions(struct weft__runtime *runtime) {
    uint64_t count = 0;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        count += load_relaxed(&runtime->workers[i].driver->counters.completions);
    return count;
}

void weft__moderation_look(struct weft__runtime *runtime, int64_t now_ns) {
    struct weft__moderation *moderation = &runtime->moderation;
    uint64_t completions = count_completions(runtime), elapsed_us = (uint64_t)(now_ns - moderation->since_ns) / 1000;
    uint64_t limit = (load_relaxed(&moderation->on) ? OFF_BELOW : ON_FROM) * runtime->worker_count;
    store_relaxed(&moderation->on, (completions - moderation->completions) * 1000 >= limit * elapsed_us);
    moderation->completions = completions;
    moderation->since_ns = now_ns;
}
