/* shield: rules SH1 to SH7. */
#include "combine_support.h"
#include "race_support.h"

/* SH1: the value or the error of what is inside; also of a finished one. */
static intptr_t same_outcome(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(after(2, 5));
    must_equal(weft_await(weft_shield(task)), 5);
    must_equal(weft_await(weft_shield(task)), 5); /* done by now */
    must_equal(weft_join(weft_shield(task)), 5);
    must_equal(weft_await(weft_shield(after(2, -EIO))), -EIO);
    weft_future *done = weft_future_new();
    must_equal(weft_future_set_exception(done, -ECANCELED), 0);
    weft_future *shield = weft_shield(done);
    must(weft_done(shield) && !weft_cancelled(shield));
    must(!weft_cancel(shield));
    must_equal(weft_await(shield), -ECANCELED);
    weft_release(done);
    weft_release(task);
    must_equal(weft_join(weft_shield(NULL)), -EINVAL);
    must_equal(weft_await(weft_shield(weft_shield(weft_gather_all(after(1, 1), after(1, 2))))), 0);
    return 0;
}
static void test_SH1_same_outcome(void **state) {
    (void)state;
    on_each_loop(same_outcome);
}

/* SH2: cancelling the awaiter, or the shield, leaves the inner one alone; F12. */
weft_async(awaits_shield, (weft_task *, inner)) { return weft_await(weft_shield(inner)); }
static intptr_t inner_goes_on(void *arg) {
    (void)arg;
    weft_future *gate = weft_future_new();
    weft_task *inner = weft_create_task(awaits_one(gate)), *outer = weft_create_task(awaits_shield(inner));
    let_begin(outer);
    must(weft_cancel_with(outer, "outside"));
    must_equal(weft_await(outer), -ECANCELED);
    must(strcmp(weft_cancel_message(outer), "outside") == 0);
    must(!weft_done(inner));
    must_equal(weft_cancelling(inner), 0);
    weft_future *shield = weft_shield(inner);
    must(weft_cancel(shield) && weft_cancelled(shield) && !weft_cancel(shield)); /* within the call */
    must_equal(weft_await(shield), -ECANCELED);
    must_equal(weft_future_set_result(gate, 4), 0);
    must_equal(weft_join(inner), 4);
    weft_release(outer);
    weft_release(gate);
    return 0;
}
static void test_SH2_inner_goes_on(void **state) {
    (void)state;
    on_each_loop(inner_goes_on);
}

/* SH3: cancelling the inner one cancels the shield. */
static intptr_t inner_cancelled(void *arg) {
    (void)arg;
    weft_task *inner = weft_create_task(forever());
    weft_future *shield = weft_ref(weft_shield(inner));
    let_begin(inner);
    must(weft_cancel_with(inner, "inside"));
    must_equal(weft_await(shield), -ECANCELED);
    must(weft_cancelled(shield));
    must(strcmp(weft_cancel_message(shield), "inside") == 0);
    weft_release(shield);
    weft_release(inner);
    return 0;
}
static void test_SH3_inner_cancelled(void **state) {
    (void)state;
    on_each_loop(inner_cancelled);
}

/* SH4: a coroutine is scheduled; without a loop it cannot be. */
static _Atomic bool started;
weft_async(starts) {
    atomic_store(&started, true);
    return 6;
}
static intptr_t schedules(void *arg) {
    (void)arg;
    atomic_store(&started, false);
    weft_future *shield = weft_shield(starts());
    while (!atomic_load(&started)) must_equal(weft_sleep(0), 0);
    must_equal(weft_await(shield), 6);
    return 0;
}
static void test_SH4_coroutine_is_scheduled(void **state) {
    (void)state;
    on_each_loop(schedules);
    assert_int_equal(weft_await(weft_shield(never())), -EPERM);
}

/* SH7: a loop's end cancels what is inside. */
static weft_task *shielded;
static intptr_t ends_early(void *arg) {
    (void)arg;
    shielded = weft_create_task(forever());
    weft_release(weft_shield(shielded));
    return weft_sleep(WEFT_MS(1));
}
static void test_SH7_no_shield_from_the_end(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, ends_early, NULL), 0);
        assert_true(weft_cancelled(shielded));
        weft_release(shielded);
    }
}

/* A program that polls a long task through shields does not pile them up: 200 000 would take 38 MB. */
static long resident_pages(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages;
}
static intptr_t polls(void *arg) {
    (void)arg;
    long before = resident_pages();
    weft_task *task = weft_create_task(forever());
    for (long i = 0; i < ROUNDS(200000); i++) {
        weft_future *shield = weft_shield(task);
        must(weft_cancel(shield));
        must_equal(weft_await(shield), -ECANCELED);
    }
    must((resident_pages() - before) * sysconf(_SC_PAGESIZE) < (ROUNDS(200000) * 192) / 2 + (1 << 20));
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    return 0;
}
static void test_cancelled_shields_are_forgotten(void **state) {
    (void)state;
    on_each_loop(polls);
}

/* The turns of the queue, as measured with CPython. */
static void trace_result(void) {
    must_equal(weft_await(weft_shield(marks("c", 1))), 1);
    mark("done");
}
weft_async(is_shielded, (weft_task *, inner)) {
    must_equal(weft_await(weft_shield(inner)), -ECANCELED);
    mark("CE");
    return 0;
}
static void trace_cancel(void) {
    weft_task *inner = weft_create_task(after(5, 0)), *task = weft_create_task(is_shielded(inner));
    must_equal(weft_sleep(0), 0);
    mark("cancel");
    must(weft_cancel(task));
    must_equal(weft_join(task), 0);
    mark("end");
    must_equal(weft_join(inner), 0);
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_result, "0 1 c 2 3 done 4 5 6 7 8");
    assert_trace(trace_cancel, "0 cancel 1 CE 2 end 3 4 5 6 7 8");
}

/* MT4: the inner one completes while the shield is cancelled, on two threads: one outcome, and an accepted
 * request is seen. */
static weft_future *inner, *shield;
static _Atomic bool accepted;
static void completes(long round) { weft_future_set_result(inner, round); }
static void cancels(long round) {
    (void)round;
    atomic_store(&accepted, weft_cancel(shield));
}
static void play(struct race *race, long round) {
    inner = weft_future_new();
    shield = weft_ref(weft_shield(inner));
    race_open(race, round);
    intptr_t r = weft_await(shield);
    race_close(race, round);
    must_equal(r, atomic_load(&accepted) ? -ECANCELED : round);
    must_equal(weft_cancelled(shield), atomic_load(&accepted));
    must_equal(weft_result(inner), round);
    weft_release(inner);
    weft_release(shield);
}
static void test_MT4_cancel_against_completion(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play, .rivals = {completes, cancels}};
    for (unsigned workers = 0; workers <= 2; workers += 2) assert_int_equal(run_on(workers, run_race, &race), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SH1_same_outcome),
        cmocka_unit_test(test_SH2_inner_goes_on),
        cmocka_unit_test(test_SH3_inner_cancelled),
        cmocka_unit_test(test_SH4_coroutine_is_scheduled),
        cmocka_unit_test(test_SH7_no_shield_from_the_end),
        cmocka_unit_test(test_cancelled_shields_are_forgotten),
        cmocka_unit_test(test_turns_of_the_queue),
        cmocka_unit_test(test_MT4_cancel_against_completion),
    };
    return run_group(tests);
}
