/* uv_queue_work: four threads, unless it is told of more. */
#include <uv.h>

#include "harness/timing.h"

enum { MOST_OUTSTANDING = 64 };

static uv_work_t jobs[MOST_OUTSTANDING];
static int outstanding;
static long jobs_left;

static void nothing(uv_work_t *job) { (void)job; }

static void start(uv_work_t *job);

static void done(uv_work_t *job, int status) {
    if (status != 0) abort();
    start(job);
}

static void start(uv_work_t *job) {
    if (jobs_left-- > 0 && uv_queue_work(uv_default_loop(), job, nothing, done) != 0) abort();
}

static void run_jobs(long count) {
    jobs_left = count;
    for (int i = 0; i < outstanding; i++) start(&jobs[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static double each_us(int most_outstanding) {
    outstanding = most_outstanding;
    return each_ns(run_jobs) / 1000;
}

static double thread(unsigned workers) { return (void)workers, each_us(1); }
static double thread_64(unsigned workers) { return (void)workers, each_us(MOST_OUTSTANDING); }

BENCH_MAIN({"thread", thread}, {"thread_64", thread_64})
