/* Timeout blocks: rules TO1 to TO6. Races at the deadline are in tests/timeout.c. */
#include "combine_support.h"

/* TO1: the body is cancelled at its await; the count is as before. */
static intptr_t expires(void *arg) {
    (void)arg;
    weft_timeout scope;
    int64_t begin = weft_time();
    must_equal(weft_timeout_enter(&scope, WEFT_MS(10)), 0);
    int body = weft_sleep(WEFT_SEC(1000));
    must_equal(body, -ECANCELED);
    must_equal(weft_timeout_exit(&scope, body), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(10));
    must(weft_timeout_expired(&scope));
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_TO1_expires(void **state) {
    (void)state;
    on_each_loop(expires);
}

/* TO2: none, now, past; a body that never suspends completes. */
static intptr_t deadlines(void *arg) {
    (void)arg;
    weft_timeout scope;
    must_equal(weft_timeout_enter(&scope, WEFT_FOREVER), 0);
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_MS(5))), 0);
    must(!weft_timeout_expired(&scope));
    for (int past = 0; past <= 1; past++) {
        must_equal(weft_timeout_enter(&scope, past ? -WEFT_SEC(1) : 0), 0);
        must_equal(weft_timeout_exit(&scope, weft_sleep(0)), -ETIMEDOUT);
        must_equal(weft_timeout_enter_at(&scope, weft_time() - past), 0);
        must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(1000))), -ETIMEDOUT);
        must_equal(weft_timeout_enter(&scope, past ? -WEFT_SEC(1) : 0), 0);
        must_equal(weft_timeout_exit(&scope, 5), 5);
        must_equal(weft_sleep(0), 0);
    }
    return 0;
}
static void test_TO2_deadlines(void **state) {
    (void)state;
    on_each_loop(deadlines);
}

/* TO3: the outermost expired one converts; an inner one only if it alone expired. */
static intptr_t nested(void *arg) {
    (void)arg;
    weft_timeout outer, inner;
    must_equal(weft_timeout_enter(&outer, WEFT_MS(5)), 0);
    must_equal(weft_timeout_enter(&inner, WEFT_SEC(100)), 0);
    intptr_t r = weft_timeout_exit(&inner, weft_sleep(WEFT_SEC(1000)));
    must_equal(r, -ECANCELED);
    must_equal(weft_timeout_exit(&outer, r), -ETIMEDOUT);
    must_equal(weft_timeout_enter(&outer, WEFT_SEC(100)), 0);
    must_equal(weft_timeout_enter(&inner, WEFT_MS(5)), 0);
    r = weft_timeout_exit(&inner, weft_sleep(WEFT_SEC(1000)));
    must_equal(r, -ETIMEDOUT);
    must_equal(weft_timeout_exit(&outer, r), -ETIMEDOUT);
    must(!weft_timeout_expired(&outer));
    int64_t both = weft_time() + WEFT_MS(5);
    must_equal(weft_timeout_enter_at(&outer, both), 0);
    must_equal(weft_timeout_enter_at(&inner, both), 0);
    while (weft_time() < both) {} /* both are over before the body suspends */
    r = weft_timeout_exit(&inner, weft_sleep(WEFT_SEC(1000)));
    must(r == -ECANCELED || r == -ETIMEDOUT); /* the timers fire one after the other */
    r = weft_timeout_exit(&outer, r == -ETIMEDOUT ? weft_sleep(WEFT_SEC(1000)) : r);
    must_equal(r, -ETIMEDOUT);
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_TO3_nested(void **state) {
    (void)state;
    on_each_loop(nested);
}

/* TO5: a cancel from outside stays one. */
weft_async(limited) {
    weft_timeout scope;
    must_equal(weft_timeout_enter(&scope, WEFT_SEC(100)), 0);
    intptr_t r = weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(1000)));
    must(!weft_timeout_expired(&scope));
    return r;
}
static intptr_t outside(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task(limited());
    let_begin(task);
    must(weft_cancel_with(task, "outside"));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task) && strcmp(weft_cancel_message(task), "outside") == 0);
    weft_release(task);
    return 0;
}
static void test_TO5_cancel_from_outside(void **state) {
    (void)state;
    on_each_loop(outside);
}

/* TO6: moved or removed only while active; entered once, in a task. */
static intptr_t misuse(void *arg) {
    (void)arg;
    weft_timeout scope;
    memset(&scope, 0x5a, sizeof scope);
    must_equal(weft_timeout_reschedule(&scope, 0), -EINVAL);
    must_equal(weft_timeout_exit(&scope, 0), -EINVAL);
    must_equal(weft_timeout_enter(NULL, 0), -EINVAL);
    must_equal(weft_timeout_enter(&scope, WEFT_MS(5)), 0);
    must_equal(weft_timeout_enter(&scope, WEFT_MS(5)), -EINVAL);
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), 0);
    must_equal(weft_sleep(WEFT_MS(10)), 0);
    must_equal(weft_timeout_reschedule(&scope, weft_time() + WEFT_MS(5)), 0);
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), -EALREADY);
    must_equal(weft_timeout_exit(&scope, -ECANCELED), -ETIMEDOUT);
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), -EINVAL);
    must_equal(weft_timeout_exit(&scope, 0), -EINVAL);
    return 0;
}
static void test_TO6_misuse(void **state) {
    (void)state;
    on_each_loop(misuse);
    weft_timeout scope;
    assert_int_equal(weft_timeout_enter(&scope, 0), -EPERM);
    assert_int_equal(weft_timeout_exit(&scope, 0), -EINVAL);
}

/* On a strict-order loop the request takes a turn of the queue; a scope that is left before calls it off, and one
 * that is moved too. */
static void mark_turn(void *arg) { mark(arg); }
static void trace_turn(void) {
    weft_timeout scope;
    int64_t soon = weft_time() + WEFT_MS(2);
    must_equal(weft_timeout_enter_at(&scope, soon), 0);
    while (weft_time() < soon + WEFT_MS(2)) {} /* the wheel is not that fine */
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), mark_turn, (void *)"soon").error, 0);
    intptr_t r = weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(1000)));
    must_equal(r, -ETIMEDOUT);
    mark("out");
}
static intptr_t called_off(void *strict) {
    for (int i = 0; i < 50; i++) {
        weft_timeout scope;
        int64_t soon = weft_time() + WEFT_US(200);
        must_equal(weft_timeout_enter_at(&scope, soon), 0);
        while (weft_time() < soon + WEFT_US(200)) {}
        intptr_t r = weft_timeout_exit(&scope, weft_sleep(0)); /* the timer's turn comes behind ours */
        must(r == 0 || (!strict && r == -ETIMEDOUT));
        must_equal(weft_sleep(0), 0);
        must_equal(weft_cancelling(weft_current_task()), 0);
    }
    return 0;
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_turn, "0 soon 1 out 2 3 4 5 6 7 8");
    on_each_loop(called_off);
    assert_int_equal(run_on(0, called_off, state), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_TO1_expires),
        cmocka_unit_test(test_TO2_deadlines),
        cmocka_unit_test(test_TO3_nested),
        cmocka_unit_test(test_TO5_cancel_from_outside),
        cmocka_unit_test(test_TO6_misuse),
        cmocka_unit_test(test_turns_of_the_queue),
    };
    return run_group(tests);
}
