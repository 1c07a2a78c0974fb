/* Cancellation: rules X1 to X17, F12, MT4, golden traces B13, B14. Chains, circles and races with plain futures
 * are in tests/cancel.c. */
#include "combine_support.h"
#include "race_support.h"

/* B13, X1, X6: before the first step. */
static intptr_t before_first_step(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true}, never());
    must(weft_cancel_with(task, "early"));
    must(!weft_cancelled(task) && !weft_done(task));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    must(strcmp(weft_cancel_message(task), "early") == 0);
    weft_release(task);
    return 0;
}
static void test_X6_B13_before_the_first_step(void **state) {
    (void)state;
    on_each_loop(before_first_step);
}

/* B14, X1, X7: twice, and after the end. */
static intptr_t twice(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true}, forever());
    must(weft_cancel(task) && weft_cancel(task));
    must_equal(weft_cancelling(task), 2);
    must_equal(weft_await(task), -ECANCELED);
    must(!weft_cancel(task) && !weft_cancel_with(task, "late"));
    must_equal(weft_cancelling(task), 2);
    must(!weft_cancel_message(task));
    weft_release(task);
    return 0;
}
static void test_X1_X7_B14_twice_and_too_late(void **state) {
    (void)state;
    on_each_loop(twice);
}

/* X2, X3: at the next await that suspends: combinators too. */
static intptr_t next_suspension(void *arg) {
    weft_task *self = weft_current_task(), *done = weft_create_task(after(0, 5));
    weft_future *pending = weft_future_new(), *next;
    (void)arg;
    must_equal(weft_await(done), 5);
    for (int how = 0; how < 7; how++) {
        weft_as_completed each;
        weft_task_group group;
        must(weft_cancel(self));
        must_equal(weft_await(done), 5);
        must_equal(weft_wait_for(done, WEFT_SEC(1)), 5);
        must_equal(weft_await(weft_shield(done)), 5);
        must_equal(weft_await(weft_gather_all(done, done)), 0);
        switch (how) {
        case 0: must_equal(weft_sleep(0), -ECANCELED); break;
        case 1: must_equal(weft_wait(&pending, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER), -ECANCELED); break;
        case 2:
            must_equal(weft_as_completed_init(&each, &pending, 1, WEFT_FOREVER), 0);
            must_equal(weft_as_completed_next(&each, &next), -ECANCELED);
            weft_as_completed_fini(&each);
            break;
        case 3: must_equal(weft_await(weft_shield(pending)), -ECANCELED); break;
        case 4:
            must_equal(weft_task_group_enter(&group), 0);
            weft_task_group_create_task(&group, forever());
            must_equal(weft_task_group_exit(&group, 3), -ECANCELED);
            break;
        case 5: must_equal(weft_await(weft_gather_all(pending, weft_create_task(after(0, 1)))), -ECANCELED); break;
        default: must_equal(weft_wait_for(forever(), WEFT_SEC(1)), -ECANCELED);
        }
        must_equal(weft_sleep(0), 0);
        must(weft_done(pending) == (how >= 5)); /* only the gather passes it on */
    }
    weft_release(done);
    weft_release(pending);
    return 0;
}
static void test_X2_X3_next_suspension(void **state) {
    (void)state;
    on_each_loop(next_suspension);
}

/* X4, X10: the awaiter may carry on; a task that caught it ends as it likes. */
weft_async(catches, (intptr_t, value)) {
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must_equal(weft_sleep(0), 0);
    return value;
}
static intptr_t caught(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(catches(5)), *other = weft_create_task(forever());
    let_begin(task);
    must(weft_cancel_with(task, "caught") && weft_cancel(other));
    must_equal(weft_await(task), 5);
    must(!weft_cancelled(task) && !weft_cancel_message(task));
    must_equal(weft_cancelling(task), 1);
    must_equal(weft_await(other), -ECANCELED);
    must_equal(weft_cancelling(weft_current_task()), 0);
    weft_release(task);
    weft_release(other);
    return 0;
}
static void test_X4_X10_caught(void **state) {
    (void)state;
    on_each_loop(caught);
}

/* X8, F12: through awaits, gathers and shields to the innermost, with the message, and back. */
static _Atomic bool at_the_bottom;
weft_async(innermost) {
    atomic_store(&at_the_bottom, true);
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must(strcmp(weft_cancel_message(weft_current_task()), "down") == 0);
    return -ECANCELED;
}
weft_async(nest, (int, depth)) {
    if (depth == 0) return weft_await(innermost());
    weft_future *inner = nest(depth - 1);
    intptr_t r = depth % 2 ? weft_join(weft_create_task(inner)) : weft_await(weft_gather_all(inner, forever()));
    must_equal(r, -ECANCELED);
    must(strcmp(weft_cancel_message(weft_current_task()), "down") == 0);
    must_equal(weft_cancelling(weft_current_task()), 1);
    must_equal(weft_sleep(0), 0); /* passed on: here it is consumed */
    return r;
}
static intptr_t nested(void *arg) {
    (void)arg;
    atomic_store(&at_the_bottom, false);
    weft_task *task = weft_create_task(nest(8));
    while (!atomic_load(&at_the_bottom)) must_equal(weft_sleep(0), 0);
    must(weft_cancel_with(task, "down"));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task) && strcmp(weft_cancel_message(task), "down") == 0);
    weft_release(task);
    return 0;
}
static void test_X8_F12_down_and_back(void **state) {
    (void)state;
    on_each_loop(nested);
}

/* F12: of a future to all who await it; not of an earlier one that was caught. */
static intptr_t messages(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    weft_task *a = weft_create_task(awaits_one(future)), *b = weft_create_task(awaits_one(future));
    let_begin(a);
    let_begin(b);
    must(!weft_cancel_message(future) && !weft_cancel_message(NULL));
    must(weft_cancel_with(future, "gone") && !weft_cancel_with(future, "again"));
    must(strcmp(weft_cancel_message(future), "gone") == 0);
    must_equal(weft_await(a), -ECANCELED);
    must_equal(weft_await(b), -ECANCELED);
    must(strcmp(weft_cancel_message(a), "gone") == 0 && strcmp(weft_cancel_message(b), "gone") == 0);
    weft_task *self = weft_current_task();
    must_equal(weft_await(a), -ECANCELED);
    must(strcmp(weft_cancel_message(self), "gone") == 0);
    must(weft_cancel(self)); /* without a message: the former one is gone */
    must_equal(weft_sleep(0), -ECANCELED);
    must(!weft_cancel_message(self));
    weft_release(a);
    weft_release(b);
    weft_release(future);
    return 0;
}
static void test_F12_messages(void **state) {
    (void)state;
    on_each_loop(messages);
}

/* X9: two await the same third task; X17: the inner future. */
static intptr_t shared(void *arg) {
    (void)arg;
    weft_task *third = weft_create_task(forever());
    weft_task *a = weft_create_task(awaits_one(third)), *b = weft_create_task(awaits_one(third));
    let_begin(a);
    let_begin(b);
    must(weft_cancel(a));
    must_equal(weft_join(b), -ECANCELED);
    must_equal(weft_join(a), -ECANCELED);
    must(weft_cancelled(third));
    weft_release(third);
    return 0;
}
static void test_X9_shared_task(void **state) {
    (void)state;
    on_each_loop(shared);
}

/* X12: cancels itself and returns; X15: clean-up that fails. */
weft_async(cancels_itself) {
    weft_cancel(weft_current_task());
    return 4;
}
static intptr_t endings(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(cancels_itself());
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    weft_release(task);
    task = weft_create_task(cleans_up(2, -EIO));
    let_begin(task);
    must(weft_cancel(task));
    must_equal(weft_await(task), -EIO);
    must(!weft_cancelled(task));
    weft_release(task);
    return 0;
}
static void test_X12_X15_endings(void **state) {
    (void)state;
    on_each_loop(endings);
}

/* MT4: result, error and cancel race on one future: one wins, and all agree. */
static weft_future *raced;
static _Atomic bool has_result, has_error, is_cancelled; /* who won */
static void sets_result(long round) { atomic_store(&has_result, weft_future_set_result(raced, round) == 0); }
static void sets_error(long round) {
    (void)round;
    atomic_store(&has_error, weft_future_set_exception(raced, -EIO) == 0);
}
static void cancels(long round) {
    (void)round;
    atomic_store(&is_cancelled, weft_cancel_with(raced, "won"));
}
static void play(struct race *race, long round) {
    raced = weft_future_new();
    race_open(race, round);
    intptr_t r = weft_await(raced);
    race_close(race, round);
    must_equal(atomic_load(&has_result) + atomic_load(&has_error) + atomic_load(&is_cancelled), 1);
    must_equal(r, atomic_load(&has_result) ? round : atomic_load(&has_error) ? -EIO : -ECANCELED);
    must(!weft_cancel_message(raced) == !atomic_load(&is_cancelled));
    weft_release(raced);
}
static void test_MT4_one_wins(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play, .rivals = {sets_result, sets_error, cancels}};
    for (unsigned workers = 0; workers <= 2; workers += 2) assert_int_equal(run_on(workers, run_race, &race), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_X6_B13_before_the_first_step),
        cmocka_unit_test(test_X1_X7_B14_twice_and_too_late),
        cmocka_unit_test(test_X2_X3_next_suspension),
        cmocka_unit_test(test_X4_X10_caught),
        cmocka_unit_test(test_X8_F12_down_and_back),
        cmocka_unit_test(test_F12_messages),
        cmocka_unit_test(test_X9_shared_task),
        cmocka_unit_test(test_X12_X15_endings),
        cmocka_unit_test(test_MT4_one_wins),
    };
    return run_group(tests);
}
