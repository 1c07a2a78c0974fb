#include <weft/debug.h>

#include "thread_pool.h"
#include "worker.h"

int weft_stats_get(weft_stats *stats) {
    if (!stats) return -EINVAL;
    struct weft__worker *self = weft__world_worker();
    if (!self) return -EPERM;
    struct weft__runtime *runtime = self->runtime;
    *stats = (weft_stats){.workers = runtime->worker_count, .driver = self->driver->ops->name};
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[i];
        struct weft__counters *counters = &worker->counters;
        stats->switches += load_relaxed(&counters->switches);
        stats->spawns += load_relaxed(&counters->spawns);
        stats->in_place += load_relaxed(&counters->in_place);
        stats->steals += load_relaxed(&counters->steals);
        stats->steal_attempts += load_relaxed(&counters->steal_attempts);
        stats->parks += load_relaxed(&counters->parks);
        stats->wakes += load_relaxed(&counters->wakes);
        stats->enters += load_relaxed(&worker->driver->counters.enters);
        stats->submissions += load_relaxed(&worker->driver->counters.submissions);
        stats->completions += load_relaxed(&worker->driver->counters.completions);
        stats->completions += load_relaxed(&worker->driver->counters.rescued);
        stats->timers += load_relaxed(&worker->timers.fired);
        stats->stack_hits += load_relaxed(&worker->stacks.hits);
        stats->stack_misses += load_relaxed(&worker->stacks.misses);
    }
    stats->spawns += load_relaxed(&runtime->foreign_spawns);
    weft__executor_stats(runtime, &stats->pool_threads, &stats->pool_queued);
    stats->rescues = load_relaxed(&runtime->watchman.rescues);
    stats->stuck_workers = load_relaxed(&runtime->watchman.stuck);
    stats->blocked_workers = load_relaxed(&runtime->watchman.blocked);
    stats->crowded_workers = load_relaxed(&runtime->crowd.crowded);
    return 0;
}
