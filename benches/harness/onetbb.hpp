/* oneTBB with so many workers. */
#ifndef BENCHES_ONETBB_HPP
#define BENCHES_ONETBB_HPP

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include "harness/timing.h"

static inline double tbb_each_ns(unsigned workers, void (*body)(long count)) {
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, workers);
    return tbb::task_arena(workers).execute([=] { return each_ns(body); });
}

#endif
