#include <vector>

#include <asio.hpp>

#include "expire.h"

using asio::steady_timer;

/* What was cancelled has its handler called when the loop turns. */
static void set_and_cancelled(long count) {
    asio::io_context context;
    steady_timer timer(context);
    for (long i = 0; i < count; i++) {
        timer.expires_after(std::chrono::seconds(10));
        timer.async_wait([](auto) {});
        timer.cancel();
        if (i % 100 == 99) context.poll();
    }
    context.poll();
}

static double insert_cancel(unsigned) { return each_ns(set_and_cancelled); }

static steady_timer::time_point time_point(double ns) {
    return steady_timer::time_point(std::chrono::nanoseconds(static_cast<long>(ns)));
}

static double expire(unsigned) {
    asio::io_context context(1);
    expire_plan(3);
    steady_timer beginner(context, time_point(expire_begin_ns()));
    beginner.async_wait([](auto) { expire_begin(); });
    std::vector<steady_timer> timers;
    timers.reserve(SLEEPS);
    for (long i = 0; i < SLEEPS; i++) {
        timers.emplace_back(context, time_point(expire_when_ns(i)));
        timers.back().async_wait([i](auto) { expired(i); });
    }
    context.run();
    return expire_finish();
}

BENCH_MAIN({"insert_cancel", insert_cancel}, {"expire", expire})
