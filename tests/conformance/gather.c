/* gather: rules G1 to G11, MT9, golden traces B1, B18, B19. */
#include "combine_support.h"
#include "race_support.h"

/* G1: results in the order of the arguments, whatever the order of completion; all at the same time. */
static intptr_t in_argument_order(void *arg) {
    intptr_t results[3] = {0};
    (void)arg;
    int64_t begin = weft_time();
    weft_future *gather = weft_gather_into(results, after(30, 1), after(20, 2), after(10, 3));
    must_equal(weft_await(gather), 0);
    int64_t took = weft_time() - begin;
    must(took >= WEFT_MS(30) && took < WEFT_MS(360));
    for (int i = 0; i < 3; i++) must_equal(results[i], i + 1);
    return 0;
}
static void test_G1_results_in_argument_order(void **state) {
    (void)state;
    on_each_loop(in_argument_order);
}

/* G2, B1: coroutines become tasks, which start in the order of the arguments on a strict-order loop. */
weft_async(worker_of_three, (char, name)) {
    for (char i = '0'; i < '3'; i++) {
        mark((char[]){name, i, 0});
        must_equal(weft_sleep(0), 0);
    }
    return 0;
}
static intptr_t three_workers(void *arg) {
    (void)arg;
    return weft_await(weft_gather_all(worker_of_three('a'), worker_of_three('b'), worker_of_three('c')));
}
static void test_G2_B1_starts_in_argument_order(void **state) {
    (void)state;
    trace[0] = 0;
    assert_int_equal(run_on(0, three_workers, NULL), 0);
    assert_string_equal(trace, "a0 b0 c0 a1 b1 c1 a2 b2 c2");
}

/* G3, B18: the first error at once; the sibling goes on, uncancelled. */
static intptr_t first_error(void *arg) {
    (void)arg;
    intptr_t results[2] = {7, 7};
    int64_t begin = weft_time();
    weft_future *gate = weft_future_new();
    weft_task *sibling = weft_create_task(awaits_one(gate));
    must_equal(weft_await(weft_gather_into(results, sibling, after(10, -EIO))), -EIO);
    must(weft_time() - begin >= WEFT_MS(10));
    must(!weft_done(sibling));
    must_equal(weft_cancelling(sibling), 0);
    must_equal(weft_future_set_result(gate, 5), 0);
    must_equal(weft_await(sibling), 5);
    must_equal(weft_sleep(0), 0);
    must_equal(results[0], 7); /* unwritten */
    weft_release(sibling);
    weft_release(gate);
    return 0;
}
static void test_G3_B18_first_error_at_once(void **state) {
    (void)state;
    on_each_loop(first_error);
}

/* G4: with return_exceptions, everything is a result. */
static intptr_t return_exceptions(void *arg) {
    (void)arg;
    intptr_t results[4];
    weft_task *cancelled = weft_create_task(forever());
    weft_future *failed = weft_future_new();
    weft_future *all[] = {after(5, -EIO), cancelled, after(10, 4), failed};
    weft_future *gather =
        weft_gather(all, 4, (weft_gather_options){.return_exceptions = true, .results = results});
    must(weft_cancel(cancelled));
    must_equal(weft_future_set_exception(failed, -EPIPE), 0);
    must_equal(weft_await(gather), 0);
    must_equal(results[0], -EIO);
    must_equal(results[1], -ECANCELED);
    must_equal(results[2], 4);
    must_equal(results[3], -EPIPE);
    weft_release(cancelled);
    weft_release(failed);
    return 0;
}
static void test_G4_return_exceptions(void **state) {
    (void)state;
    on_each_loop(return_exceptions);
}

/* G5, F12: cancelling the task that awaits the gather cancels every child, and the message travels along. */
weft_async(awaits_gather) {
    return weft_await(weft_gather_all(cleans_up(10, -ECANCELED), forever(), forever()));
}
static intptr_t cancelled_awaiter(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(awaits_gather());
    let_begin(task);
    must(weft_cancel_with(task, "stop"));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    must(strcmp(weft_cancel_message(task), "stop") == 0);
    weft_release(task);
    return 0;
}
static void test_G5_cancel_reaches_all_children(void **state) {
    (void)state;
    on_each_loop(cancelled_awaiter);
}

/* G6, B19: it ends when all children have ended, by an error, in both modes; F12. */
static intptr_t cancelled_gather(void *return_exceptions) {
    intptr_t results[2] = {0};
    weft_task *a = weft_create_task(forever()), *b = weft_create_task(cleans_up(20, 3));
    weft_future *all[] = {a, b};
    weft_gather_options options = {.return_exceptions = return_exceptions, .results = results};
    weft_future *gather = weft_ref(weft_gather(all, 2, options));
    let_begin(b);
    int64_t begin = weft_time();
    must(weft_cancel_with(gather, "enough"));
    must(!weft_done(gather));
    must_equal(weft_await(gather), -ECANCELED);
    must(weft_time() - begin >= WEFT_MS(20));
    must(weft_done(b) && weft_cancelled(a) && !weft_cancelled(b) && !weft_cancelled(gather));
    must_equal(results[0], -ECANCELED);
    must_equal(results[1], 3);
    must(!weft_cancel(gather));
    must(strcmp(weft_cancel_message(gather), "enough") == 0);
    must(strcmp(weft_cancel_message(a), "enough") == 0);
    weft_release(a);
    weft_release(b);
    weft_release(gather);
    return 0;
}
static intptr_t cancelled_gathers(void *arg) {
    must_equal(cancelled_gather(NULL), 0);
    return cancelled_gather(&arg);
}
static void test_G6_B19_cancelled_ends_after_its_children(void **state) {
    (void)state;
    on_each_loop(cancelled_gathers);
}

/* G8: one cancelled child cancels neither the siblings nor the gather. */
static intptr_t one_cancelled(void *arg) {
    (void)arg;
    weft_future *gate = weft_future_new();
    weft_task *child = weft_create_task(forever()), *sibling = weft_create_task(awaits_one(gate));
    weft_future *gather = weft_ref(weft_gather_all(child, sibling));
    must(weft_cancel_with(child, "one"));
    must_equal(weft_await(gather), -ECANCELED);
    must(!weft_cancelled(gather) && !weft_done(sibling));
    must(strcmp(weft_cancel_message(gather), "one") == 0);
    must_equal(weft_future_set_result(gate, 2), 0);
    must_equal(weft_join(sibling), 2);
    weft_release(child);
    weft_release(gather);
    weft_release(gate);
    return 0;
}
static void test_G8_one_child_cancelled(void **state) {
    (void)state;
    on_each_loop(one_cancelled);
}

/* G11: nothing, duplicates, invalid arguments; temporaries are consumed whatever happens. */
static intptr_t odd_arguments(void *arg) {
    (void)arg;
    weft_future *empty = weft_gather(NULL, 0, (weft_gather_options){0});
    must(weft_done(empty) && !weft_cancel(empty));
    must_equal(weft_await(empty), 0);
    must_equal(weft_join(weft_gather(NULL, 1, (weft_gather_options){0})), -EINVAL);
    struct capture capture = capture_begin();
    must_equal(weft_join(weft_gather_all(never(), NULL, never(), weft_shield(after(1, 1)))), -EINVAL);
    must_equal(capture_end(capture, "never awaited"), 0);

    intptr_t results[5];
    weft_task *task = weft_create_task(after(5, 8));
    weft_future *coroutine = after(5, 9), *shield = weft_shield(task);
    must_equal(weft_await(weft_gather_into(results, task, coroutine, task, coroutine)), 0);
    must_equal(results[0], 8);
    must_equal(results[2], 8);
    must_equal(results[1], 9);
    must_equal(results[3], 9);
    must_equal(weft_await(weft_gather_into(results, shield, shield, task)), 0);
    must_equal(results[0] + results[1] + results[2], 24);
    must_equal(weft_future_set_result(empty, 0), -EALREADY);
    shield = weft_gather_all(task);
    must_equal(weft_future_set_result(shield, 0), -EINVAL);
    must_equal(weft_future_set_exception(shield, -EIO), -EINVAL);
    weft_release(shield);
    weft_release(task);
    return 0;
}
static void test_G11_odd_arguments(void **state) {
    (void)state;
    on_each_loop(odd_arguments);
    weft_future *future = weft_future_new(), *gather = weft_gather_all(future, future);
    assert_int_equal(weft_future_set_result(future, 3), 0);
    assert_int_equal(weft_await(gather), 0); /* no loop needed without coroutines */
    assert_int_equal(weft_await(weft_gather_all(never(), future)), -EPERM);
    weft_release(future);
}

/* The turns of the queue, as measured with CPython. */
static void trace_results(void) {
    must_equal(weft_await(weft_gather_all(marks("a", 1), marks("b", 2))), 0);
    mark("done");
}
static void trace_error(void) {
    must_equal(weft_await(weft_gather_all(marks("a", 1), marks("f", -EIO), marks("b", 2))), -EIO);
    mark("E");
}
weft_async(waits_for_two) {
    weft_future *all[] = {marks_cancel("x"), marks_cancel("x")};
    must_equal(weft_await(weft_gather(all, 2, (weft_gather_options){.return_exceptions = true})), -ECANCELED);
    mark("CE");
    return 0;
}
static void trace_cancel(void) {
    weft_task *task = weft_create_task(waits_for_two());
    must_equal(weft_sleep(0), 0);
    must_equal(weft_sleep(0), 0);
    mark("cancel");
    must(weft_cancel(task));
    must_equal(weft_join(task), 0);
    mark("end");
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_results, "0 1 a b 2 3 done 4 5 6 7 8");
    assert_trace(trace_error, "0 1 a f b 2 3 E 4 5 6 7 8");
    assert_trace(trace_cancel, "0 1 cancel 2 x x 3 4 CE 5 end 6 7 8");
}

/* A child that awaits its own gather gives up its wait when the gather is cancelled. */
static weft_future *own;
static weft_future *gate;
static _Atomic long about_to_wait;
weft_async(awaits_own_later) {
    must_equal(weft_await(gate), 1);
    atomic_fetch_add(&about_to_wait, 1);
    return weft_await(weft_ref(own));
}
static intptr_t circle(void *arg) {
    (void)arg;
    gate = weft_future_new();
    own = weft_gather_all(awaits_own_later(), awaits_own_later());
    atomic_store(&about_to_wait, 0);
    must_equal(weft_future_set_result(gate, 1), 0);
    while (atomic_load(&about_to_wait) < 2) must_equal(weft_sleep(0), 0);
    must(weft_cancel(own));
    must_equal(weft_await(own), -ECANCELED);
    weft_release(gate);
    return 0;
}
static void test_circle_of_a_gather_and_its_children(void **state) {
    (void)state;
    on_each_loop(circle);
}

/* What a loop's end leaves queued still completes the gather: nobody waits for ever, nothing leaks. */
static weft_future *left_behind;
weft_async(last_breath) {
    (void)weft_sleep(WEFT_SEC(1000));
    return 4;
}
static intptr_t leaves_gather(void *arg) {
    (void)arg;
    weft_task *a = weft_create_task(last_breath()), *b = weft_create_task(last_breath());
    left_behind = weft_gather_all(a, b);
    let_begin(a);
    let_begin(b);
    weft_release(a);
    weft_release(b);
    return 0;
}
static void test_completes_when_the_loop_has_ended(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, leaves_gather, NULL), 0);
        assert_true(weft_done(left_behind));
        assert_int_equal(weft_await(left_behind), 0);
    }
}

/* MT9, MT4: children complete, fail and are cancelled on other threads, the gather is cancelled at the same
 * instant: it completes once, and an accepted request is reported. */
enum { STORM = 4 };
static weft_future *storm[STORM], *stormed;
static _Atomic bool accepted;
static void completes(long round) {
    (void)round;
    for (int k = 0; k < STORM; k++) weft_future_set_result(storm[k], k);
}
static void cancels(long round) {
    for (volatile long pause = round * 7 % 300; pause > 0; pause--) {}
    atomic_store(&accepted, weft_cancel(stormed));
}
static void play_storm(struct race *race, long round) {
    intptr_t results[STORM] = {-1, -1, -1, -1};
    for (int k = 0; k < STORM; k++) storm[k] = weft_future_new();
    weft_gather_options options = {.return_exceptions = round & 1, .results = results};
    stormed = weft_ref(weft_gather(storm, STORM, options));
    race_open(race, round);
    intptr_t r = weft_await(stormed);
    race_close(race, round);
    bool cancelled = false;
    for (int k = 0; k < STORM; k++) cancelled |= weft_cancelled(storm[k]);
    must_equal(r, atomic_load(&accepted) ? -ECANCELED : 0);
    if (cancelled) must(atomic_load(&accepted));
    for (int k = 0; r == 0 && k < STORM; k++) must_equal(results[k], k);
    must_equal(weft_sleep(0), 0);
    for (int k = 0; k < STORM; k++) weft_release(storm[k]);
    weft_release(stormed);
}
static void test_MT9_cancel_against_completion(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play_storm, .rivals = {completes, cancels}};
    for (unsigned workers = 0; workers <= 2; workers += 2) assert_int_equal(run_on(workers, run_race, &race), 0);
}

/* MT9: many children that end on several workers, the first error recorded. */
weft_async(spins, (intptr_t, i)) {
    if (i % 3 == 0) weft_yield();
    return i;
}
static intptr_t many(void *arg) {
    enum { MANY = 1000 };
    static weft_future *all[MANY];
    static intptr_t results[MANY];
    (void)arg;
    for (int round = 0; round < ROUNDS(200); round++) {
        for (intptr_t i = 0; i < MANY; i++) all[i] = spins(i);
        must_equal(weft_await(weft_gather(all, MANY, (weft_gather_options){.results = results})), 0);
        for (intptr_t i = 0; i < MANY; i++) must_equal(results[i], i);
        for (intptr_t i = 0; i < MANY; i++) all[i] = spins(i == 500 || i == 700 ? -EIO : i);
        must_equal(weft_await(weft_gather(all, MANY, (weft_gather_options){0})), -EIO);
    }
    return 0;
}
static void test_MT9_many_children(void **state) {
    (void)state;
    on_each_loop(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_G1_results_in_argument_order),
        cmocka_unit_test(test_G2_B1_starts_in_argument_order),
        cmocka_unit_test(test_G3_B18_first_error_at_once),
        cmocka_unit_test(test_G4_return_exceptions),
        cmocka_unit_test(test_G5_cancel_reaches_all_children),
        cmocka_unit_test(test_G6_B19_cancelled_ends_after_its_children),
        cmocka_unit_test(test_G8_one_child_cancelled),
        cmocka_unit_test(test_G11_odd_arguments),
        cmocka_unit_test(test_turns_of_the_queue),
        cmocka_unit_test(test_circle_of_a_gather_and_its_children),
        cmocka_unit_test(test_completes_when_the_loop_has_ended),
        cmocka_unit_test(test_MT9_cancel_against_completion),
        cmocka_unit_test(test_MT9_many_children),
    };
    return run_group(tests);
}
