/* EX2, EX3: what asyncio's run_in_executor promises with a process pool; and the calls' errors. */
#include "process_support.h"

WEFT_JOB(own_pid) { return getpid(); }
WEFT_JOB(fails) { return -EDOM; }
WEFT_JOB(crashes) { raise(SIGKILL); return 0; }
WEFT_JOB_OF(adds, int[2], long) {
    *out = (long)(*in)[0] + (*in)[1];
    return 1;
}

/* Computes until its input, an address in the shared page of the test, becomes true. */
static _Atomic long *page;
WEFT_JOB(computes_until_told) {
    atomic_fetch_add(&page[0], 1);
    while (!atomic_load(&page[1])) continue;
    return 7;
}

static intptr_t ex2_another_process(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    intptr_t pid = weft_join(start_job(pool, own_pid));
    must(pid > 0 && pid != getpid());
    must_equal(weft_join(start_job(pool, fails)), -EDOM);
    long sum = 0;
    must_equal(weft_process_pool_call(pool, adds, (int[]){2, 40}, sizeof(int[2]), &sum, sizeof sum), 1);
    must_equal(sum, 42);
    must_equal(weft_process_pool_call(pool, adds, "x", 1, &sum, sizeof sum), -EINVAL);
    end_pool(pool);
    return 0;
}

static void test_EX2_another_process(void **state) {
    (void)state;
    on_all(ex2_another_process);
}

/* The job ends only after the loop has ticked a hundred times. */
static intptr_t ex2_loop_ticks(void *arg) {
    (void)arg;
    atomic_store(&page[0], 0);
    atomic_store(&page[1], 0);
    weft_process_pool *pool = pool_of(1);
    weft_future *job = start_job(pool, computes_until_told);
    while (atomic_load(&page[0]) == 0) must_equal(weft_sleep(0), 0);
    for (int tick = 0; tick < 100; tick++) must_equal(weft_sleep(WEFT_US(100)), 0);
    must(!weft_done(job));
    atomic_store(&page[1], 1);
    must_equal(weft_join(job), 7);
    end_pool(pool);
    return 0;
}

static void test_EX2_loop_ticks_continue(void **state) {
    (void)state;
    on_all(ex2_loop_ticks);
}

static intptr_t ex3_dies(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    for (int i = 0; i < 5; i++) {
        weft_future *job = start_job(pool, crashes);
        must_equal(weft_await(job), -EOWNERDEAD);
        must_equal(weft_job_status(job), SIGKILL);
        weft_release(job);
        must(weft_join(start_job(pool, own_pid)) > 0); /* unlike CPython's, the pool lives on */
    }
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.crashed, 5);
    must_equal(stats.completed, 5);
    end_pool(pool);
    return 0;
}

static void test_EX3_a_dead_worker_is_an_error(void **state) {
    (void)state;
    on_all(ex3_dies);
}

static intptr_t misuse(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1),
                      *wrong = weft_process_pool_new((weft_process_pool_options){.workers = 1025});
    weft_job_descriptor not_a_job = {"not_a_job", own_pid->run};
    must_equal(weft_join(start_job(NULL, own_pid)), -EINVAL);
    must_equal(weft_join(start_job(pool, NULL)), -EINVAL);
    must_equal(weft_join(start_job(pool, &not_a_job)), -EINVAL);
    must_equal(weft_join(weft_process_pool_submit(pool, own_pid, NULL, 1, no_options)), -EINVAL);
    must_equal(weft_join(weft_process_pool_submit(pool, own_pid, NULL, 0, (weft_job_options){.timeout_ns = -1})),
               -EINVAL);
    must_equal(weft_process_pool_call(pool, own_pid, NULL, 0, NULL, 1), -EINVAL);
    must_equal(weft_process_pool_error(NULL), -EINVAL);
    must_equal(weft_process_pool_error(wrong), -EINVAL);
    must_equal(weft_join(start_job(wrong, own_pid)), -EINVAL);
    must_equal(weft_process_pool_close(wrong, 0), 0);
    must_equal(weft_process_pool_release(wrong), 0);
    must_equal(weft_process_pool_release(NULL), 0);
    must_equal(weft_process_pool_close(NULL, 0), -EINVAL);
    must_equal(weft_process_pool_get_stats(NULL).workers, 0);

    weft_future *job = start_job(pool, own_pid), *other = weft_future_new();
    size_t bytes = 1;
    must_equal(weft_job_status(other), -EINVAL);
    must_equal(weft_job_status(NULL), -EINVAL);
    must(!weft_job_output(other, &bytes) && bytes == 0);
    must_equal(weft_future_set_result(job, 1), -EINVAL); /* the pool's to complete */
    must(weft_await(job) > 0);
    must_equal(weft_job_status(job), -ENODATA);
    must(!weft_job_output(job, NULL));
    weft_release(job);
    weft_release(other);

    must_equal(weft_process_pool_close(pool, 0), 0);
    must_equal(weft_process_pool_close(pool, 0), 0);
    must_equal(weft_process_pool_error(pool), -ESHUTDOWN);
    must_equal(weft_join(start_job(pool, own_pid)), -ESHUTDOWN);
    must_equal(weft_process_pool_release(pool), 0);
    return 0;
}

static void test_misuse(void **state) {
    (void)state;
    on_all(misuse);
}

/* A worker that has gone to sleep is woken. */
static intptr_t sleeping_worker(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    for (int i = 0; i < 20; i++) {
        intptr_t pid = weft_join(start_job(pool, own_pid));
        must(pid > 0);
        while (!is_asleep((pid_t)pid)) must_equal(weft_sleep(WEFT_US(100)), 0);
    }
    end_pool(pool);
    return 0;
}

static void test_sleeping_worker(void **state) {
    (void)state;
    on_all(sleeping_worker);
}

/* ---- back-pressure ---- */

static _Atomic int submitted;

weft_async(submit_one, (weft_process_pool *, pool)) {
    weft_future *job = weft_process_pool_submit_wait(pool, own_pid, NULL, 0, no_options);
    if (!weft_done(job)) atomic_fetch_add(&submitted, 1);
    return weft_join(job);
}

static intptr_t full_queue(void *arg) {
    (void)arg;
    atomic_store(&page[0], 0);
    atomic_store(&page[1], 0);
    atomic_store(&submitted, 0);
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 1, .queue_length = 2});
    weft_future *jobs[3] = {start_job(pool, computes_until_told)};
    while (atomic_load(&page[0]) == 0) weft_sleep(0);
    jobs[1] = start_job(pool, own_pid);
    jobs[2] = start_job(pool, own_pid);
    must_equal(weft_join(start_job(pool, own_pid)), -EAGAIN);
    weft_task *waiting[4];
    for (int i = 0; i < 4; i++) waiting[i] = weft_create_task(submit_one(pool));
    for (int i = 0; i < 10; i++) weft_sleep(WEFT_MS(1));
    must_equal(atomic_load(&submitted), 0);
    must(weft_cancel(waiting[1]));
    must_equal(weft_join(waiting[1]), -ECANCELED);
    must_equal(weft_process_pool_get_stats(pool).queued, 2);
    must(weft_cancel(jobs[1])); /* makes room for one */
    must_equal(weft_join(jobs[1]), -ECANCELED);
    while (atomic_load(&submitted) < 1) weft_sleep(0);
    must_equal(weft_process_pool_get_stats(pool).queued, 2);
    atomic_store(&page[1], 1);
    must_equal(weft_join(jobs[0]), 7);
    must(weft_join(jobs[2]) > 0);
    for (int i = 0; i < 4; i++)
        if (i != 1) must(weft_join(waiting[i]) > 0);
    end_pool(pool);
    return 0;
}

static void test_full_queue(void **state) {
    (void)state;
    on_all(full_queue);
}

int main(void) {
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_EX2_another_process), cmocka_unit_test(test_EX2_loop_ticks_continue),
        cmocka_unit_test(test_EX3_a_dead_worker_is_an_error), cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_sleeping_worker), cmocka_unit_test(test_full_queue)};
    return run_process_group(tests);
}
