/* wait: rules W1 to W6, MT9. */
#include "combine_support.h"
#include "race_support.h"

static void release_all(weft_future **futures, size_t count) {
    for (size_t i = 0; i < count; i++) weft_release(futures[i]);
}

/* W1, W2: all of them; no error of a child is returned; those that are done keep their order. */
static intptr_t all_completed(void *arg) {
    (void)arg;
    weft_future *all[] = {weft_create_task(after(10, 1)), weft_create_task(after(5, -EIO)),
                          weft_create_task(forever())};
    weft_future *copy[] = {all[0], all[1], all[2]};
    must(weft_cancel(all[2]));
    must_equal(weft_wait(copy, 3, WEFT_ALL_COMPLETED, WEFT_FOREVER), 3);
    for (int i = 0; i < 3; i++) must(copy[i] == all[i] && weft_done(all[i]));
    must_equal(weft_wait(copy, 3, WEFT_ALL_COMPLETED, 0), 3); /* nothing to wait for */
    release_all(all, 3);
    return 0;
}
static void test_W1_all_completed(void **state) {
    (void)state;
    on_each_loop(all_completed);
}

/* W2: the first one; the done ones first, the pending ones then, each in their order. */
static intptr_t first_completed(void *arg) {
    (void)arg;
    weft_future *slow = weft_create_task(forever()), *fast = weft_create_task(after(5, 2)),
                *other = weft_create_task(forever());
    weft_future *all[] = {slow, other, fast};
    int64_t begin = weft_time();
    must_equal(weft_wait(all, 3, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
    must(weft_time() - begin >= WEFT_MS(5));
    must(all[0] == fast && all[1] == slow && all[2] == other);
    must(!weft_done(slow) && !weft_done(other));
    weft_cancel(slow);
    weft_cancel(other);
    must_equal(weft_wait(all, 3, WEFT_ALL_COMPLETED, WEFT_FOREVER), 3);
    release_all(all, 3);
    return 0;
}
static void test_W2_first_completed(void **state) {
    (void)state;
    on_each_loop(first_completed);
}

/* FIRST_EXCEPTION: an error ends it, a cancellation does not; without one it waits for all. */
static intptr_t first_exception(void *arg) {
    (void)arg;
    weft_future *fails = weft_create_task(after(10, -EIO)), *cancelled = weft_create_task(forever()),
                *slow = weft_create_task(forever());
    weft_future *all[] = {cancelled, slow, fails};
    must(weft_cancel(cancelled));
    must_equal(weft_await(cancelled), -ECANCELED);
    must_equal(weft_wait(all, 3, WEFT_FIRST_EXCEPTION, WEFT_FOREVER), 2);
    must(all[0] == cancelled && all[1] == fails && all[2] == slow);
    must_equal(weft_wait(all, 2, WEFT_FIRST_EXCEPTION, WEFT_FOREVER), 2);
    weft_cancel(slow);
    must_equal(weft_wait(&slow, 1, WEFT_FIRST_EXCEPTION, WEFT_FOREVER), 1);
    release_all(all, 3);
    return 0;
}
static void test_W2_first_exception(void **state) {
    (void)state;
    on_each_loop(first_exception);
}

/* W4: the time is over: neither an error nor a cancellation. */
static intptr_t timeout(void *arg) {
    (void)arg;
    weft_future *all[] = {weft_create_task(forever()), weft_create_task(after(1, 3)), weft_create_task(forever())};
    weft_future *fast = all[1];
    must_equal(weft_await(fast), 3);
    int64_t begin = weft_time();
    must_equal(weft_wait(all, 3, WEFT_ALL_COMPLETED, WEFT_MS(30)), 1);
    must(weft_time() - begin >= WEFT_MS(30));
    must(all[0] == fast);
    for (int i = 1; i < 3; i++) {
        must(!weft_done(all[i]));
        must_equal(weft_cancelling(all[i]), 0);
    }
    must_equal(weft_wait(all + 1, 2, WEFT_FIRST_COMPLETED, 0), 0);
    must_equal(weft_wait(all + 1, 2, WEFT_FIRST_COMPLETED, -5), 0);
    must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(!weft_done(all[1]) && !weft_done(all[2]));
    release_all(all, 3);
    return 0;
}
static void test_W4_timeout(void **state) {
    (void)state;
    on_each_loop(timeout);
}

/* W5, W6 */
static intptr_t arguments(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(after(3, 1)), *other = weft_create_task(after(2, 1));
    weft_future *coroutine = never(), *with[] = {task, coroutine}, *null[] = {task, NULL};
    must_equal(weft_wait(with, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), -EINVAL);
    must(with[0] == task && with[1] == coroutine);
    must_equal(weft_coroutine_close(coroutine), 0);
    must_equal(weft_wait(null, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), -EINVAL);
    must_equal(weft_wait(NULL, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), -EINVAL);
    must_equal(weft_wait(with, 0, WEFT_ALL_COMPLETED, WEFT_FOREVER), -EINVAL);
    must_equal(weft_wait(with, 1, (enum weft_return_when)3, WEFT_FOREVER), -EINVAL);
    weft_future *doubled[] = {task, other, task, task, other};
    must_equal(weft_wait(doubled, 5, WEFT_ALL_COMPLETED, WEFT_FOREVER), 2);
    must(doubled[0] == task && doubled[1] == other && !doubled[2] && !doubled[3] && !doubled[4]);
    enum { MANY = 100 };
    weft_future *many[MANY], *pending = weft_future_new();
    for (int i = 0; i < MANY; i++) many[i] = i % 3 == 0 ? pending : i % 3 == 1 ? task : other;
    must_equal(weft_wait(many, MANY, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 2);
    must(many[0] == task && many[1] == other && many[2] == pending);
    for (int i = 3; i < MANY; i++) must(!many[i]);
    weft_release(pending);
    weft_release(task);
    weft_release(other);
    return 0;
}
static void test_W5_W6_arguments(void **state) {
    (void)state;
    on_each_loop(arguments);
}

/* Cancelled: nobody else is, and the array is as it was. */
weft_async(waits, (weft_future **, all), (int, count)) {
    return weft_wait(all, (size_t)count, WEFT_ALL_COMPLETED, WEFT_SEC(1000));
}
static intptr_t cancelled(void *arg) {
    (void)arg;
    weft_future *a = weft_create_task(forever()), *b = weft_create_task(after(1, 1)), *all[] = {a, b, a};
    weft_task *waiter = weft_create_task(waits(all, 3));
    let_begin(waiter);
    must(weft_cancel_with(waiter, "why"));
    must_equal(weft_await(waiter), -ECANCELED);
    must(strcmp(weft_cancel_message(waiter), "why") == 0);
    must(all[0] == a && all[1] == b && all[2] == a);
    must(!weft_done(a));
    weft_release(a);
    weft_release(b);
    weft_release(waiter);
    return 0;
}
static void test_cancelled_wait_cancels_nobody(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

/* A plain thread blocks. */
static pid_t waiting_tid;
static void *completes_later(void *future) {
    while (!thread_sleeps(waiting_tid)) sched_yield();
    weft_future_set_result(future, 4);
    return NULL;
}
static void test_on_a_plain_thread(void **state) {
    (void)state;
    weft_future *all[] = {weft_future_new(), weft_future_new()}, *second = all[1];
    assert_int_equal(weft_wait(all, 2, WEFT_FIRST_COMPLETED, WEFT_MS(2)), 0);
    waiting_tid = getpid(); /* the main thread */
    pthread_t thread = thread_start(completes_later, all[1]);
    assert_int_equal(weft_wait(all, 2, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
    assert_true(all[0] == second);
    thread_join(thread);
    release_all(all, 2);
}

/* The turns of the queue, as measured with CPython. */
static void trace_all(void) {
    weft_future *all[] = {weft_create_task(marks("a", 1)), weft_create_task(marks("b", 1))};
    must_equal(weft_wait(all, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), 2);
    mark("done");
    release_all(all, 2);
}
static void trace_done_already(void) {
    weft_future *future = weft_future_new();
    must_equal(weft_future_set_result(future, 1), 0);
    must_equal(weft_wait(&future, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER), 1);
    mark("done");
    weft_release(future);
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_all, "0 1 a b 2 3 done 4 5 6 7 8");
    assert_trace(trace_done_already, "0 1 done 2 3 4 5 6 7 8");
}

/* MT9: completions, the clock and a cancel request at the same instant, rounds long. */
enum { STORM = 3 };
static weft_future *storm[STORM];
static _Atomic bool accepted;
static weft_task *storm_task;
static void completes(long round) {
    for (volatile long pause = round * 13 % 1000; pause > 0; pause--) {}
    for (int k = 0; k < STORM; k++) weft_future_set_result(storm[k], k);
}
static void cancels(long round) {
    for (volatile long pause = round * 7 % 1000; pause > 0; pause--) {}
    atomic_store(&accepted, weft_cancel(storm_task));
}
static void play_storm(struct race *race, long round) {
    weft_future *all[STORM];
    storm_task = weft_current_task();
    for (int k = 0; k < STORM; k++) all[k] = storm[k] = weft_future_new();
    race_open(race, round);
    enum weft_return_when when = (enum weft_return_when)(round % 3);
    int r = weft_wait(all, STORM, when, round % 4 ? WEFT_FOREVER : round * 53 % 20000);
    must(r == -ECANCELED || (r >= (round % 4 ? when == WEFT_FIRST_COMPLETED ? 1 : STORM : 0) && r <= STORM));
    for (int k = 0; k < r; k++) must(weft_done(all[k]));
    race_close(race, round);
    must(atomic_load(&accepted));
    must_equal(weft_sleep(0), r == -ECANCELED ? 0 : -ECANCELED); /* neither lost nor doubled */
    must_equal(weft_uncancel(storm_task), 0);
    for (int k = 0; k < STORM; k++) weft_release(storm[k]);
}
static void test_MT9_storm(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play_storm, .rivals = {completes, cancels}};
    for (unsigned workers = 0; workers <= 2; workers += 2) assert_int_equal(run_on(workers, run_race, &race), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W1_all_completed),
        cmocka_unit_test(test_W2_first_completed),
        cmocka_unit_test(test_W2_first_exception),
        cmocka_unit_test(test_W4_timeout),
        cmocka_unit_test(test_W5_W6_arguments),
        cmocka_unit_test(test_cancelled_wait_cancels_nobody),
        cmocka_unit_test(test_on_a_plain_thread),
        cmocka_unit_test(test_turns_of_the_queue),
        cmocka_unit_test(test_MT9_storm),
    };
    return run_group(tests);
}
