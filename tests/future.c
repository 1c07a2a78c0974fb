/* Futures completed by plain threads, awaited by tasks and by threads, on several runtimes; references. */
#include "race_support.h"

/* ---- completed by a thread, awaited by tasks and threads ---- */

static void *complete_in_thread(void *future) {
    must_equal(weft_future_set_result(future, 99), 0);
    return NULL;
}

static void *await_in_thread(void *future) { return (void *)weft_await(future); }
static intptr_t await_in_task(void *future) { return weft_await(future); }

static intptr_t mixed(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    weft_task *tasks[10];
    pthread_t threads[5];
    for (int i = 0; i < 10; i++) tasks[i] = weft_spawn(await_in_task, future);
    for (int i = 0; i < 5; i++) threads[i] = thread_start(await_in_thread, future);
    must_equal(weft_sleep(0), 0);
    pthread_t completer = thread_start(complete_in_thread, future);
    for (int i = 0; i < 10; i++) must_equal(weft_join(tasks[i]), 99);
    for (int i = 0; i < 5; i++) must_equal((intptr_t)thread_join(threads[i]), 99);
    thread_join(completer);
    must_equal(weft_await(future), 99);
    weft_release(future);
    return 0;
}

static void test_mixed(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(100); i++)
        for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, mixed, NULL), 0);
}

/* A future outlives the runtime that made it, and waits for the next. */
static intptr_t make(void *future) {
    *(weft_future **)future = weft_future_new();
    return 0;
}

static void test_outlives(void **state) {
    (void)state;
    weft_future *future = NULL;
    assert_int_equal(weft_run_fn(make, &future), 0);
    assert_int_equal(weft_result(future), -EINPROGRESS);
    pthread_t thread = thread_start(complete_in_thread, future);
    assert_int_equal(weft_run_fn(await_in_task, future), 99);
    thread_join(thread);
    weft_release(future);
}

/* weft_wait_blocking gives up in time, cancels nothing, and can be called again. */
static void test_wait_blocking(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    int64_t begin = weft_time();
    assert_int_equal(weft_wait_blocking(future, WEFT_MS(20)), -ETIMEDOUT);
    assert_true(weft_time() - begin >= WEFT_MS(20));
    assert_false(weft_done(future));
    pthread_t thread = thread_start(complete_in_thread, future);
    assert_int_equal(weft_wait_blocking(future, WEFT_FOREVER), 99);
    thread_join(thread);
    weft_release(future);
}

/* A plain thread that gives up waiting just when the completion comes: a result or a timeout, no third. */
static weft_future *late;
static void completes_late(long round) {
    int64_t until = weft_time() + round % 50 * 1000;
    while (weft_time() < until) {}
    must_equal(weft_future_set_result(late, round), 0);
}

static void play_late(struct race *race, long round) {
    late = weft_future_new();
    race_open(race, round);
    intptr_t result = weft_wait_blocking(late, round * 7 % 50 * 1000);
    must(result == round || result == -ETIMEDOUT);
    race_close(race, round);
    must_equal(weft_join(late), round);
}

static void test_giving_up(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(5000), .play = play_late, .rivals = {completes_late}};
    run_race(&race);
}

/* References, taken and given up by many threads; the last one frees. */
static void *refers(void *future) {
    for (int i = 0; i < ROUNDS(20000); i++) {
        weft_ref(future);
        if (i % 3 == 0) weft_done(future);
        weft_release(future);
    }
    weft_release(future);
    return NULL;
}

static void test_references(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        weft_future *future = weft_future_new();
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) threads[i] = thread_start(refers, weft_ref(future));
        assert_int_equal(weft_future_set_result(future, round), 0);
        if (round % 2) weft_release(future);
        for (int i = 0; i < 4; i++) thread_join(threads[i]);
        if (round % 2 == 0) assert_int_equal(weft_join(future), round);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed),     cmocka_unit_test(test_outlives),   cmocka_unit_test(test_wait_blocking),
        cmocka_unit_test(test_giving_up), cmocka_unit_test(test_references),
    };
    return run_group(tests);
}
