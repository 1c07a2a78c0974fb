#include <math.h>
#include <uv.h>

#include "expire.h"

static uv_loop_t loop;

static void nothing(uv_timer_t *timer) { (void)timer; }

static void started_and_stopped(long count) {
    static uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    for (long i = 0; i < count; i++) {
        uv_timer_start(&timer, nothing, 10000, 0);
        uv_timer_stop(&timer);
    }
}

static double insert_cancel(unsigned workers) {
    (void)workers;
    uv_loop_init(&loop);
    return each_ns(started_and_stopped);
}

static uv_timer_t timers[SLEEPS];

static void one_expired(uv_timer_t *timer) { expired(timer - timers); }
static void begin(uv_timer_t *timer) {
    (void)timer;
    expire_begin();
}

/* In milliseconds, rounded up: libuv's unit. */
static void start_at(uv_timer_t *timer, uv_timer_cb callback, double when_ns) {
    uv_timer_init(&loop, timer);
    uv_timer_start(timer, callback, (uint64_t)ceil(when_ns / 1e6) - uv_now(&loop), 0);
}

static double expire(unsigned workers) {
    (void)workers;
    uv_timer_t beginner;
    uv_loop_init(&loop);
    expire_plan(2);
    start_at(&beginner, begin, expire_begin_ns());
    for (long i = 0; i < SLEEPS; i++) start_at(&timers[i], one_expired, expire_when_ns(i));
    uv_run(&loop, UV_RUN_DEFAULT);
    return expire_finish();
}

BENCH_MAIN({"insert_cancel", insert_cancel}, {"expire", expire})
