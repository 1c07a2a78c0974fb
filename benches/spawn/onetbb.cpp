#include "harness/onetbb.hpp"

enum { MANY = 1000000 };

static void one_by_one(long count) {
    tbb::task_group group;
    for (long i = 0; i < count; i++) {
        group.run([] {});
        group.wait();
    }
}

static void all_at_once(long rounds) {
    tbb::task_group group;
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < MANY; i++) group.run([] {});
        group.wait();
    }
}

static double spawn_join(unsigned workers) { return tbb_each_ns(workers, one_by_one); }
static double spawn_many(unsigned workers) { return tbb_each_ns(workers, all_at_once) / MANY; }

BENCH_MAIN({"spawn_join", spawn_join}, {"spawn_many", spawn_many})
