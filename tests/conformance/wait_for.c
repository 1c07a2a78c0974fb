/* wait_for: rules WF1 to WF11, golden trace B20. */
#include "combine_support.h"
#include "race_support.h"

/* WF1: in time, the value or the error; no limit. */
static intptr_t in_time(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(after(2, 7));
    must_equal(weft_wait_for(task, WEFT_SEC(100)), 7);
    must_equal(weft_wait_for(task, WEFT_SEC(100)), 7);
    must_equal(weft_wait_for(after(1, -EIO), WEFT_SEC(100)), -EIO);
    must_equal(weft_wait_for(after(1, 8), WEFT_FOREVER), 8);
    must_equal(weft_wait_for(weft_gather_all(after(1, 8), task), WEFT_SEC(100)), 0);
    must_equal(weft_wait_for(NULL, WEFT_SEC(1)), -EINVAL);
    must_equal(weft_sleep(0), 0);
    weft_release(task);
    return 0;
}
static void test_WF1_in_time(void **state) {
    (void)state;
    on_each_loop(in_time);
}

/* WF2, WF11: too late: the inner one is cancelled; TimeoutError is no CancelledError. */
static intptr_t too_late(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(forever());
    int64_t begin = weft_time();
    must_equal(weft_wait_for(task, WEFT_MS(10)), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(10));
    must(weft_cancelled(task));
    must_equal(weft_cancelling(weft_current_task()), 0);
    weft_release(task);
    weft_future *future = weft_future_new();
    must_equal(weft_wait_for(future, WEFT_MS(1)), -ETIMEDOUT);
    must(weft_cancelled(future));
    weft_release(future);
    must_equal(weft_wait_for(forever(), WEFT_MS(1)), -ETIMEDOUT);
    must_equal(weft_wait_for(weft_gather_all(forever(), forever()), WEFT_MS(1)), -ETIMEDOUT);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_WF2_WF11_too_late(void **state) {
    (void)state;
    on_each_loop(too_late);
}

/* WF3: a coroutine runs in the calling task. */
weft_async(who) { return (intptr_t)weft_current_task(); }
static intptr_t in_line(void *arg) {
    (void)arg;
    must_equal(weft_wait_for(who(), WEFT_SEC(1)), (intptr_t)weft_current_task());
    return 0;
}
static void test_WF3_coroutine_runs_in_line(void **state) {
    (void)state;
    on_each_loop(in_line);
}

/* WF4, B20: it returns when the inner one has really ended. WF: what that ends with is returned. */
static intptr_t waits_for_the_end(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(cleans_up(80, -ECANCELED));
    let_begin(task);
    int64_t begin = weft_time();
    must_equal(weft_wait_for(task, WEFT_MS(20)), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(100));
    must(weft_cancelled(task));
    weft_release(task);
    must_equal(weft_wait_for(cleans_up(1, 5), WEFT_MS(2)), 5);
    must_equal(weft_wait_for(cleans_up(1, -EIO), WEFT_MS(2)), -EIO);
    return 0;
}
static void test_WF4_B20_waits_for_the_end(void **state) {
    (void)state;
    on_each_loop(waits_for_the_end);
}

/* WF5: cancelling the caller cancels the inner one, and waits for its clean-up. */
weft_async(waits_long, (weft_future *, inner)) { return weft_wait_for(inner, WEFT_SEC(100)); }
static intptr_t caller_cancelled(void *arg) {
    (void)arg;
    weft_task *inner = weft_create_task(cleans_up(20, -ECANCELED)), *caller = weft_create_task(waits_long(inner));
    let_begin(inner);
    let_begin(caller);
    int64_t begin = weft_time();
    must(weft_cancel(caller));
    must_equal(weft_join(caller), -ECANCELED);
    must(weft_time() - begin >= WEFT_MS(20));
    must(weft_cancelled(inner));
    weft_release(inner);
    return 0;
}
static void test_WF5_caller_cancelled(void **state) {
    (void)state;
    on_each_loop(caller_cancelled);
}

/* WF6: zero or less. */
static intptr_t no_time(void *arg) {
    (void)arg;
    for (int64_t limit = 0; limit >= -1; limit--) {
        weft_future *done = weft_future_new(), *pending = weft_future_new();
        must_equal(weft_future_set_result(done, 3), 0);
        must_equal(weft_wait_for(done, limit), 3);
        must_equal(weft_wait_for(pending, limit), -ETIMEDOUT);
        must(weft_cancelled(pending));
        struct capture capture = capture_begin();
        must_equal(weft_wait_for(never(), limit), -ETIMEDOUT);
        must_equal(capture_end(capture, "never awaited"), 0);
        weft_task *unstarted = weft_create_task_with((weft_task_options){.pinned = true}, never());
        must_equal(weft_wait_for(unstarted, limit), -ETIMEDOUT);
        must(weft_cancelled(unstarted));
        must_equal(weft_sleep(0), 0);
        weft_release(unstarted);
        weft_release(done);
        weft_release(pending);
    }
    return 0;
}
static void test_WF6_no_time(void **state) {
    (void)state;
    on_each_loop(no_time);
}

/* WF10: around a shield. */
static intptr_t around_a_shield(void *arg) {
    (void)arg;
    weft_future *gate = weft_future_new();
    weft_task *task = weft_create_task(awaits_one(gate));
    must_equal(weft_wait_for(weft_shield(task), WEFT_MS(5)), -ETIMEDOUT);
    must(!weft_done(task));
    must_equal(weft_cancelling(task), 0);
    must_equal(weft_future_set_result(gate, 9), 0);
    must_equal(weft_wait_for(weft_shield(task), WEFT_SEC(100)), 9);
    must_equal(weft_wait_for(weft_shield(task), 0), 9);
    weft_release(task);
    weft_release(gate);
    return 0;
}
static void test_WF10_around_a_shield(void **state) {
    (void)state;
    on_each_loop(around_a_shield);
}

/* A plain thread waits by blocking; the task is cancelled, and its end waited for. */
static weft_loop *loop;
static _Atomic long served;
static void *outside(void *arg) {
    (void)arg;
    weft_future *task = weft_run_coroutine_threadsafe(after(1, 3), loop);
    must_equal(weft_wait_for(task, WEFT_SEC(100)), 3);
    must_equal(weft_wait_for(weft_shield(task), WEFT_SEC(100)), 3);
    weft_release(task);
    task = weft_run_coroutine_threadsafe(cleans_up(20, -ECANCELED), loop);
    let_begin(task);
    int64_t begin = weft_time();
    must_equal(weft_wait_for(task, WEFT_MS(20)), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(40) && weft_cancelled(task));
    weft_release(task);
    task = weft_run_coroutine_threadsafe(cleans_up(1, 6), loop);
    let_begin(task);
    must_equal(weft_wait_for(task, WEFT_MS(20)), 6);
    weft_release(task);
    must_equal(weft_wait_for(never(), WEFT_SEC(1)), -EPERM);
    atomic_store(&served, 1);
    return NULL;
}
static intptr_t serves_outside(void *arg) {
    atomic_store(&served, 0);
    loop = weft_get_running_loop();
    pthread_t thread = thread_start(outside, arg);
    while (!atomic_load(&served)) must_equal(weft_sleep(WEFT_MS(1)), 0);
    thread_join(thread);
    return 0;
}
static void test_on_a_plain_thread(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    on_each_loop(serves_outside);
    assert_int_equal(capture_end(capture, "never awaited"), 3); /* a coroutine without a loop: as weft_await */
}

/* The value against the deadline: never both, never neither. */
static intptr_t two_deadlines(void *arg) {
    (void)arg;
    for (long i = 1; i <= ROUNDS(100000) / 4; i++) {
        weft_future *future = weft_future_new();
        weft_timeout setter;
        must_equal(weft_timeout_enter(&setter, 1000 + i * 37 % 9000), 0);
        intptr_t r = weft_wait_for(future, 1000 + i * 53 % 9000);
        must(r == -ETIMEDOUT || r == -ECANCELED);
        must(weft_cancelled(future));
        r = weft_timeout_exit(&setter, r);
        must_equal(r, -ETIMEDOUT);
        must_equal(weft_cancelling(weft_current_task()), 0);
        must_equal(weft_sleep(0), 0);
        weft_release(future);
    }
    return 0;
}
static void test_two_deadlines_at_the_same_instant(void **state) {
    (void)state;
    on_each_loop(two_deadlines);
}

static weft_future *raced;
static _Atomic bool won;
static void completes(long round) {
    int64_t until = weft_time() + round * 37 % 8000;
    while (weft_time() < until) {}
    atomic_store(&won, weft_future_set_result(raced, round) == 0);
}
static void play(struct race *race, long round) {
    raced = weft_future_new();
    race_open(race, round);
    intptr_t r = weft_wait_for(raced, 1 + round * 53 % 8000);
    race_close(race, round);
    must_equal(r, atomic_load(&won) ? round : -ETIMEDOUT);
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    weft_release(raced);
}
static void test_value_against_deadline(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play, .rivals = {completes}};
    for (unsigned workers = 0; workers <= 2; workers += 2) assert_int_equal(run_on(workers, run_race, &race), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_WF1_in_time),
        cmocka_unit_test(test_WF2_WF11_too_late),
        cmocka_unit_test(test_WF3_coroutine_runs_in_line),
        cmocka_unit_test(test_WF4_B20_waits_for_the_end),
        cmocka_unit_test(test_WF5_caller_cancelled),
        cmocka_unit_test(test_WF6_no_time),
        cmocka_unit_test(test_WF10_around_a_shield),
        cmocka_unit_test(test_on_a_plain_thread),
        cmocka_unit_test(test_two_deadlines_at_the_same_instant),
        cmocka_unit_test(test_value_against_deadline),
    };
    return run_group(tests);
}
