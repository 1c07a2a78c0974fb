/* Workers are killed every few milliseconds while 10,000 jobs run: each ends once, with its result or its error,
 * and nothing is left over. */
#include "process_support.h"

#include <pthread.h>

#define JOBS ROUNDS(10000)
#define AT_ONCE 64

#if defined(WEFT__TSAN) || defined(WEFT__ASAN)
#define KILL_EVERY WEFT_MS(30) /* a fork takes ten times as long */
#else
#define KILL_EVERY WEFT_MS(3)
#endif

static _Atomic long *runs; /* per job, shared with the workers: how often it has begun, and how often ended */

struct order {
    long number;
    char padding[];
};

WEFT_JOB(works) {
    const struct order *order = job->input;
    atomic_fetch_add(&runs[2 * order->number], 1);
    for (volatile int i = 0; i < 20000; i++) continue;
    char *output = weft_job_reply(job, job->input_bytes);
    if (!output) return -ENOMEM;
    memcpy(output, job->input, job->input_bytes);
    atomic_fetch_add(&runs[2 * order->number + 1], 1);
    return order->number;
}

/* ---- the killer: a plain thread ---- */

static _Atomic bool over;
static _Atomic long kills;

static void *kill_workers(void *server) {
    for (unsigned round = 0; !atomic_load(&over); round++) {
        pid_t workers[16];
        unsigned count = children_of((pid_t)(intptr_t)server, workers, 16);
        if (count && kill(workers[round % count], SIGKILL) == 0) atomic_fetch_add(&kills, 1);
        weft_sleep(KILL_EVERY);
    }
    return NULL;
}

/* ---- the jobs ---- */

static size_t bytes_of(long number) {
    static const size_t sizes[] = {sizeof(struct order), 100, 4096, 5000, 200000};
    return sizes[number % 5];
}

static struct tally {
    long results, errors;
} tally;

static void expect(long number, weft_future *job, unsigned retries) {
    intptr_t result = weft_await(job);
    long begun = atomic_load(&runs[2 * number]), ended = atomic_load(&runs[2 * number + 1]);
    if (result == number) {
        size_t bytes;
        const struct order *output = weft_job_output(job, &bytes);
        must_equal(bytes, bytes_of(number));
        must_equal(output->number, number);
        must(begun >= 1 && ended >= 1);
        tally.results++;
    } else {
        must_equal(result, -EOWNERDEAD);
        must_equal(weft_job_status(job), SIGKILL);
        tally.errors++;
    }
    must(begun <= 1 + (long)retries);
    weft_release(job);
}

static intptr_t storm(void *arg) {
    unsigned retries = arg ? 2 : 0;
    static char input[200000];
    weft_future *jobs[AT_ONCE] = {0};
    weft_process_pool *pool = pool_of(2);
    memset((void *)(uintptr_t)runs, 0, 2 * sizeof *runs * (size_t)JOBS);
    tally = (struct tally){0};
    atomic_store(&kills, 0);
    atomic_store(&over, false);
    pthread_t killer = thread_start(kill_workers, (void *)(intptr_t)fork_server());
    while (atomic_load(&kills) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    for (long i = 0; i < JOBS + AT_ONCE; i++) {
        if (i >= AT_ONCE) expect(i - AT_ONCE, jobs[i % AT_ONCE], retries);
        if (i >= JOBS) continue;
        ((struct order *)(void *)input)->number = i;
        weft_job_options options = {.retries = retries};
        jobs[i % AT_ONCE] = weft_process_pool_submit_wait(pool, works, input, bytes_of(i), options);
    }
    atomic_store(&over, true);
    thread_join(killer);
    must_equal(tally.results + tally.errors, JOBS);
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.submitted, JOBS);
    must_equal(stats.completed, tally.results);
    must_equal(stats.crashed, tally.errors);
    must(stats.restarts >= (uint64_t)(tally.errors + (long)stats.retried));
    end_pool(pool);
    return 0;
}

static void storm_on_all(void *arg) {
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, storm, arg), 0);
        int status;
        assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
}

static void test_killed_workers(void **state) {
    (void)state;
    storm_on_all(NULL);
}

static void test_killed_workers_with_retries(void **state) {
    (void)state;
    storm_on_all(&tally);
}

int main(void) {
    runs = mmap(NULL, 2 * sizeof *runs * (size_t)JOBS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_workers),
                                       cmocka_unit_test(test_killed_workers_with_retries)};
    return run_process_group(tests);
}
