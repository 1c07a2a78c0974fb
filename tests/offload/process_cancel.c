/* Cancelling jobs: queued, running, through what awaits them, and all at once. */
#include "process_support.h"

static _Atomic long *page; /* shared with all workers */

WEFT_JOB(own_pid) { return getpid(); }
WEFT_JOB(nothing) { return 1; }
WEFT_JOB(counts) { return atomic_fetch_add(&page[2], 1); }

WEFT_JOB(spins) {
    atomic_fetch_add(&page[0], 1);
    for (;;) atomic_fetch_add(&page[1], 1);
    return 0;
}

/* Starts a job that never ends, and waits until it runs. */
static weft_future *start_spinning(weft_process_pool *pool) {
    long before = atomic_load(&page[0]);
    weft_future *job = start_job(pool, spins);
    while (atomic_load(&page[0]) == before) must_equal(weft_sleep(0), 0);
    return job;
}

/* What spun is dead when its future is done. */
static void must_be_still(void) {
    long spun = atomic_load(&page[1]);
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    must_equal(atomic_load(&page[1]), spun);
}

static intptr_t queued_and_running(void *arg) {
    (void)arg;
    atomic_store(&page[2], 0);
    weft_process_pool *pool = pool_of(1);
    weft_future *running = start_spinning(pool), *queued = start_job(pool, counts),
                *last = start_job(pool, own_pid);
    must(weft_cancel_with(queued, "not wanted"));
    must(weft_done(queued)); /* at once: nobody has begun it */
    must(weft_cancelled(queued));
    must(!weft_cancel(queued));
    must_equal(strcmp(weft_cancel_message(queued), "not wanted"), 0);
    must_equal(weft_join(queued), -ECANCELED);
    must(weft_cancel(running));
    must(!weft_cancel(running));
    must_equal(weft_await(running), -ECANCELED);
    must(weft_cancelled(running));
    must_equal(weft_job_status(running), SIGKILL);
    must_be_still();
    weft_release(running);
    must(weft_join(last) > 0);
    must_equal(atomic_load(&page[2]), 0);
    must_equal(weft_process_pool_get_stats(pool).cancelled, 2);
    must_equal(weft_process_pool_get_stats(pool).restarts, 1);
    end_pool(pool);
    return 0;
}

static void test_queued_and_running(void **state) {
    (void)state;
    on_all(queued_and_running);
}

/* ---- through awaits ---- */

static _Atomic bool awaits;
weft_async(await_it, (weft_future *, job)) {
    atomic_store(&awaits, true);
    return weft_await(job);
}

weft_async(call_it, (weft_process_pool *, pool)) { return weft_process_pool_call(pool, spins, NULL, 0, NULL, 0); }

static intptr_t through_awaits(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);

    weft_future *job = start_spinning(pool); /* a task that awaits it */
    atomic_store(&awaits, false);
    weft_task *task = weft_create_task(await_it(job));
    while (!atomic_load(&awaits)) must_equal(weft_sleep(0), 0);
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    must(weft_cancelled(job));
    must_be_still();
    weft_release(job);

    job = start_spinning(pool); /* wait_for, which returns when it is dead */
    must_equal(weft_wait_for(job, WEFT_MS(5)), -ETIMEDOUT);
    must(weft_cancelled(job));
    must_be_still();
    weft_release(job);

    job = start_spinning(pool); /* gather */
    weft_future *both[] = {job, start_job(pool, own_pid)};
    weft_future *gather = weft_gather(both, 2, (weft_gather_options){.return_exceptions = true});
    must(weft_await(both[1]) > 0);
    must(weft_cancel(gather));
    must_equal(weft_await(gather), -ECANCELED);
    must(weft_cancelled(job));
    weft_release(both[1]);
    weft_release(job);

    job = start_spinning(pool); /* shield */
    must_equal(weft_wait_for(weft_shield(job), WEFT_MS(5)), -ETIMEDOUT);
    must(!weft_done(job));
    must(weft_cancel(job));
    must_equal(weft_join(job), -ECANCELED);

    long before = atomic_load(&page[0]);
    task = weft_create_task(call_it(pool));
    while (atomic_load(&page[0]) == before) must_equal(weft_sleep(0), 0);
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    must_be_still();
    end_pool(pool);
    return 0;
}

static void test_through_awaits(void **state) {
    (void)state;
    on_all(through_awaits);
}

/* A job that is given up goes on. */
static intptr_t given_up(void *arg) {
    (void)arg;
    atomic_store(&page[2], 0);
    weft_process_pool *pool = pool_of(1);
    for (int i = 0; i < 50; i++) weft_release(start_job(pool, counts));
    end_pool(pool);
    must_equal(atomic_load(&page[2]), 50);
    return 0;
}

static void test_given_up(void **state) {
    (void)state;
    on_all(given_up);
}

/* ---- storms ---- */

/* Every job ends once: with its result, or cancelled; and a job that was counted as cancelled in the queue never
 * ran. */
static intptr_t storm(void *arg) {
    enum { AT_ONCE = 64 };
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    weft_future *jobs[AT_ONCE];
    long finished = 0, cancelled = 0, rounds = ROUNDS(40);
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < AT_ONCE; i++) jobs[i] = start_job(pool, i % 16 == 0 ? spins : nothing);
        for (int i = 0; i < AT_ONCE; i++)
            if (i % 16 == 0 || (i + round) % 3 == 0) weft_cancel(jobs[i]);
        for (int i = 0; i < AT_ONCE; i++) {
            intptr_t result = weft_join(jobs[i]);
            must(result == -ECANCELED || (result == 1 && i % 16 != 0));
            if (result == 1) finished++;
            else cancelled++;
        }
    }
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.completed, finished);
    must_equal(stats.cancelled, cancelled);
    must_equal(finished + cancelled, rounds * AT_ONCE);
    end_pool(pool);
    return 0;
}

static void test_storm(void **state) {
    (void)state;
    on_all(storm);
}

/* Completion against cancel: the job needs about as long as the canceller waits. */
weft_async(cancel_it, (weft_future *, job), (int, spin)) {
    for (volatile int i = 0; i < spin; i++) continue;
    return weft_cancel(job);
}

static intptr_t race(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    long cancelled = 0, rounds = ROUNDS(4000);
    for (long round = 0; round < rounds; round++) {
        weft_future *job = start_job(pool, nothing);
        weft_task *canceller = weft_create_task(cancel_it(job, (int)(round * 37 % 20000)));
        intptr_t result = weft_await(job), accepted = weft_join(canceller);
        must_equal(result, accepted ? -ECANCELED : 1);
        must_equal(weft_cancelled(job), accepted);
        cancelled += accepted;
        weft_release(job);
    }
    must_equal(weft_process_pool_get_stats(pool).cancelled, cancelled);
    end_pool(pool);
    return 0;
}

static void test_race(void **state) {
    (void)state;
    on_all(race);
}

/* Completion, cancel and timeout at once. */
static intptr_t three_way_race(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    long outcomes[3] = {0}, rounds = ROUNDS(1000);
    for (long round = 0; round < rounds; round++) {
        weft_job_options limit = {.timeout_ns = WEFT_US(1 + round * 7 % 1000)};
        weft_future *job = weft_process_pool_submit(pool, nothing, NULL, 0, limit);
        weft_task *canceller = weft_create_task(cancel_it(job, (int)(round * 377 % 400000)));
        intptr_t result = weft_await(job), accepted = weft_join(canceller);
        weft_release(job);
        must(accepted ? result == -ECANCELED : result == 1 || result == -ETIMEDOUT);
        outcomes[result == 1 ? 0 : result == -ECANCELED ? 1 : 2]++;
    }
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.completed, outcomes[0]);
    must_equal(stats.cancelled, outcomes[1]);
    must_equal(stats.timed_out, outcomes[2]);
    end_pool(pool);
    return 0;
}

static void test_three_way_race(void **state) {
    (void)state;
    on_all(three_way_race);
}

int main(void) {
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queued_and_running), cmocka_unit_test(test_through_awaits),
        cmocka_unit_test(test_given_up),           cmocka_unit_test(test_storm),
        cmocka_unit_test(test_race),               cmocka_unit_test(test_three_way_race)};
    return run_process_group(tests);
}
