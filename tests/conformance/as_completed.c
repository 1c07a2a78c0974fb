/* as_completed: rules AC1 to AC6, MT9. */
#include "combine_support.h"
#include "race_support.h"

/* AC1, AC6: in the order of completion, the very objects passed in. */
static intptr_t in_order(void *arg) {
    (void)arg;
    weft_future *gate[3], *next;
    for (int i = 0; i < 3; i++) gate[i] = weft_future_new();
    weft_future *task = weft_create_task(awaits_one(gate[0])), *coroutine = awaits_one(gate[1]);
    weft_future *all[] = {task, coroutine, gate[2]}, *expected[] = {gate[2], coroutine, task};
    weft_as_completed each;
    must_equal(weft_as_completed_init(&each, all, 3, WEFT_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        must_equal(weft_future_set_result(gate[2 - i], i), 0);
        must_equal(weft_as_completed_next(&each, &next), 1);
        must(next == expected[i] && weft_done(next));
        must_equal(weft_result(next), i);
    }
    must_equal(weft_as_completed_next(&each, &next), 0);
    must_equal(weft_as_completed_next(&each, &next), 0);
    weft_as_completed_fini(&each);
    weft_as_completed_fini(&each);
    must_equal(weft_as_completed_next(&each, &next), -EINVAL);
    for (int i = 0; i < 3; i++) weft_release(gate[i]);
    weft_release(task);

    /* completed before anybody asks: handed out in that order */
    for (int i = 0; i < 3; i++) all[i] = weft_future_new();
    must_equal(weft_as_completed_init(&each, all, 3, WEFT_FOREVER), 0);
    for (int i = 3; i-- > 0;) must_equal(weft_future_set_result(all[i], i), 0);
    for (int i = 3; i-- > 0;) {
        must_equal(weft_as_completed_next(&each, &next), 1);
        must(next == all[i]);
    }
    weft_as_completed_fini(&each);
    for (int i = 0; i < 3; i++) weft_release(all[i]);
    return 0;
}
static void test_AC1_AC6_order_of_completion(void **state) {
    (void)state;
    on_each_loop(in_order);
}

/* AC4: duplicates collapse; odd arguments. */
static intptr_t arguments(void *arg) {
    (void)arg;
    weft_future *coroutine = after(1, 1), *shield = weft_shield(after(1, 2)), *next;
    weft_future *all[] = {coroutine, shield, coroutine, shield}, *null[] = {never(), NULL};
    weft_as_completed each;
    must_equal(weft_as_completed_init(&each, all, 4, WEFT_FOREVER), 0);
    intptr_t sum = 0, count = 0;
    for (; weft_as_completed_next(&each, &next) == 1; count++) sum += weft_result(next);
    must_equal(count, 2);
    must_equal(sum, 3);
    weft_as_completed_fini(&each);
    must_equal(weft_as_completed_init(&each, NULL, 0, WEFT_FOREVER), 0);
    must_equal(weft_as_completed_next(&each, &next), 0);
    must_equal(weft_as_completed_next(&each, NULL), -EINVAL);
    weft_as_completed_fini(&each);
    must_equal(weft_as_completed_init(&each, NULL, 1, WEFT_FOREVER), -EINVAL);
    must_equal(weft_as_completed_next(&each, &next), -EINVAL);
    struct capture capture = capture_begin();
    must_equal(weft_as_completed_init(&each, null, 2, WEFT_FOREVER), -EINVAL);
    must_equal(weft_as_completed_init(NULL, (weft_future *[]){never()}, 1, WEFT_FOREVER), -EINVAL);
    must_equal(capture_end(capture, "never awaited"), 0);
    return 0;
}
static void test_AC4_arguments(void **state) {
    (void)state;
    on_each_loop(arguments);
    weft_as_completed each;
    assert_int_equal(weft_as_completed_init(&each, (weft_future *[]){never()}, 1, WEFT_FOREVER), -EPERM);
}

/* AC5: an error belongs to its own child; the iteration goes on. */
static intptr_t errors(void *arg) {
    (void)arg;
    weft_task *cancelled = weft_create_task(forever());
    weft_future *last = weft_future_new(), *all[] = {after(1, -EIO), cancelled, last}, *next;
    weft_as_completed each;
    must_equal(weft_as_completed_init(&each, all, 3, WEFT_FOREVER), 0);
    must_equal(weft_as_completed_next(&each, &next), 1);
    must_equal(weft_result(next), -EIO);
    weft_cancel(cancelled);
    must_equal(weft_as_completed_next(&each, &next), 1);
    must(next == cancelled && weft_result(next) == -ECANCELED);
    must_equal(weft_future_set_result(last, 5), 0);
    must_equal(weft_as_completed_next(&each, &next), 1);
    must_equal(weft_result(next), 5);
    weft_as_completed_fini(&each);
    weft_release(last);
    weft_release(cancelled);
    return 0;
}
static void test_AC5_errors(void **state) {
    (void)state;
    on_each_loop(errors);
}

/* The time is one for the whole iteration; nothing is cancelled. */
static intptr_t timeout(void *arg) {
    (void)arg;
    weft_task *slow = weft_create_task(forever());
    weft_future *done = weft_future_new(), *all[] = {slow, done}, *next;
    weft_as_completed each;
    must_equal(weft_future_set_result(done, 5), 0);
    int64_t begin = weft_time();
    must_equal(weft_as_completed_init(&each, all, 2, WEFT_MS(30)), 0);
    must_equal(weft_as_completed_next(&each, &next), 1);
    must_equal(weft_as_completed_next(&each, &next), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(30));
    must_equal(weft_as_completed_next(&each, &next), -ETIMEDOUT);
    must(!weft_done(slow));
    must_equal(weft_cancelling(slow), 0);
    weft_as_completed_fini(&each);
    weft_release(slow);
    weft_release(done);
    return 0;
}
static void test_timeout(void **state) {
    (void)state;
    on_each_loop(timeout);
}

/* Cancelled, it can go on. */
weft_async(iterates, (weft_future **, all)) {
    weft_as_completed each;
    weft_future *next;
    must_equal(weft_as_completed_init(&each, all, 2, WEFT_FOREVER), 0);
    must_equal(weft_as_completed_next(&each, &next), -ECANCELED);
    must_equal(weft_future_set_result(all[1], 1), 0);
    must_equal(weft_as_completed_next(&each, &next), 1);
    must(next == all[1]);
    weft_as_completed_fini(&each);
    return 0;
}
static intptr_t cancelled(void *arg) {
    (void)arg;
    weft_future *all[] = {weft_future_new(), weft_future_new()};
    weft_task *task = weft_create_task(iterates(all));
    let_begin(task);
    must(weft_cancel(task));
    must_equal(weft_join(task), 0);
    must(!weft_done(all[0]));
    weft_release(all[0]);
    weft_release(all[1]);
    return 0;
}
static void test_cancelled_goes_on(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

/* The turns of the queue, as measured with CPython. */
static void trace_two(void) {
    weft_future *all[] = {marks("a", 1), marks("b", 1)}, *next;
    weft_as_completed each;
    must_equal(weft_as_completed_init(&each, all, 2, WEFT_FOREVER), 0);
    while (weft_as_completed_next(&each, &next) == 1) mark("n");
    weft_as_completed_fini(&each);
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_two, "0 1 a b 2 3 n n 4 5 6 7 8");
}

/* MT9: children that end on several workers: each comes once. */
weft_async(yields, (intptr_t, i)) {
    if (i % 2) weft_yield();
    return i;
}
static intptr_t many(void *arg) {
    enum { MANY = 300 };
    (void)arg;
    for (int round = 0; round < ROUNDS(400); round++) {
        weft_future *all[MANY], *next;
        bool seen[MANY] = {false};
        weft_as_completed each;
        for (intptr_t i = 0; i < MANY; i++) all[i] = yields(i);
        must_equal(weft_as_completed_init(&each, all, MANY, round % 2 ? WEFT_FOREVER : WEFT_SEC(100)), 0);
        int count = 0;
        for (; weft_as_completed_next(&each, &next) == 1; count++) {
            must(!seen[weft_result(next)]);
            seen[weft_result(next)] = true;
        }
        must_equal(count, MANY);
        weft_as_completed_fini(&each);
    }
    return 0;
}
static void test_MT9_many(void **state) {
    (void)state;
    on_each_loop(many);
}

/* A plain thread completes, another one ends the wait, the clock too; the iteration is ended at any moment. */
enum { STORM = 3 };
static weft_future *storm[STORM];
static weft_task *storm_task;
static void completes(long round) {
    for (int k = 0; k < STORM; k++) {
        for (volatile long pause = round * (13 + k) % 500; pause > 0; pause--) {}
        weft_future_set_result(storm[k], k);
    }
}
static void cancels(long round) {
    for (volatile long pause = round * 7 % 1500; pause > 0; pause--) {}
    must(weft_cancel(storm_task));
}
static void play_storm(struct race *race, long round) {
    weft_as_completed each;
    weft_future *next;
    storm_task = weft_current_task();
    for (int k = 0; k < STORM; k++) storm[k] = weft_future_new();
    must_equal(weft_as_completed_init(&each, storm, STORM, round % 4 ? WEFT_FOREVER : round * 53 % 20000), 0);
    race_open(race, round);
    int got = 0, cancelled = 0, r;
    while ((r = weft_as_completed_next(&each, &next)) == 1 || r == -ECANCELED) {
        got += r == 1;
        cancelled += r < 0;
        if (round % 8 == 7 && got == 1) break;
    }
    must(r == (round % 8 == 7 ? 1 : 0) || (round % 4 == 0 && r == -ETIMEDOUT));
    if (r == 0) must_equal(got, STORM);
    weft_as_completed_fini(&each);
    race_close(race, round);
    must(cancelled <= 1);
    must_equal(weft_sleep(0), cancelled ? 0 : -ECANCELED);
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
        cmocka_unit_test(test_AC1_AC6_order_of_completion),
        cmocka_unit_test(test_AC4_arguments),
        cmocka_unit_test(test_AC5_errors),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_cancelled_goes_on),
        cmocka_unit_test(test_turns_of_the_queue),
        cmocka_unit_test(test_MT9_many),
        cmocka_unit_test(test_MT9_storm),
    };
    return run_group(tests);
}
