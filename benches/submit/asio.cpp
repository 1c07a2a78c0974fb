/* asio::post. */
#include <thread>

#include <asio.hpp>

#include "wake.h"

static void calls(long count) {
    asio::io_context context;
    auto work = asio::make_work_guard(context);
    long called = 0;
    std::thread producer([&] {
        for (long i = 0; i < count; i++)
            asio::post(context, [&] {
                if (++called == count) context.stop();
            });
    });
    context.run();
    producer.join();
}

static double busy(unsigned) { return each_ns(calls); }

static double wake(unsigned) {
    asio::io_context context;
    auto work = asio::make_work_guard(context);
    std::thread loop([&] { context.run(); });
    auto submit = [](void *context) { asio::post(*static_cast<asio::io_context *>(context), woken); };
    double median = wake_p50_us(submit, &context);
    context.stop();
    loop.join();
    return median;
}

BENCH_MAIN({"busy", busy}, {"wake", wake})
