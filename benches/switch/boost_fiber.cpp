#include "harness/boost_fiber.hpp"

static void yielder(long count) {
    for (long i = 0; i < count / 2; i++) boost::this_fiber::yield();
}

static void take_turns(long count) {
    boost::fibers::fiber a(yielder, count), b(yielder, count);
    a.join();
    b.join();
}

static double yields(unsigned) { return each_ns(take_turns); }

BENCH_MAIN({"yield", yields})
