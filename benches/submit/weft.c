/* weft_loop_call_soon_threadsafe. */
#include <pthread.h>
#include <stdatomic.h>

#include "harness/weft_timing.h"

#include "wake.h"

/* ---- busy: a task keeps the loop turning ---- */

enum { MOST_THREADS = 4 };

static long each_submits;
static _Atomic long called;

static void count_call(void *arg) {
    (void)arg;
    atomic_store_explicit(&called, atomic_load_explicit(&called, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void *produce(void *loop) {
    for (long i = 0; i < each_submits; i++) weft_loop_call_soon_threadsafe(loop, count_call, NULL);
    return NULL;
}

static void calls_from(int threads, long count) {
    pthread_t producers[MOST_THREADS];
    called = 0;
    each_submits = count;
    for (int i = 0; i < threads; i++) pthread_create(&producers[i], NULL, produce, weft_get_running_loop());
    while (atomic_load_explicit(&called, memory_order_relaxed) < threads * count) weft_yield();
    for (int i = 0; i < threads; i++) pthread_join(producers[i], NULL);
}

static void from_one(long count) { calls_from(1, count); }
static void from_four(long count) { calls_from(4, count); }
static double busy(unsigned workers) { return weft_each_ns(workers, from_one); }
static double busy_from_4(unsigned workers) { return weft_each_ns(workers, from_four) / 4; }

/* ---- wake ---- */

static double median;
static weft_future *done;

static void call_woken(void *arg) {
    (void)arg;
    woken();
}

static void submit(void *loop) { weft_loop_call_soon_threadsafe(loop, call_woken, NULL); }

static void end(void *arg) {
    (void)arg;
    weft_future_set_result(done, 0);
}

static void *wake_often(void *loop) {
    median = wake_p50_us(submit, loop);
    weft_loop_call_soon_threadsafe(loop, end, NULL);
    return NULL;
}

static intptr_t sleep_and_serve(void *arg) {
    pthread_t sender;
    done = weft_future_new();
    pthread_create(&sender, NULL, wake_often, weft_get_running_loop());
    weft_join(done);
    pthread_join(sender, NULL);
    return (intptr_t)arg;
}

static double wake(unsigned workers) {
    weft_run_fn_with((weft_options){.workers = workers}, sleep_and_serve, NULL);
    return median;
}

BENCH_MAIN({"busy", busy}, {"busy_from_4", busy_from_4}, {"wake", wake})
