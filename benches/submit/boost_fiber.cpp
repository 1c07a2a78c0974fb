/* A channel of functions, which a fiber calls. */
#include "harness/boost_fiber.hpp"

#include "wake.h"

using channel = boost::fibers::buffered_channel<void (*)()>;

static long called;

static void count_call() { called++; }

static void calls(long count) {
    channel work(1024);
    std::thread producer([&] {
        for (long i = 0; i < count; i++) work.push(count_call);
        work.close();
    });
    for (auto function : work) function();
    producer.join();
}

static double busy(unsigned) { return each_ns(calls); }

static double wake(unsigned) {
    channel work(1024);
    std::thread loop([&] {
        for (auto function : work) function();
    });
    auto submit = [](void *work) { static_cast<channel *>(work)->push(woken); };
    double median = wake_p50_us(submit, &work);
    work.close();
    loop.join();
    return median;
}

BENCH_MAIN({"busy", busy}, {"wake", wake})
