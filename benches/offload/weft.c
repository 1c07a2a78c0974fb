#include "harness/weft_timing.h"

enum { OUTSTANDING = 64 };

static void must(bool fine) {
    if (fine) return;
    fprintf(stderr, "a job has failed\n");
    exit(1);
}

/* ---- one job ---- */

static weft_process_pool *pool;
static char *payload;
static size_t payload_bytes;

static intptr_t nothing(void *arg) {
    (void)arg;
    return 0;
}

WEFT_JOB(empty) { return 0; }

WEFT_JOB(echo) {
    void *output = weft_job_reply(job, job->input_bytes);
    if (!output) return -ENOMEM;
    memcpy(output, job->input, job->input_bytes);
    return 0;
}

static void in_a_thread(void) { must(weft_join(weft_to_thread(nothing, NULL)) == 0); }

static void in_its_place(void) {
    must(weft_enter_blocking() == 0);
    weft_leave_blocking();
}

static void in_a_process(void) {
    must(weft_join(weft_process_pool_submit(pool, empty, NULL, 0, (weft_job_options){0})) == 0);
}

static void echoed(void) {
    weft_future *job = weft_process_pool_submit(pool, echo, payload, payload_bytes, (weft_job_options){0});
    must(weft_await(job) == 0);
    size_t bytes;
    const char *output = weft_job_output(job, &bytes);
    must(output && bytes == payload_bytes && output[bytes - 1] == payload[bytes - 1]);
    weft_release(job);
}

/* ---- many of them: one worker, so nothing here races ---- */

static void (*run_job)(void);
static long jobs_left;

static intptr_t run_jobs(void *arg) {
    while (jobs_left-- > 0) run_job();
    return (intptr_t)arg;
}

static void one_by_one(long count) {
    jobs_left = count;
    run_jobs(NULL);
}

static void together(long count) {
    weft_task *tasks[OUTSTANDING];
    jobs_left = count;
    for (int i = 0; i < OUTSTANDING; i++) tasks[i] = weft_spawn(run_jobs, NULL);
    for (int i = 0; i < OUTSTANDING; i++) weft_join(tasks[i]);
}

static double each_us(unsigned workers, void (*job)(void), void (*body)(long count)) {
    run_job = job;
    return weft_each_ns(workers, body) / 1000;
}

static double process_us(unsigned workers, void (*job)(void), void (*body)(long count)) {
    must(weft_process_pool_prepare() == 0);
    pool = weft_process_pool_new((weft_process_pool_options){0});
    double each = each_us(workers, job, body);
    weft_process_pool_release(pool);
    return each;
}

static double echo_us(unsigned workers, size_t bytes) {
    payload_bytes = bytes;
    payload = malloc(bytes);
    must(payload);
    memset(payload, 'w', bytes);
    return process_us(workers, echoed, one_by_one);
}

/* ---- the cases ---- */

static double thread(unsigned workers) { return each_us(workers, in_a_thread, one_by_one); }
static double thread_64(unsigned workers) { return each_us(workers, in_a_thread, together); }
static double in_place(unsigned workers) { return each_us(workers, in_its_place, one_by_one); }
static double in_place_64(unsigned workers) { return each_us(workers, in_its_place, together); }
static double process(unsigned workers) { return process_us(workers, in_a_process, one_by_one); }
static double process_64(unsigned workers) { return process_us(workers, in_a_process, together); }
static double echo_1B(unsigned workers) { return echo_us(workers, 1); }
static double echo_4KiB(unsigned workers) { return echo_us(workers, 4 << 10); }
static double echo_64KiB(unsigned workers) { return echo_us(workers, 64 << 10); }
static double echo_1MiB(unsigned workers) { return echo_us(workers, 1 << 20); }
static double echo_16MiB(unsigned workers) { return echo_us(workers, 16 << 20); }

BENCH_MAIN({"thread", thread}, {"thread_64", thread_64}, {"in_place", in_place}, {"in_place_64", in_place_64},
           {"process", process}, {"process_64", process_64}, {"echo_1B", echo_1B}, {"echo_4KiB", echo_4KiB},
           {"echo_64KiB", echo_64KiB}, {"echo_1MiB", echo_1MiB}, {"echo_16MiB", echo_16MiB})
