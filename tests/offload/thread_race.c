/* Jobs that end, are cancelled, and whose pools are closed, at the same instant: each ends exactly once. */
#include "api_support.h"

static intptr_t nothing(void *arg) { return (intptr_t)arg; }
static intptr_t count_call(void *calls) {
    atomic_fetch_add((_Atomic long *)calls, 1);
    return 1;
}

/* ---- complete and cancel ---- */

static void count_done(weft_future *future, void *count) {
    (void)future;
    atomic_fetch_add((_Atomic long *)count, 1);
}

static intptr_t race(void *none) {
    (void)none;
    long ended = 0, cancelled = 0;
    _Atomic long calls = 0, callbacks = 0;
    long rounds = ROUNDS(100000);
    for (long i = 0; i < rounds; i++) {
        weft_future *job = weft_to_thread(count_call, &calls);
        must_equal(weft_add_done_callback(job, count_done, &callbacks), 0);
        for (long spins = i % 64; spins > 0; spins--) atomic_signal_fence(memory_order_seq_cst);
        if (i % 5 == 0) must_equal(weft_yield(), 0);
        bool accepted = weft_cancel(job);
        intptr_t result = weft_join(job);
        must_equal(result, accepted ? -ECANCELED : 1);
        *(accepted ? &cancelled : &ended) += 1;
    }
    must_equal(weft_shutdown_default_executor(NULL, WEFT_FOREVER), 0);
    must(calls >= ended && calls <= rounds);
    while (callbacks < rounds) must_equal(weft_sleep(0), 0);
    must_equal(callbacks, rounds);
    must_equal(ended + cancelled, rounds);
    return 0;
}
static void test_complete_and_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, race, NULL), 0);
}

static intptr_t await_forever(void *ended) {
    for (;;) {
        intptr_t result = weft_join(weft_to_thread(nothing, (void *)5));
        if (result == -ECANCELED) break;
        must_equal(result, 5);
    }
    atomic_fetch_add((_Atomic long *)ended, 1);
    return 6;
}
static intptr_t storm(void *none) {
    (void)none;
    enum { TASKS = 16 };
    weft_task *tasks[TASKS];
    _Atomic long ended = 0;
    for (long round = 0; round < ROUNDS(1000); round++) {
        for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(await_forever, &ended);
        for (long spins = 1 + round % 10; spins > 0; spins--) must_equal(weft_yield(), 0);
        for (int i = 0; i < TASKS; i++) must(weft_cancel(tasks[i]));
        for (int i = 0; i < TASKS; i++) {
            intptr_t result = weft_join(tasks[i]);
            must(result == 6 || result == -ECANCELED); /* the latter: it had not begun */
        }
    }
    must(ended > 0);
    return 0;
}
static void test_a_storm_of_cancels(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, storm, NULL), 0);
}

static intptr_t time_out(void *none) {
    (void)none;
    for (long i = 0; i < ROUNDS(20000); i++) {
        intptr_t result = weft_wait_for(weft_to_thread(nothing, (void *)5), WEFT_US(i % 40));
        must(result == 5 || result == -ETIMEDOUT);
    }
    return 0;
}
static void test_complete_and_time_out(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, time_out, NULL), 0);
}

/* ---- the last place in a queue ---- */

static intptr_t submit_and_wait(void *pool) {
    intptr_t result = weft_join(weft_thread_pool_submit(pool, nothing, (void *)5));
    must(result == 5 || result == -ECANCELED || result == -ESHUTDOWN);
    return result;
}
static intptr_t crowd(void *none) {
    (void)none;
    enum { TASKS = 20 };
    weft_task *tasks[TASKS];
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 2, .queue = 1});
    for (long round = 0; round < ROUNDS(2000); round++) {
        for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(submit_and_wait, pool);
        for (long spins = round % 5; spins > 0; spins--) must_equal(weft_yield(), 0);
        for (int i = 0; i < TASKS; i += 2) weft_cancel(tasks[i]);
        for (int i = 0; i < TASKS; i++) {
            intptr_t result = weft_join(tasks[i]);
            must(result == 5 || (i % 2 == 0 && result == -ECANCELED));
        }
    }
    weft_thread_pool_stats stats;
    must_equal(weft_thread_pool_get_stats(pool, &stats), 0);
    must_equal(stats.waiting, 0);
    must_equal(weft_join(weft_thread_pool_submit(pool, nothing, (void *)5)), 5); /* no place was lost */
    must_equal(weft_thread_pool_close(pool, WEFT_FOREVER), 0);
    weft_thread_pool_release(pool);
    return 0;
}
static void test_places_and_cancels(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, crowd, NULL), 0);
}

/* ---- closing ---- */

static intptr_t close_it(void *pool) {
    weft_thread_pool_close(pool, 0); /* whatever has not started is cancelled */
    return 0;
}
static intptr_t close_under_load(void *none) {
    (void)none;
    enum { TASKS = 12 };
    weft_task *tasks[TASKS];
    for (long round = 0; round < ROUNDS(1000); round++) {
        weft_thread_pool *pool =
            weft_thread_pool_new((weft_thread_pool_options){.threads = 1 + (unsigned)round % 3, .queue = 2});
        for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(submit_and_wait, pool);
        for (long spins = round % 5; spins > 0; spins--) must_equal(weft_yield(), 0);
        weft_task *closers[2] = {weft_spawn(close_it, pool), weft_spawn(close_it, pool)};
        for (int i = 0; i < TASKS; i++) weft_join(tasks[i]);
        for (int i = 0; i < 2; i++) must_equal(weft_join(closers[i]), 0);
        must_equal(weft_thread_pool_close(pool, WEFT_FOREVER), 0);
        weft_thread_pool_release(pool);
    }
    return 0;
}
static void test_closing_under_load(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, close_under_load, NULL), 0);
}

/* Runs whose ends meet jobs in all stages. */
static intptr_t leave_some(void *calls) {
    for (int i = 0; i < 5; i++) weft_release(weft_to_thread(count_call, calls));
    weft_release(weft_spawn(await_forever, calls));
    weft_release(weft_spawn(await_forever, calls));
    return weft_yield();
}
static void test_short_runs(void **state) {
    (void)state;
    for (long i = 0; i < ROUNDS(600); i++) {
        _Atomic long calls = 0;
        assert_int_equal(run_on((unsigned)i % 3, leave_some, &calls), 0);
        assert_true(calls >= 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_and_cancel),  cmocka_unit_test(test_a_storm_of_cancels),
        cmocka_unit_test(test_complete_and_time_out), cmocka_unit_test(test_places_and_cancels),
        cmocka_unit_test(test_closing_under_load),   cmocka_unit_test(test_short_runs),
    };
    return run_group(tests);
}
