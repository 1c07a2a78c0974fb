/* Task groups: rules TG1 to TG10, MT9. */
#include "combine_support.h"

/* What the body comes to stands where the group is left. */
#define GROUP(group, body)                                                                                   \
    __extension__({                                                                                          \
        must_equal(weft_task_group_enter(group), 0);                                                         \
        weft_task_group_exit(group, body);                                                                   \
    })

/* A member that has taken its first step. */
static void create_and_begin(weft_task_group *group, weft_future *coroutine) {
    weft_ref(coroutine);
    must(weft_task_group_create_task(group, coroutine) == coroutine);
    let_begin(coroutine);
    weft_release(coroutine);
}

/* TG1: waits for all, those too that members add while the group is being left. */
static _Atomic long ended;
weft_async(adds, (weft_task_group *, group), (int, generations)) {
    if (generations > 0) {
        must(weft_task_group_create_task(group, adds(group, generations - 1)));
        must(weft_task_group_create_task(group, adds(group, generations - 1)));
    }
    int r = weft_sleep(WEFT_MS(1));
    atomic_fetch_add(&ended, 1);
    return r;
}
static intptr_t adds_all(weft_task_group *group) {
    weft_task_group_create_task(group, adds(group, 5));
    return 17;
}
static intptr_t waits_for_all(void *arg) {
    (void)arg;
    weft_task_group group;
    atomic_store(&ended, 0);
    must_equal(GROUP(&group, adds_all(&group)), 17);
    must_equal(atomic_load(&ended), 63);
    must_equal(GROUP(&group, -EIO), -EIO); /* without members; the memory can be used again */
    must_equal(GROUP(&group, 4), 4);
    return 0;
}
static void test_TG1_waits_for_all(void **state) {
    (void)state;
    on_each_loop(waits_for_all);
}

/* TG2, TG6: the first error cancels the others and the body; all errors are collected; the count is as before. */
weft_async(fails_in_cleanup, (int, ms), (int, error)) {
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must_equal(weft_sleep(WEFT_MS(ms)), 0);
    return error;
}
static weft_task *other;
static intptr_t suspended_body(weft_task_group *group) {
    create_and_begin(group, fails_in_cleanup(10, -EPIPE));
    weft_task_group_create_task(group, after(5, -EIO));
    other = weft_ref(forever());
    must(weft_task_group_create_task(group, other) == other);
    int r = weft_sleep(WEFT_SEC(1000));
    must_equal(r, -ECANCELED);
    must_equal(weft_cancelling(weft_current_task()), 1);
    return r;
}
static intptr_t first_error(void *arg) {
    (void)arg;
    weft_task_group group;
    weft_group_errors errors;
    must_equal(weft_task_group_enter(&group), 0);
    must_equal(weft_task_group_errors(&group, &errors), 0);
    must_equal(weft_task_group_exit(&group, suspended_body(&group)), -EIO);
    must_equal(errors.count, 2);
    must_equal(errors.values[0], -EIO);
    must_equal(errors.values[1], -EPIPE);
    free(errors.values);
    must(weft_cancelled(other));
    weft_release(other);
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_TG2_TG6_first_error_cancels(void **state) {
    (void)state;
    on_each_loop(first_error);
}

/* A member fails while the group is already being left: nobody is cancelled twice, nothing is left behind. */
static intptr_t quick_body(weft_task_group *group) {
    weft_task_group_create_task(group, after(5, -EIO));
    weft_task_group_create_task(group, cleans_up(5, -ECANCELED));
    return 3;
}
static intptr_t error_at_exit(void *arg) {
    (void)arg;
    weft_task_group group;
    must_equal(GROUP(&group, quick_body(&group)), -EIO);
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_TG2_error_at_exit(void **state) {
    (void)state;
    on_each_loop(error_at_exit);
}

/* TG3: an error of the body cancels all members, and is collected with theirs; many errors. */
enum { MANY = 100 };
static intptr_t failing_body(weft_task_group *group) {
    for (int i = 0; i < MANY; i++) create_and_begin(group, fails_in_cleanup(1, -EPIPE));
    return -EIO;
}
static intptr_t error_in_body(void *arg) {
    (void)arg;
    weft_task_group group;
    weft_group_errors errors;
    must_equal(weft_task_group_enter(&group), 0);
    must_equal(weft_task_group_errors(&group, &errors), 0);
    must_equal(weft_task_group_errors(&group, &errors), -EINVAL);
    must_equal(weft_task_group_exit(&group, failing_body(&group)), -EIO);
    must_equal(errors.count, MANY + 1);
    must_equal(errors.values[0], -EIO);
    for (int i = 1; i <= MANY; i++) must_equal(errors.values[i], -EPIPE);
    free(errors.values);
    return 0;
}
static void test_TG3_error_in_body(void **state) {
    (void)state;
    on_each_loop(error_in_body);
}

/* TG4: a member that is merely cancelled. */
static intptr_t cancels_member(weft_task_group *group) {
    weft_future *coroutine = weft_ref(forever());
    must(weft_task_group_create_task(group, coroutine) == coroutine);
    weft_task_group_create_task(group, after(10, 1));
    must(weft_cancel(coroutine));
    must_equal(weft_join(coroutine), -ECANCELED);
    return 6;
}
static intptr_t member_cancelled(void *arg) {
    (void)arg;
    weft_task_group group;
    must_equal(GROUP(&group, cancels_member(&group)), 6);
    return 0;
}
static void test_TG4_member_cancelled(void **state) {
    (void)state;
    on_each_loop(member_cancelled);
}

/* Cancelled from outside: in the body, and while it waits. Members are cancelled too, their errors win, and then
 * the request comes out of the next await. */
static _Atomic long entered;
weft_async(has_group, (bool, in_body), (int, error)) {
    weft_task_group group;
    must_equal(weft_task_group_enter(&group), 0);
    create_and_begin(&group, fails_in_cleanup(3, error));
    weft_task_group_create_task(&group, forever());
    atomic_store(&entered, 1);
    intptr_t r = weft_task_group_exit(&group, in_body ? weft_sleep(WEFT_SEC(1000)) : 0);
    must_equal(weft_cancelling(weft_current_task()), 1);
    if (error == -ECANCELED) {
        must_equal(r, -ECANCELED);
        must_equal(weft_sleep(0), 0);
    } else {
        must_equal(r, error);
        must_equal(weft_sleep(0), -ECANCELED);
        must_equal(weft_sleep(0), 0);
    }
    return r;
}
static intptr_t cancelled_outside(void *arg) {
    (void)arg;
    for (int in_body = 0; in_body <= 1; in_body++) {
        for (int error = -ECANCELED; error; error = error == -EIO ? 0 : -EIO) {
            atomic_store(&entered, 0);
            weft_task *task = weft_create_task(has_group(in_body, error));
            while (!atomic_load(&entered)) must_equal(weft_sleep(0), 0);
            must(weft_cancel(task));
            must_equal(weft_join(task), error);
        }
    }
    return 0;
}
static void test_TG6_cancelled_from_outside(void **state) {
    (void)state;
    on_each_loop(cancelled_outside);
}

/* TG8: entered once, from a task; what is added too early, too late or during an abort is closed silently. */
weft_async(exits_anothers, (weft_task_group *, group)) { return weft_task_group_exit(group, 0); }
weft_async(adds_during_abort, (weft_task_group *, group)) {
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must_equal(weft_result(weft_task_group_create_task(group, never())), -ESHUTDOWN);
    return 0;
}
static intptr_t odd_body(weft_task_group *group) {
    weft_task *task = weft_create_task(after(1, 1));
    must_equal(weft_task_group_enter(group), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(group, NULL)), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(group, task)), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(group, weft_shield(task))), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(NULL, never())), -EINVAL);
    must_equal(weft_join(task), 1);
    must_equal(weft_join(weft_create_task(exits_anothers(group))), -EINVAL);
    create_and_begin(group, adds_during_abort(group));
    return -EIO;
}
static intptr_t misuse(void *arg) {
    (void)arg;
    weft_task_group group;
    weft_group_errors errors;
    memset(&group, 0x5a, sizeof group);
    must_equal(weft_task_group_exit(&group, 0), -EINVAL);
    must_equal(weft_task_group_errors(&group, &errors), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(&group, never())), -EINVAL);
    must_equal(weft_task_group_enter(NULL), -EINVAL);
    must_equal(weft_task_group_exit(NULL, 0), -EINVAL);
    must_equal(GROUP(&group, odd_body(&group)), -EIO);
    must_equal(weft_task_group_exit(&group, 0), -EINVAL);
    must_equal(weft_result(weft_task_group_create_task(&group, never())), -EINVAL);
    return 0;
}
static void test_TG8_misuse(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    on_each_loop(misuse);
    assert_int_equal(capture_end(capture, "never awaited"), 0);
    weft_task_group group;
    assert_int_equal(weft_task_group_enter(&group), -EPERM);
}

/* TG9: nested groups: the inner one's error aborts the outer one. */
static intptr_t inner_body(weft_task_group *group) {
    weft_task_group_create_task(group, after(2, -EPIPE));
    return weft_sleep(WEFT_SEC(1000));
}
static intptr_t outer_body(weft_task_group *group) {
    weft_task_group inner;
    create_and_begin(group, fails_in_cleanup(1, -EIO));
    return GROUP(&inner, inner_body(&inner));
}
static intptr_t nested(void *arg) {
    (void)arg;
    weft_task_group outer;
    weft_group_errors errors;
    must_equal(weft_task_group_enter(&outer), 0);
    must_equal(weft_task_group_errors(&outer, &errors), 0);
    must_equal(weft_task_group_exit(&outer, outer_body(&outer)), -EPIPE);
    must_equal(errors.count, 2);
    must_equal(errors.values[1], -EIO);
    free(errors.values);
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_sleep(0), 0);
    return 0;
}
static void test_TG9_nested(void **state) {
    (void)state;
    on_each_loop(nested);
}

/* TG10: members that keep adding members, and an abort; finished members are let go. */
weft_async(spawns_for_ever, (weft_task_group *, group)) {
    int r = 0;
    for (int i = 0; r == 0; i++) {
        weft_task *task = weft_task_group_create_task(group, i % 2 ? after(0, 0) : spawns_for_ever(group));
        if (weft_result(task) == -ESHUTDOWN) break;
        r = weft_sleep(WEFT_US(100));
    }
    return r;
}
static intptr_t spawning_body(weft_task_group *group) {
    weft_task_group_create_task(group, spawns_for_ever(group));
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    return -EIO;
}
static intptr_t terminates(void *arg) {
    (void)arg;
    weft_task_group group;
    must_equal(GROUP(&group, spawning_body(&group)), -EIO);
    return 0;
}
static void test_TG10_abort_terminates(void **state) {
    (void)state;
    on_each_loop(terminates);
}

/* The turns of the queue, as measured with CPython. */
static intptr_t trace_body(weft_task_group *group) {
    weft_task_group_create_task(group, marks("a", 1));
    weft_task_group_create_task(group, marks("b", 1));
    mark("body");
    return 0;
}
static void trace_group(void) {
    weft_task_group group;
    must_equal(GROUP(&group, trace_body(&group)), 0);
    mark("done");
}
static intptr_t trace_failing_body(weft_task_group *group) {
    weft_task_group_create_task(group, marks_cancel("x"));
    weft_task_group_create_task(group, marks("f", -EIO));
    int r = weft_sleep(WEFT_SEC(1000));
    mark("body");
    return r;
}
static void trace_error(void) {
    weft_task_group group;
    must_equal(GROUP(&group, trace_failing_body(&group)), -EIO);
    mark("E");
}
static void test_turns_of_the_queue(void **state) {
    (void)state;
    assert_trace(trace_group, "body 0 1 a b 2 3 done 4 5 6 7 8");
    assert_trace(trace_error, "0 1 f 2 3 x body 4 5 E 6 7 8");
}

/* MT9: members on all workers add, fail and end while the parent is cancelled and the group aborted. */
static _Atomic long began, finished;
weft_async(storm_member, (weft_task_group *, group), (unsigned, seed), (int, depth)) {
    atomic_fetch_add(&began, 1);
    for (int i = 0; depth > 0 && i < 2; i++)
        weft_task_group_create_task(group, storm_member(group, seed * 31 + (unsigned)i, depth - 1));
    int r = seed % 3 ? weft_sleep(0) : weft_sleep(WEFT_US(50));
    if (seed % 11 == 5) r = -EIO;
    atomic_fetch_add(&finished, 1);
    return r;
}
weft_async(storm_parent, (unsigned, seed)) {
    weft_task_group group;
    must_equal(weft_task_group_enter(&group), 0);
    for (unsigned i = 0; i < 4; i++) weft_task_group_create_task(&group, storm_member(&group, seed + i, 3));
    intptr_t r = weft_task_group_exit(&group, seed % 2 ? weft_sleep(WEFT_US(100)) : 0);
    must_equal(atomic_load(&began), atomic_load(&finished));
    int before = weft_cancelling(weft_current_task()), next = weft_sleep(0);
    must(r == 0 || r == -EIO || r == -ECANCELED);
    if (before == 0) must(r != -ECANCELED);
    else must(next == -ECANCELED || r == -ECANCELED); /* accepted, so it is seen */
    if (weft_cancelling(weft_current_task()) == 0) must_equal(next, 0); /* it may also come only now */
    return r;
}
static intptr_t storm(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < (unsigned)ROUNDS(5000); i++) {
        atomic_store(&began, 0);
        atomic_store(&finished, 0);
        weft_task *task = weft_create_task(storm_parent(i));
        if (i % 4 == 0) {
            weft_sleep(WEFT_US(i % 200));
            weft_cancel(task);
        }
        intptr_t r = weft_join(task);
        if (i % 4) must(r != -ECANCELED);
    }
    return 0;
}
static void test_MT9_storm(void **state) {
    (void)state;
    on_each_loop(storm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_TG1_waits_for_all),
        cmocka_unit_test(test_TG2_TG6_first_error_cancels),
        cmocka_unit_test(test_TG2_error_at_exit),
        cmocka_unit_test(test_TG3_error_in_body),
        cmocka_unit_test(test_TG4_member_cancelled),
        cmocka_unit_test(test_TG6_cancelled_from_outside),
        cmocka_unit_test(test_TG8_misuse),
        cmocka_unit_test(test_TG9_nested),
        cmocka_unit_test(test_TG10_abort_terminates),
        cmocka_unit_test(test_turns_of_the_queue),
        cmocka_unit_test(test_MT9_storm),
    };
    return run_group(tests);
}
