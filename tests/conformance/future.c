/* Futures: rules F1 to F4, F8, F9 and F14. (F5, F6, F10, F11 and F13 are about callbacks and reports; B9 and B10,
 * which show F8 and F9 in a trace, are in task.c.) */
#include "api_support.h"

static void test_F1_pending(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    assert_false(weft_done(future) || weft_cancelled(future));
    assert_int_equal(weft_result(future), -EINPROGRESS);
    assert_int_equal(weft_exception(future), -EINPROGRESS);
    weft_release(future);
}

static void test_F2_set_once(void **state) {
    (void)state;
    intptr_t outcomes[] = {42, 0, INTPTR_MAX, -4096, INTPTR_MIN, -EIO, -ECANCELED};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        weft_future *future = weft_future_new();
        bool error = weft_is_error(outcomes[i]);
        assert_int_equal(weft_future_set_result(future, -EIO), -EINVAL); /* not a result, */
        assert_int_equal(weft_future_set_exception(future, 5), -EINVAL); /* not an error: nothing changes */
        assert_false(weft_done(future));
        assert_int_equal(error ? weft_future_set_exception(future, (int)outcomes[i])
                               : weft_future_set_result(future, outcomes[i]), 0);
        for (int round = 0; round < 2; round++) {
            assert_true(weft_done(future));
            assert_false(weft_cancelled(future)); /* -ECANCELED set as an error is an error, not a cancellation */
            assert_int_equal(weft_result(future), outcomes[i]);
            assert_int_equal(weft_future_set_result(future, 1), -EALREADY);
            assert_int_equal(weft_future_set_exception(future, -EBADF), -EALREADY);
        }
        assert_int_equal(weft_join(future), outcomes[i]);
    }
}

static void test_F3_F4_cancel(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    assert_true(weft_cancel(future));
    assert_true(weft_done(future) && weft_cancelled(future));
    assert_int_equal(weft_result(future), -ECANCELED);
    assert_int_equal(weft_exception(future), -ECANCELED);
    assert_false(weft_cancel(future));
    assert_int_equal(weft_future_set_result(future, 1), -EALREADY);
    assert_true(weft_cancelled(future));
    assert_int_equal(weft_join(future), -ECANCELED);
}

static void test_F4_exception(void **state) {
    (void)state;
    weft_future *success = weft_future_new(), *failure = weft_future_new();
    assert_int_equal(weft_future_set_result(success, 42), 0);
    assert_int_equal(weft_exception(success), 0);
    assert_int_equal(weft_future_set_exception(failure, -EIO), 0);
    assert_int_equal(weft_exception(failure), -EIO);
    assert_int_equal(weft_await(failure), -EIO);
    assert_int_equal(weft_wait_blocking(failure, 0), -EIO);
    weft_release(success);
    weft_release(failure);
}

/* The awaiter is suspended until then, its step is queued by the completion, not run inside it. */
static _Atomic int stage;
static intptr_t awaits(void *future) {
    atomic_store(&stage, 1);
    intptr_t r = weft_await(future);
    atomic_store(&stage, 2);
    return r;
}

static intptr_t suspends(void *arg) {
    weft_future *future = weft_future_new();
    (void)arg;
    atomic_store(&stage, 0);
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true}, weft_coroutine(awaits, future));
    while (atomic_load(&stage) == 0) must_equal(weft_sleep(0), 0);
    for (int i = 0; i < 10; i++) must_equal(weft_sleep(0), 0);
    must_equal(atomic_load(&stage), 1);
    must_equal(weft_future_set_result(future, 6), 0);
    must_equal(atomic_load(&stage), 1); /* pinned to this loop: not before we suspend */
    must_equal(weft_join(task), 6);
    must_equal(atomic_load(&stage), 2);
    weft_release(future);
    return 0;
}

static void test_F8_awaiting_suspends(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, suspends, NULL), 0);
}

/* A producer that comes late says nothing and changes nothing: a thread's result, and the timer of a sleep that
 * is cancelled at the very moment at which it fires. */
static intptr_t sleeps(void *ns) { return weft_sleep((intptr_t)ns); }
static intptr_t late_producers(void *rounds) {
    weft_future *future = weft_future_new();
    must(weft_cancel(future));
    must_equal(weft_future_set_result(future, 1), -EALREADY);
    must(weft_cancelled(future));
    must_equal(weft_join(future), -ECANCELED);
    for (intptr_t i = 0; i < (intptr_t)rounds; i++) {
        int64_t begin = weft_time(), duration = i % 100 * 500;
        weft_task *task = weft_spawn(sleeps, (void *)duration);
        while (weft_time() - begin < duration) must_equal(weft_yield(), 0);
        bool accepted = weft_cancel(task);
        intptr_t r = weft_await(task);
        must_equal(r, accepted ? -ECANCELED : 0);
        must_equal(weft_cancelled(task), accepted);
        weft_release(task);
    }
    return 0;
}

static void test_F14_late_producers(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, late_producers, (void *)(intptr_t)ROUNDS(40000)), 0);
}

/* A finished one costs no turn. (On runtimes the budget may make one now and then.) */
weft_async(finished_ones) {
    weft_stats before, after;
    weft_future *future = weft_future_new();
    weft_future_set_result(future, 1);
    must_equal(weft_stats_get(&before), 0);
    for (int i = 0; i < 1000; i++) must_equal(weft_await(future), 1);
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.switches, before.switches);
    return weft_join(future);
}

static void test_F9_finished_ones_do_not_yield(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, finished_ones()), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_F1_pending),           cmocka_unit_test(test_F2_set_once),
        cmocka_unit_test(test_F3_F4_cancel),         cmocka_unit_test(test_F4_exception),
        cmocka_unit_test(test_F8_awaiting_suspends), cmocka_unit_test(test_F9_finished_ones_do_not_yield),
        cmocka_unit_test(test_F14_late_producers),
    };
    return run_group(tests);
}
