#include "harness/boost_fiber.hpp"

enum { MANY = 100000 };

static void nothing() {}

static void one_by_one(long count) {
    for (long i = 0; i < count; i++) boost::fibers::fiber(nothing).join();
}

static void all_at_once(long rounds) {
    for (; rounds > 0; rounds--) {
        std::vector<boost::fibers::fiber> fibers;
        fibers.reserve(MANY);
        for (int i = 0; i < MANY; i++) fibers.emplace_back(nothing);
        for (auto &fiber : fibers) fiber.join();
    }
}

static double spawn_join(unsigned workers) {
    fiber_workers running(workers);
    return each_ns(one_by_one);
}

static double spawn_many(unsigned workers) {
    fiber_workers running(workers);
    return each_ns(all_at_once) / MANY;
}

BENCH_MAIN({"spawn_join", spawn_join}, {"spawn_many", spawn_many})
